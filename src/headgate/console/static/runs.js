// The list of runs: ticking all of them at once.
"use strict";

{ // what is named here is of this page alone
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-ticks]");
    if (!button) return;
    const boxes = [...button.form.querySelectorAll(`input[name="${button.dataset.ticks}"]`)];
    const all = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !all;
  });
}
