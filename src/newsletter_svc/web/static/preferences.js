// Proposes the time zone of the reader's device; nothing is chosen without a press.
"use strict";

const zones = document.getElementById("timezone");
const proposal = document.getElementById("proposal");
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
const option = [...zones.options].find(({ value }) => value !== "" && value === timeZone);

function show() {
  proposal.hidden = option === undefined || option.selected;
}

if (option !== undefined) {
  proposal.querySelector("strong").textContent = option.label;
  proposal.querySelector("button").addEventListener("click", () => {
    option.selected = true;
    zones.focus();
    show();
  });
  zones.addEventListener("change", show);
  show();
}
