// What pages do beside htmx. Every page works without it.
"use strict";

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content;

// htmx: requests carry what forms carry in hidden fields. What refreshes itself rests while it is paused or not seen.
document.addEventListener("htmx:config:request", (event) => {
  const source = event.detail.ctx.sourceElement;
  if (source?.matches?.("[data-live]") && ("paused" in source.dataset || document.hidden)) {
    event.preventDefault();
    return;
  }
  const headers = event.detail.ctx.request.headers;
  if (meta("csrf-token")) headers["x-csrf-token"] = meta("csrf-token");
  if (meta("sandbox")) headers["x-sandbox-name"] = meta("sandbox");
});

// Times stand in UTC; the reader's own comes beside them where it differs.
const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
function showLocal(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const moment = new Date(time.dateTime);
    time.dataset.local = "";
    time.title = `${zone.format(moment)} (${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
    if (moment.getTimezoneOffset() === 0) continue;
    const local = document.createElement("small");
    local.textContent = ` ${clock.format(moment)} local`;
    time.append(local);
  }
}

// Dialogs: <button data-opens="id">, and inside them <button data-closes>.
// Copying: <button data-copies> copies the <code> beside it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-opens], [data-closes], [data-copies], [data-pauses]");
  if (!button) return;
  if (button.dataset.pauses) return pause(button);
  if (button.dataset.opens) document.getElementById(button.dataset.opens)?.showModal();
  else if ("closes" in button.dataset) button.closest("dialog")?.close();
  else {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    say("Copied.");
  }
});

// <button data-pauses="id"> holds on what the element refreshes by itself, and lets it go on.
function pause(button) {
  const live = document.getElementById(button.dataset.pauses);
  const paused = live.toggleAttribute("data-paused");
  button.setAttribute("aria-pressed", String(paused));
  button.querySelector("span").textContent = paused ? "Go on" : "Pause updates";
  live.dispatchEvent(new CustomEvent(paused ? "live:pause" : "live:resume"));
}

function say(text) {
  const place = document.getElementById("messages");
  const line = document.createElement("p");
  line.className = "message good";
  line.textContent = text;
  place?.replaceChildren(line);
}

// "/" goes to the search of the page.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = document.querySelector("input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
});

document.addEventListener("htmx:after:swap", () => showLocal(document));
document.addEventListener("DOMContentLoaded", () => showLocal(document));
