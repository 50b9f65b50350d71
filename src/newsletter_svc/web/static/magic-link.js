// The browser that asked for the link need not press the button: the page submits itself, once.
"use strict";

const form = document.getElementById("redeem");
const button = form.querySelector("button");

form.addEventListener("submit", (event) => {
  if (button.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  button.setAttribute("aria-disabled", "true");
  button.textContent = button.dataset.pending;
});

// A page restored by the back button shows a button that can be pressed, and does not submit by itself again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    button.removeAttribute("aria-disabled");
    button.textContent = button.dataset.label;
  }
});

if (form.dataset.autoSubmit === "true") {
  form.requestSubmit();
}
