// The frontend kit: forms marked `data-newsletter`, or marked up as Ghost's themes are, answer in place. It talks to
// the service that it was loaded from and adds one global, `newsletter`. Texts come from the service and are shown as
// text only: nothing is parsed as HTML or evaluated, and a strict content policy holds.
(() => {
  "use strict";

  if (window.newsletter) {
    return; // Loaded twice, it would send every form twice.
  }
  const VERSION = 1;
  // A module has no `currentScript`.
  const script = document.currentScript || document.querySelector('script[src*="/static/kit/"]');
  const service = (script.dataset.service || script.src).replace(/\/static\/kit\/.*$|\/$/, "");
  const WAY_BACK = "newsletter-way-back";
  const find = (selector, where = document) => where.querySelector(selector);
  const findAll = (selector, where = document) => [...where.querySelectorAll(selector)];
  const kept = {};
  let known; // The words, once they have come: the service cannot tell them when it cannot be reached.
  let ids = 0;

  // --- The service

  async function ask(method, path, fields) {
    const headers = { Accept: "application/json", ...(fields && { "Content-Type": "application/json" }) };
    const body = fields && JSON.stringify(fields);
    const response = await fetch(service + path, { method, headers, body, credentials: "include" });
    // What stands before the service may answer with a page; then the status is all there is to know.
    const answer = await response.json().catch(() => ({}));
    return { ...answer, ok: response.ok, retryAfter: response.headers.get("Retry-After") };
  }

  // Asked for once. What cannot go on without it fails as it does where nobody answers.
  function keep(path) {
    kept[path] ||= ask("GET", path).then((answer) => (answer.ok ? answer : Promise.reject(new TypeError(path))));
    kept[path].catch(() => delete kept[path]);
    return kept[path];
  }

  const messages = () => keep("/messages").then((words) => (known = words));
  const session = () => keep("/session");

  // A browser tells no script why a request had no answer. But the kit itself is open to every page: if nothing else
  // can be fetched, this page's origin is refused.
  async function isRefused() {
    const reach = (path, credentials) =>
      fetch(service + path, { cache: "no-store", credentials }).then(({ ok }) => ok, () => false);
    const isOpen = await reach("/healthz", "include");
    const refused = !isOpen && (await reach(`/static/kit/${VERSION}/newsletter.js`, "omit"));
    console.error(
      refused
        ? `newsletter: ${service} does not answer pages of ${location.origin}: add it to FRONTEND_ORIGINS there.`
        : `newsletter: ${service} did not answer. Is it running, and is it in this page's connect-src?`,
    );
    return refused;
  }

  // --- What elements show

  function make(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function speak(element, { kit }) {
    return Object.assign(element, { lang: kit.lang, dir: kit.dir });
  }

  const isOurs = (element) => Boolean(element.dataset.newsletter);

  // Where it says what happens: a place that the page has for it, or one made here.
  function statusOf(element) {
    const isForm = element.matches("form");
    const beside = element.nextElementSibling;
    const place = "[data-newsletter-status]";
    let status = isForm ? find(place, element) : beside?.matches(place) && beside;
    if (!status) {
      status = make("p", { className: "newsletter-status" });
      status.dataset.newsletterStatus = "";
      isForm ? element.append(status) : element.after(status);
      // A theme shows what happens by classes. Who does not see them hears it.
      status.style.cssText = isOurs(element) ? "" : "position:absolute;overflow:hidden;width:1px;height:1px";
    }
    status.role = "status";
    return status;
  }

  function show(element, state, text, words) {
    const status = statusOf(element);
    const error = isOurs(element) ? null : find("[data-members-error]", element);
    if (isOurs(element)) {
      element.dataset.newsletterState = status.dataset.state = state;
    } else {
      element.classList.remove("loading", "success", "invalid", "error");
      element.classList.add({ pending: "loading", done: "success" }[state] || state);
    }
    if (error) {
      error.textContent = state === "error" ? text : "";
    }
    status.textContent = text;
    words && speak(status, words);
  }

  // Says beside each field what is wrong with it, and leads to the first; what has no visible field is returned.
  function markFields(form, errors, words) {
    const left = [];
    for (const { field, detail } of errors) {
      const input = find(`[name="${CSS.escape(field.split(".")[0])}"]:not([type="hidden"])`, form);
      if (input) {
        const note = make("p", { className: "newsletter-field-error", id: `newsletter-${++ids}`, textContent: detail });
        input.after(speak(note, words));
        input.setAttribute("aria-invalid", "true");
        input.setAttribute("aria-errormessage", note.id);
        input.setAttribute("aria-describedby", `${input.getAttribute("aria-describedby") || ""} ${note.id}`.trim());
      } else {
        left.push(detail);
      }
    }
    find("[aria-errormessage]", form)?.focus();
    return left;
  }

  function unmarkFields(form) {
    for (const input of findAll("[aria-errormessage]", form)) {
      const id = input.getAttribute("aria-errormessage");
      document.getElementById(id)?.remove();
      input.setAttribute("aria-describedby", input.getAttribute("aria-describedby").replace(id, "").trim());
      input.removeAttribute("aria-errormessage");
      input.removeAttribute("aria-invalid");
    }
  }

  function explain(answer, errors, { kit }) {
    const text = errors.join(" ") || answer.detail || kit.failed;
    const seconds = Number(answer.retryAfter);
    const [length, unit] = seconds < 90 ? [1, "second"] : [60, "minute"];
    const when = new Intl.RelativeTimeFormat(kit.lang).format(Math.ceil(seconds / length), unit);
    return seconds ? `${text} ${kit.retry.replace("{when}", when)}` : text;
  }

  // --- From a press to its answer

  async function run(element, { pending = "sending", send, done, plainly }) {
    if (element.ariaBusy === "true") {
      return;
    }
    element.ariaBusy = "true";
    unmarkFields(element);
    try {
      const words = await messages();
      show(element, "pending", words.kit[pending], words);
      const answer = await send();
      // Nothing is announced in what is busy.
      element.ariaBusy = "false";
      if (answer.ok) {
        show(element, "done", answer.message || "", words);
        tell(element, "done", answer) && (await done(answer, words));
      } else {
        const errors = answer.errors || [];
        const left = isOurs(element) ? markFields(element, errors, words) : errors.map(({ detail }) => detail);
        show(element, "error", explain(answer, left, words), words);
        tell(element, "error", answer);
      }
    } catch (error) {
      if (!(error instanceof TypeError)) {
        throw error;
      }
      element.ariaBusy = "false";
      // Our settings must not stop a reader: a form without scripts needs nobody's permission. It also goes where there
      // are no words to say that nobody answers, since the browser has some.
      const refused = await isRefused();
      const text = script.dataset.unreachable || known?.kit.unreachable;
      plainly && (refused || !text) ? plainly() : show(element, "error", text || "");
      tell(element, "error", { code: refused ? "origin_refused" : "unreachable" });
    }
  }

  // The page's own scripts may listen; `preventDefault` keeps what the kit would do next from happening.
  function tell(element, what, detail) {
    return element.dispatchEvent(new CustomEvent(`newsletter:${what}`, { bubbles: true, cancelable: true, detail }));
  }

  // --- Forms that ask for a mail, and the code from it

  function here() {
    const url = new URL(location.href);
    ["action", "success", "stripe"].forEach((name) => url.searchParams.delete(name));
    return url.href;
  }

  function ownFields(form) {
    const given = new FormData(form);
    const fields = Object.fromEntries(given);
    if (given.has("newsletters")) {
      fields.newsletters = given.getAll("newsletters").filter(Boolean);
    }
    return { ...fields, redirect: fields.redirect || here() };
  }

  // A theme names newsletters by their titles; the service knows them by slugs.
  function slug({ value }) {
    const plain = value.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
    return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  }

  function themeFields(form) {
    const name = find("[data-members-name]", form);
    const offered = findAll("[data-members-newsletter]", form);
    const newsletters = offered.filter(({ type, checked }) => type === "hidden" || checked);
    return {
      email: find("[data-members-email]", form)?.value.trim(),
      ...(name && { name: name.value.trim() }),
      ...(newsletters.length && { newsletters: newsletters.map(slug) }),
      redirect: form.dataset.membersAutoredirect === "false" ? `${location.origin}/` : here(),
    };
  }

  function themeDoor(form, { newsletters }) {
    const door = form.dataset.membersForm || "subscribe";
    // Who takes every tick away wants an account only; at `/subscribe` naming none means the default newsletter.
    const isNone = !newsletters && find("[data-members-newsletter]", form);
    return door === "subscribe" && isNone ? "signup" : door;
  }

  function askForMail(form) {
    const fields = isOurs(form) ? ownFields(form) : themeFields(form);
    const door = isOurs(form) ? form.dataset.newsletter : themeDoor(form, fields);
    const takesCode = isOurs(form) || form.dataset.membersOtc === "true";
    return {
      send: () => ask("POST", `/${door}`, fields),
      done: ({ challenge }, words) => takesCode && offerCode(form, challenge, words),
      plainly: () => submitPlainly(form, door, fields),
    };
  }

  function submitPlainly(form, door, fields) {
    const plain = make("form", { method: "post", action: `${service}/${door}`, hidden: true });
    for (const [name, values] of Object.entries(fields)) {
      plain.append(...[values].flat().map((value) => make("input", { name, value })));
    }
    form.after(plain);
    plain.submit();
  }

  function makeForm(door, properties, label, button, words) {
    const id = `newsletter-${++ids}`;
    const form = make(
      "form",
      { className: `newsletter-${properties.name}-form`, method: "post", action: `${service}/${door}` },
      make("label", { htmlFor: id, textContent: label }),
      make("input", { id, required: true, ...properties }),
      make("button", { textContent: button }),
    );
    form.dataset.newsletter = properties.name === "code" ? "code" : door;
    return speak(form, words);
  }

  function offerCode(form, challenge, words) {
    let code = form.nextElementSibling;
    if (code?.dataset.newsletter !== "code") {
      const digits = { name: "code", inputMode: "numeric", autocomplete: "one-time-code", pattern: "[0-9 ]{6,7}" };
      code = makeForm("signin/code", digits, words.kit.code_label, words.kit.code_button, words);
      code.prepend(make("input", { type: "hidden", name: "challenge" }));
      form.after(code);
    }
    const status = statusOf(form);
    status.id ||= `newsletter-${++ids}`;
    code.elements.challenge.value = challenge;
    code.elements.code.value = "";
    code.elements.code.setAttribute("aria-describedby", status.id);
    code.elements.code.focus();
  }

  function useCode(form) {
    const fields = Object.fromEntries(new FormData(form));
    return {
      pending: "checking",
      send: () => ask("POST", "/signin/code", fields),
      done: async ({ redirect }) => {
        if (!(await showSession()).signed_in) {
          console.warn(
            `newsletter: ${service} has signed the reader in, but ${location.origin} cannot see it, since browsers ` +
              "keep cookies to one site: serve both from the same registrable domain.",
          );
        }
        location.assign(redirect);
      },
    };
  }

  // --- Signing out, and the way to the payment page

  function signOut(element) {
    return {
      send: () => ask("DELETE", "/session", {}),
      done: async () => {
        if (isOurs(element)) {
          await showSession();
          element.closest("[hidden]") && focusMain();
        } else {
          location.replace("/");
        }
      },
    };
  }

  function updateBilling(element) {
    const { membersSuccess: success, membersCancel: cancel } = element.dataset;
    const redirect = element.matches("form") ? ownFields(element).redirect : here();
    return {
      send: () => ask("POST", "/billing/update", { redirect }),
      done: ({ url }) => {
        // The service leads back to this page in either case; from here the reader goes on to where the theme says.
        sessionStorage.setItem(WAY_BACK, JSON.stringify({ success, cancel }));
        location.assign(url);
      },
    };
  }

  function goOn() {
    const said = new URLSearchParams(location.search).get("stripe");
    const [, ending] = /^billing-update-(success|cancel)$/.exec(said) || [];
    const wanted = ending && JSON.parse(sessionStorage.getItem(WAY_BACK) || "{}")[ending];
    if (wanted) {
      sessionStorage.removeItem(WAY_BACK);
      const url = new URL(wanted, location.href);
      url.searchParams.set("stripe", said);
      location.replace(url);
    }
    return wanted;
  }

  // --- Who is signed in, and what the query string says

  async function showSession() {
    delete kept["/session"];
    const state = await session();
    const reader = state.subscriber || { name: "", email: "" };
    const standing = state.signed_in ? "signed-in" : "signed-out";
    document.documentElement.dataset.newsletterSession = standing;
    for (const element of findAll("[data-newsletter-if]")) {
      element.hidden = element.dataset.newsletterIf !== standing;
    }
    for (const element of findAll("[data-newsletter-reader]")) {
      element.textContent = reader[element.dataset.newsletterReader || (reader.name ? "name" : "email")];
    }
    tell(document, "session", state);
    return state;
  }

  // Both parameters count: a page that looks at one alone would welcome a reader whose link has expired.
  async function showNotice() {
    const query = new URLSearchParams(location.search);
    if (!query.has("action") && !query.has("stripe")) {
      return;
    }
    const words = await messages();
    const isSaid = (wanted) => Object.entries(wanted).every(([name, value]) => query.get(name) === value);
    const gone = words.link_gone.queries.some(isSaid) && { ...words.link_gone, success: false };
    const said = words.messages.find((each) => isSaid(each.query)) || gone;
    if (!said) {
      return;
    }
    // This one is for who has no account yet: a reader who is signed in waits for no mail.
    if (said.code !== "check_email" || !(await session()).signed_in) {
      const bar = raiseBar(said, words);
      gone && offerLink(bar, query.get("action"), words);
    }
    forgetQuery();
  }

  function raiseBar({ message, success }, words) {
    const bar = find("[data-newsletter-notice]") || make("div", { className: "newsletter-notice" });
    const line = make("p", { role: "status" });
    const close = make("button", { className: "newsletter-dismiss", textContent: "×", ariaLabel: words.kit.dismiss });
    close.dataset.newsletterDismiss = "";
    bar.dataset.newsletterNotice = success ? "good" : "bad";
    bar.hidden = false;
    bar.replaceChildren(line, close);
    bar.isConnected || document.body.prepend(bar);
    // Screen readers announce what changes in a place that they know already.
    requestAnimationFrame(() => { line.textContent = message; });
    return speak(bar, words);
  }

  function offerLink(bar, door, words) {
    const bare = door === "subscribe" ? ', form[data-members-form=""]' : "";
    const form = find(`form[data-newsletter="${door}"], form[data-members-form="${door}"]${bare}`);
    const field = form && find('[data-members-email], [name="email"]', form);
    const button = make("button", { type: "button", className: "newsletter-renew", textContent: words.kit.new_link });
    button.addEventListener("click", () => field.focus());
    const email = { name: "email", type: "email", autocomplete: "email" };
    bar.lastChild.before(field ? button : makeForm(door, email, words.kit.email_label, words.kit.new_link, words));
  }

  // A reload or a bookmark must not say it again. The page's other scripts may read it until all has loaded.
  function forgetQuery() {
    const forget = () => history.replaceState(history.state, "", here());
    document.readyState === "complete" ? forget() : addEventListener("load", forget);
  }

  // Where the keyboard goes on when what it was at is gone.
  function focusMain() {
    const main = find("main") || document.body;
    main.tabIndex = -1;
    main.focus({ preventScroll: true });
  }

  // --- Beginning

  // How an element works: by its mark, or by the one that it has from a theme.
  function jobOf(element) {
    const { newsletter, membersForm, membersSignout, membersEditBilling } = element.dataset;
    if (newsletter) {
      return { code: useCode, signout: signOut, billing: updateBilling }[newsletter] || askForMail;
    }
    if (membersForm != null) {
      return askForMail;
    }
    return membersSignout != null ? signOut : membersEditBilling != null && updateBilling;
  }

  function start(event, element) {
    const job = element && jobOf(element);
    if (job) {
      event.preventDefault();
      run(element, job(element));
    }
  }

  document.addEventListener("submit", (event) => start(event, event.target));

  // Who begins to fill in a form will soon be told something.
  document.addEventListener("focusin", ({ target }) => {
    target.form && jobOf(target.form) && messages().catch(() => {});
  });

  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-newsletter-dismiss]");
    if (close) {
      event.preventDefault();
      close.closest("[data-newsletter-notice]").remove();
      focusMain();
    } else {
      const pressable = "[data-newsletter]:not(form), [data-members-signout], [data-members-edit-billing]";
      start(event, event.target.closest(pressable));
    }
  });

  async function begin() {
    if (goOn()) {
      return;
    }
    try {
      const isSaid = find("[data-newsletter-notice]")?.textContent.trim();
      find("[data-newsletter-if], [data-newsletter-reader]") && (await showSession());
      isSaid ? forgetQuery() : script.dataset.notice !== "off" && (await showNotice());
    } catch (error) {
      if (!(error instanceof TypeError)) {
        throw error;
      }
      await isRefused();
    }
  }

  window.newsletter = Object.freeze({ version: VERSION, service, session, refresh: showSession });
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", begin) : begin();
})();
