// Messages of the page: notes on the mirror, advice over it.

import { t } from "./strings.js";

const $ = (id) => document.getElementById(id);

let note = 0; // timer of a note; only another note replaces it earlier

/** Show a note on the mirror; `action` is [label, function], it disappears after `seconds`. */
export function say(text, { action = null, seconds = 0 } = {}) {
  if (!text && note) return;
  clearTimeout(note);
  note = seconds ? setTimeout(() => ((note = 0), say("")), seconds * 1000) : 0;
  if ($("status-text").textContent !== text) $("status-text").textContent = text;
  $("status").classList.toggle("shown", Boolean(text));
  $("status-action").hidden = !action;
  if (action) {
    $("status-action").textContent = action[0];
    $("status-action").onclick = action[1];
  }
}

/** Show advice on the camera: "blocked", "noCamera", "busy" or "insecure"; null hides it. */
export function advise(kind) {
  $("advice").hidden = !kind;
  if (!kind) return;
  say("");
  $("advice-title").textContent = t(`${kind}Title`);
  $("advice-text").textContent = t(kind);
  $("advice-again").hidden = kind === "insecure";
  $(kind === "insecure" ? "advice-photo" : "advice-again").focus();
}
