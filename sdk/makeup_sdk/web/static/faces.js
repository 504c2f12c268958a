// Pictures with several faces: a ring around each, and the choice of the wearer.

import { $, h } from "./dom.js";
import { lookAt, onMirror, ontap, onview } from "./mirror.js";
import { say } from "./notes.js";
import { t } from "./strings.js";

let seen = []; // {id, box, painted, status}, boxes as fractions of the picture
let isLive = false;
let wearer = null; // photos: a point, live frames: an id; null: every face
let missed = 0; // time since which a live wearer is lost
const listeners = [];
const MISSED = 2000;
let isTold = false; // once a picture

/** Register a callback for a change of the wearer. */
export const onchoose = (listener) => listeners.push(listener);

/** The box around all faces and their hair, as fractions of the picture. */
export function around() {
  const edge = (i, pick) => pick(...seen.map(({ box }) => box[i]));
  const [x0, y0, x1, y1] = [edge(0, Math.min), edge(1, Math.min), edge(2, Math.max), edge(3, Math.max)];
  const room = 0.35 * Math.max(...seen.map(({ box }) => box[2] - box[0]));
  return [x0 - room, y0 - room, x1 + room, y1 + room].map((at) => Math.min(1, Math.max(0, at)));
}

const middle = ({ box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];

/** The only face that wears the look; null if every face does. */
export function chosen() {
  if (wearer === null || !seen.length) return null;
  if (isLive) return seen.find(({ id }) => id === wearer) ?? null;
  const away = (face) => Math.hypot(...middle(face).map((at, i) => at - wearer[i]));
  return seen.reduce((best, face) => (away(face) < away(best) ? face : best));
}

/** The wearer in a photo request: a point, or null. */
export const chosenPoint = () => (isLive ? null : wearer);

/** The wearer in a live request: an id, or null. */
export const chosenId = () => (isLive ? wearer : null);

/** Forget all faces, for a new picture. */
export function clear() {
  [seen, wearer, missed, isTold] = [[], null, 0, false];
  draw();
}

/** Show the detected faces. If a live wearer stays lost, every face wears the look again. */
export function show(faces, { live = false } = {}) {
  if (live !== isLive) wearer = null;
  if (faces.length > 1 && seen.length < 2 && !isTold) {
    isTold = true;
    say(t("tapFace"), { seconds: 5 });
  }
  [seen, isLive] = [faces, live];
  const now = performance.now();
  missed = live && wearer !== null && !chosen() ? missed || now : 0;
  if (missed && now - missed > MISSED) choose(null);
  draw();
}

function choose(face) {
  wearer = !face ? null : isLive ? face.id : middle(face);
  missed = 0;
  draw();
  for (const listener of listeners) listener();
}

/** Reset after the ids restart: every face wears the look again. */
export function forgetId() {
  if (isLive) wearer = null;
}

const toggle = (face) => choose(face === chosen() ? null : face);

/** Draw one ring per face, from left to right; each is a button. */
function draw() {
  const people = seen.length > 1 ? [...seen].sort((a, b) => a.box[0] - b.box[0]) : [];
  const rings = $("faces");
  while (rings.children.length > people.length) rings.lastElementChild.remove();
  while (rings.children.length < people.length) {
    rings.append(h("button", { type: "button", className: "ring", on: { click: press, focus: reveal } }));
  }
  people.forEach((face, i) => {
    const ring = rings.children[i];
    ring.face = face;
    ring.setAttribute("aria-pressed", face === chosen());
    ring.setAttribute("aria-label", t("faceOf", { i: i + 1, n: people.length }));
  });
  rings.hidden = !people.length;
  rings.classList.toggle("one", chosen() !== null);
  place();
}

const press = (event) => toggle(event.currentTarget.face);

function reveal(event) {
  const { box } = event.currentTarget.face;
  const [left, top, width, height] = onMirror(box);
  const mirror = $("mirror");
  if (left < 0 || top < 0 || left + width > mirror.clientWidth || top + height > mirror.clientHeight) lookAt(box);
}

function place() {
  for (const ring of $("faces").children) {
    const [left, top, width, height] = onMirror(ring.face.box);
    Object.assign(ring.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  }
}

onview(place);
ontap(([x, y]) => {
  if (seen.length < 2) return;
  const hit = seen.find(({ box }) => x > box[0] && x < box[2] && y > box[1] && y < box[3]);
  if (hit) toggle(hit);
});
