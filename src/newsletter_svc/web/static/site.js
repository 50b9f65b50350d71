// Makes the plain forms of the site answer in place. Every one of them works without this file.
"use strict";

const UNREACHABLE = "We could not reach the server. Nothing was sent, please try again.";
const UNREADABLE = "That did not work. Please try again in a moment.";

function say(form, text, tone) {
  const answer = form.querySelector("[data-answer]");
  answer.dataset.tone = tone;
  answer.textContent = text;
  answer.scrollIntoView({ block: "nearest" });
}

function setPending(form, pending) {
  const button = form.querySelector("button");
  button.dataset.label ??= button.textContent;
  button.textContent = pending ? form.dataset.pending : button.dataset.label;
  button.setAttribute("aria-disabled", String(pending));
  form.toggleAttribute("data-busy", pending);
}

// A problem document names the field that is wrong; its own words are the best there are.
function wordsOf(problem) {
  return problem.errors?.[0]?.detail || problem.detail || problem.title || UNREADABLE;
}

async function post(form) {
  const response = await fetch(form.action, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  });
  return { ok: response.ok, body: await response.json() };
}

async function submit(form, onSuccess) {
  setPending(form, true);
  say(form, "", "good");
  try {
    const { ok, body } = await post(form);
    if (ok) {
      onSuccess(body);
    } else {
      say(form, wordsOf(body), "bad");
    }
  } catch (error) {
    say(form, error instanceof TypeError ? UNREACHABLE : UNREADABLE, "bad");
  } finally {
    setPending(form, false);
  }
}

function enhance(form, onSuccess) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.hasAttribute("data-busy")) {
      submit(form, onSuccess);
    }
  });
}

function offerCode(form, challenge) {
  const code = form.parentElement.querySelector("[data-code]");
  code.elements.challenge.value = challenge;
  code.hidden = false;
}

for (const form of document.querySelectorAll("[data-ask]")) {
  enhance(form, (body) => {
    say(form, body.message, "good");
    if (body.challenge) {
      offerCode(form, body.challenge);
    }
  });
}

for (const form of document.querySelectorAll("[data-code]")) {
  enhance(form, (body) => {
    say(form, body.message, "good");
    window.location.assign(body.redirect || "/");
  });
}

for (const link of document.querySelectorAll("[data-dismiss]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    link.closest("[data-notice]").remove();
    // A reload or a bookmark must not bring the message back.
    window.history.replaceState(null, "", window.location.pathname + window.location.hash);
  });
}
