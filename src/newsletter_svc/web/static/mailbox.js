// Shows mails as they come: asks for the same page again and swaps the list when it has changed.
"use strict";

const EVERY_MS = 700;
const list = document.getElementById("mails");

async function refresh() {
  try {
    const response = await fetch(window.location.href);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("mails");
    if (response.ok && fresh && fresh.innerHTML.trim() !== list.innerHTML.trim()) {
      list.innerHTML = fresh.innerHTML;
    }
  } catch {
    // The server is being restarted; the next turn will tell.
  }
}

setInterval(() => {
  // Who moves through the list by keyboard keeps the place; the next turn comes after they have left.
  if (!document.hidden && !list.contains(document.activeElement)) {
    refresh();
  }
}, EVERY_MS);
