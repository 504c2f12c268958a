// The label of a face, shown over the picture and edited with a brush.

import { $ } from "./dom.js";
import * as mirror from "./mirror.js";
import { t } from "./strings.js";

const STEP = 0.012; // distance of an arrow key, fraction of the mirror
const CLEAR = 190; // opacity of the tool's classes, of 255
const FAINT = 80; // opacity of the other parts
const FAINTEST = 50; // opacity of skin and hair
const DEEPEST = 80; // maximum number of strokes to undo
const NONE = 255; // pixels whose class cannot be drawn: they stay

/** Tools: the classes that each draws, by the server's names. */
export const TOOLS = {
  upper_lip: ["upper_lip"], lower_lip: ["lower_lip"], mouth_inside: ["mouth_inside"], brow: ["left_brow", "right_brow"],
  eye: ["left_eye", "right_eye"], nose: ["nose"], skin: ["skin"], hair: ["hair"],
};

let classes = []; // {name, rgb}
let width = 0;
let height = 0;
let own = null; // Uint8Array, the label from the server
let now = null; // the edited label
let pixels = null; // ImageData of the drawing over the picture
let layer = null; // its canvas
let box = null; // the face's box, fractions of the picture
let strokes = []; // each a Map from pixel to its class before
let undone = [];
let stroke = null;
let tip = [0.5, 0.5]; // position of the brush, fractions of the mirror
let last = null; // last point of the stroke, label pixels
let isDown = false; // the keyboard draws
let tool = "upper_lip";
let size = 14; // radius in CSS pixels
let listener = () => {};

/** Set the server's classes: [{name, color}]. */
export function useClasses(list) {
  classes = list.map(({ name, color }) => ({ name, rgb: [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16)) }));
}

/** Register a callback for strokes that are drawn, undone or redone. */
export const onstroke = (other) => (listener = other);

export const canUndo = () => strokes.length > 0;
export const canRedo = () => undone.length > 0;
export const isChanged = () => Boolean(now) && now.some((value, i) => value !== own[i]);

/** Read a label from the server; `drawn` are the classes of an earlier edit. */
export function load(label, drawn) {
  [width, height] = [label.width, label.height];
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(label, 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  const byColor = new Map(classes.map(({ rgb }, i) => [(rgb[0] << 16) | (rgb[1] << 8) | rgb[2], i]));
  own = new Uint8Array(width * height);
  for (let i = 0; i < own.length; i++) {
    own[i] = byColor.get((data[4 * i] << 16) | (data[4 * i + 1] << 8) | data[4 * i + 2]) ?? NONE;
  }
  box = boxOf(own);
  layer = new OffscreenCanvas(width, height);
  pixels = new ImageData(width, height);
  use(drawn);
}

/** Start from these classes, or from the face's own; earlier strokes cannot be undone. */
export function use(drawn) {
  now = Uint8Array.from(drawn ?? own);
  [strokes, undone, stroke] = [[], [], null];
  for (let i = 0; i < now.length; i++) tint(i);
  show();
}

export const drawn = () => Uint8Array.from(now);

function boxOf(label) {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let i = 0; i < label.length; i++) {
    if (label[i] === NONE || classes[label[i]].name === "hair") continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x), Math.max(y1, y)];
  }
  const [w, h] = [(x1 - x0) * 0.12, (y1 - y0) * 0.06];
  return [(x0 - w) / width, (y0 - 3 * h) / height, (x1 + w) / width, (y1 + h) / height]; // with the hairline
}

function tint(i) {
  const known = classes[now[i]];
  pixels.data.set(known ? known.rgb : [0, 0, 0], 4 * i);
  const isTool = known && TOOLS[tool].includes(known.name);
  const [faint, clear] = known?.name === "skin" ? [FAINTEST, FAINTEST] : known?.name === "hair" ? [FAINTEST, FAINT] : [FAINT, CLEAR];
  pixels.data[4 * i + 3] = !known ? 0 : isTool ? clear : faint;
}

function show(x0 = 0, y0 = 0, x1 = width, y1 = height) {
  layer.getContext("2d").putImageData(pixels, 0, 0, x0, y0, x1 - x0, y1 - y0);
  if (isOpen()) mirror.overlay(layer);
  listener();
}

// ---- strokes

/** The class that the tool draws at a point: of two, the one with the nearer pixels. */
function classAt(x, y) {
  const numbers = TOOLS[tool].map((name) => classes.findIndex((one) => one.name === name));
  if (numbers.length === 1) return numbers[0];
  const away = numbers.map((number) => {
    let [sx, sy, n] = [0, 0, 0];
    for (let i = 0; i < own.length; i++) if (own[i] === number) [sx, sy, n] = [sx + (i % width), sy + Math.floor(i / width), n + 1];
    return n ? Math.hypot(sx / n - x, sy / n - y) : Infinity;
  });
  return numbers[away[0] <= away[1] ? 0 : 1];
}

let drawing = 0; // class of the current stroke

function inLabel(px, py) {
  const [x, y] = mirror.inPicture(px, py);
  return [x * width, y * height];
}

