// The tree of what a connection reaches: what was chosen last is marked.
"use strict";

document.addEventListener("click", (event) => {
  const chosen = event.target.closest(".tree a[hx-get]");
  if (!chosen) return;
  for (const one of document.querySelectorAll(".tree a[aria-current]")) one.removeAttribute("aria-current");
  chosen.setAttribute("aria-current", "true");
});
