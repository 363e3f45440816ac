"use strict";
const form = document.getElementById("filter");
const choices = [...form.querySelectorAll("select")];
const rows = [...document.querySelectorAll(".card")];

function apply() {
  let shown = 0;
  for (const row of rows) {
    // The first option of each list means all.
    row.hidden = choices.some(
      (choice) => choice.selectedIndex > 0 && row.dataset[choice.name] !== choice.value
    );
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = shown.toLocaleString("en");
}

form.addEventListener("change", apply);
form.hidden = false; // without scripts the lists would do nothing
apply(); // a page loaded again keeps its choices