/** The brush's radius in label pixels. */
const radius = () => (size * width) / mirror.onMirror([0, 0, 1, 1])[2];

function start(px, py) {
  cancel();
  stroke = new Map();
  last = inLabel(px, py);
  drawing = classAt(...last);
  lineTo(...last);
}

function lineTo(x, y) {
  const r = radius();
  const steps = Math.max(1, Math.ceil(Math.hypot(x - last[0], y - last[1]) / Math.max(1, r / 2)));
  for (let i = 1; i <= steps; i++) dab(last[0] + ((x - last[0]) * i) / steps, last[1] + ((y - last[1]) * i) / steps, r);
  const [x0, x1] = [Math.min(x, last[0]) - r, Math.max(x, last[0]) + r];
  const [y0, y1] = [Math.min(y, last[1]) - r, Math.max(y, last[1]) + r];
  last = [x, y];
  show(Math.floor(x0) - 1, Math.floor(y0) - 1, Math.ceil(x1) + 1, Math.ceil(y1) + 1);
}

function dab(cx, cy, r) {
  for (let y = Math.max(0, Math.ceil(cy - r)); y <= Math.min(height - 1, cy + r); y++) {
    for (let x = Math.max(0, Math.ceil(cx - r)); x <= Math.min(width - 1, cx + r); x++) {
      const i = y * width + x;
      if (Math.hypot(x - cx, y - cy) > r || now[i] === NONE || now[i] === drawing) continue;
      if (!stroke.has(i)) stroke.set(i, now[i]);
      now[i] = drawing;
      tint(i);
    }
  }
}

function end() {
  if (!stroke) return;
  if (stroke.size) {
    strokes.push(stroke);
    if (strokes.length > DEEPEST) strokes.shift();
    undone = [];
  }
  stroke = null;
  listener();
}

function cancel() {
  if (!stroke) return;
  swap(stroke);
  stroke = null;
}

/** Swap a stroke's pixels with the label's. */
function swap(pixelsBefore) {
  for (const [i, value] of pixelsBefore) {
    pixelsBefore.set(i, now[i]);
    now[i] = value;
    tint(i);
  }
  show();
}

export function undo() {
  const top = strokes.pop();
  if (!top) return;
  undone.push(top);
  swap(top);
}

export function redo() {
  const top = undone.pop();
  if (!top) return;
  strokes.push(top);
  swap(top);
}

/** Restore the face's own label, as one stroke that can be undone. */
export function reset() {
  stroke = new Map();
  for (let i = 0; i < now.length; i++) if (now[i] !== own[i]) stroke.set(i, own[i]);
  swap(stroke);
  end();
}

// ---- the active brush: pointer and keyboard

export const isOpen = () => !$("easel").hidden;

/** Show the label and activate the brush, or hide and deactivate both. */
export function open(on) {
  $("easel").hidden = !on;
  $("mirror").classList.toggle("drawing", on);
  mirror.overlay(on ? layer : null);
  mirror.useTool(on ? { down: start, move: moveTo, up: end, cancel } : null);
  hold(false);
  if (!on) return mirror.recenter();
  mirror.compare(false);
  mirror.lookAt(box);
  tip = [0.5, 0.5];
  moveTip();
}

export function choose(name) {
  hold(false);
  tool = name;
  for (let i = 0; i < now.length; i++) tint(i);
  show();
  moveTip();
}

export function setSize(css) {
  size = css;
  moveTip();
}

function moveTo(px, py) {
  tip = [px, py];
  moveTip();
  if (stroke) lineTo(...inLabel(px, py));
}

function moveTip() {
  const [name] = TOOLS[tool];
  const known = classes.find((one) => one.name === name);
  Object.assign($("tip").style, {
    left: `${tip[0] * 100}%`, top: `${tip[1] * 100}%`, width: `${2 * size}px`, height: `${2 * size}px`,
  });
  if (known) $("tip").style.setProperty("--shade", `rgb(${known.rgb})`);
}

function hold(on) {
  if (isDown && !on) end();
  isDown = on;
  $("easel").setAttribute("aria-label", t(on ? "easelDown" : "easel"));
  $("tip").classList.toggle("down", on);
  if (on) start(...tip);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
$("easel").addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  if (arrow) {
    const step = STEP * (event.shiftKey ? 0.25 : 1);
    const share = $("mirror").clientWidth / $("mirror").clientHeight;
    const [x, y] = [tip[0] + arrow[0] * step, tip[1] + arrow[1] * step * share];
    moveTo(Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y)));
  } else if (event.key === " " || event.key === "Enter") hold(!isDown);
  else return;
  event.preventDefault();
  event.stopPropagation();
});
$("easel").addEventListener("blur", () => hold(false));

/** The edited pixels as a PNG in the classes' colours, transparent elsewhere; null without edits. */
export async function asPicture() {
  if (!isChanged()) return null;
  const image = new ImageData(width, height);
  for (let i = 0; i < now.length; i++) if (now[i] !== own[i]) image.data.set([...classes[now[i]].rgb, 255], 4 * i);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}
