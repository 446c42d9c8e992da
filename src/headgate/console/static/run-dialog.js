// The dialog of a run: beside each moment in UTC stands the reader's own time.
"use strict";

{ // what is named here is of this page alone
  const own = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

  function beside(input) {
    const moment = new Date(`${input.value}Z`);
    const place = document.getElementById(input.dataset.local);
    place.textContent = Number.isNaN(moment.getTime()) ? "" : `${own.format(moment)} in ${here}`;
  }

  for (const input of document.querySelectorAll("input[data-local]")) {
    input.addEventListener("input", () => beside(input));
    beside(input);
  }
}
