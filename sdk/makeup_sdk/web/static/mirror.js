// The picture, drawn to cover the mirror: before and after, divider, zoom, cross-fade.

import { t } from "./strings.js";

const $ = (id) => document.getElementById(id);
const NEAR = 28; // CSS pixels around the divider that grab it
const HOLD = 180; // milliseconds of a press that shows "before"
const FADE = 200;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const box = $("mirror");
const canvas = $("picture");
const brush = canvas.getContext("2d", { alpha: false });
const divider = $("divider");

const view = {
  before: null,
  after: null,
  old: null, // the picture that `after` fades from
  fadeStart: 0,
  mirrored: false,
  focus: [0.5, 0.45], // point of the picture at the mirror's centre, fractions
  zoom: 1,
  comparing: false,
  at: 0.5, // position of the divider
  held: false, // "before" is shown
  layer: null, // a drawing over the picture, of any size
};
const listeners = { view: [], tap: [] };

/** Register a callback after each drawing, as the picture may have moved. */
export const onview = (listener) => listeners.view.push(listener);

/** Register a callback for taps; it gets the point as fractions of the picture. */
export const ontap = (listener) => listeners.tap.push(listener);

/** Show a picture. `before` and `after` have the same aspect ratio; `fade` cross-fades. */
export function show(before, after, { mirrored = false, focus = null, fade = false } = {}) {
  if (view.old && view.old !== view.after) view.old.close?.();
  const crossing = fade && view.after && !calm.matches;
  const [lastBefore, lastAfter] = [view.before, view.after];
  Object.assign(view, { before, after, mirrored, old: crossing ? lastAfter : null, fadeStart: performance.now() });
  if (lastBefore !== before) lastBefore?.close?.();
  if (!crossing && lastAfter !== after && lastAfter !== before) lastAfter?.close?.();
  if (focus) view.focus = focus;
  redraw();
}

/** Show the whole picture again, for a new source. */
export function recenter(focus = [0.5, 0.45]) {
  Object.assign(view, { zoom: 1, focus });
}

/** Zoom to a box, in fractions of the picture; `least` is the smallest zoom. */
export function lookAt([x0, y0, x1, y1], least = 1) {
  view.focus = [(x0 + x1) / 2, (y0 + y1) / 2];
  view.zoom = 1;
  const { scale } = placement();
  const fill = Math.min(canvas.width / ((x1 - x0) * view.after.width), canvas.height / ((y1 - y0) * view.after.height));
  view.zoom = Math.min(8, Math.max(least, fill / scale));
  redraw();
}

/** Show a drawing over the picture; null removes it. Call again after it changes. */
export function overlay(layer) {
  view.layer = layer;
  redraw();
}

/** A box in CSS pixels of the mirror: [left, top, width, height]. */
export function onMirror([x0, y0, x1, y1]) {
  const { scale, x, y } = placement();
  const ratio = canvas.width / box.clientWidth;
  const [w, h] = [view.after.width * scale, view.after.height * scale];
  const left = view.mirrored ? canvas.width - x - x1 * w : x + x0 * w;
  return [left, y + y0 * h, (x1 - x0) * w, (y1 - y0) * h].map((length) => length / ratio);
}

/** Convert a point from fractions of the mirror to fractions of the picture. */
export function inPicture(px, py) {
  const { scale, x, y } = placement();
  const along = view.mirrored ? 1 - px : px;
  return [
    (canvas.width * along - x) / (view.after.width * scale),
    (canvas.height * py - y) / (view.after.height * scale),
  ];
}

let asked = 0;
function redraw() {
  asked ||= requestAnimationFrame(draw);
}

/** Scale and corner of the picture in canvas pixels. */
function placement() {
  const { width, height } = view.after;
  const cover = Math.max(canvas.width / width, canvas.height / height);
  const contain = Math.min(canvas.width / width, canvas.height / height);
  const scale = Math.max(cover * view.zoom, contain);
  const corner = (side, length, share, middle) =>
    length * scale <= side ? (side - length * scale) / 2
      : Math.min(0, Math.max(side - length * scale, side * middle - length * scale * share));
  return {
    scale,
    x: corner(canvas.width, width, view.focus[0], 0.5),
    y: corner(canvas.height, height, view.focus[1], 0.46),
  };
}

const ground = new OffscreenCanvas(12, 12);

/** Fill the area around a smaller picture with a blurred copy. */
function drawGround(picture) {
  ground.getContext("2d").drawImage(picture, 0, 0, ground.width, ground.height);
  brush.drawImage(ground, -canvas.width * 0.1, -canvas.height * 0.1, canvas.width * 1.2, canvas.height * 1.2);
  brush.fillStyle = "rgb(20 17 19 / 0.3)";
  brush.fillRect(0, 0, canvas.width, canvas.height);
}

function draw() {
  asked = 0;
  const { before, after, old } = view;
  if (!after) return;
  const { scale, x, y } = placement();
  const [w, h] = [after.width * scale, after.height * scale];
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.imageSmoothingQuality = "high";
  if (w < canvas.width || h < canvas.height) drawGround(after);
  const paint = (image) => {
    brush.save();
    if (view.mirrored) brush.setTransform(-1, 0, 0, 1, canvas.width, 0);
    brush.drawImage(image, x, y, w, h);
    brush.restore();
  };
  const share = old ? Math.min(1, (performance.now() - view.fadeStart) / FADE) : 1;
  if (share < 1) {
    paint(old);
    brush.globalAlpha = share;
    paint(after);
    brush.globalAlpha = 1;
    redraw();
  } else {
    if (old) {
      old.close?.();
      view.old = null;
    }
    paint(after);
  }
  const until = view.held ? 1 : view.comparing ? view.at : 0;
  if (before && until > 0) {
    brush.save();
    brush.beginPath();
    brush.rect(0, 0, until * canvas.width, canvas.height);
    brush.clip();
    paint(before);
    brush.restore();
  }
  if (view.layer) {
    brush.filter = "blur(2px)";
    paint(view.layer);
    brush.filter = "none";
  }
  for (const listener of listeners.view) listener();
}

function moveDivider(at) {
  view.at = Math.min(1, Math.max(0, at));
  divider.style.left = `${view.at * 100}%`;
  divider.setAttribute("aria-valuenow", Math.round(view.at * 100));
  redraw();
}

/** Show or hide the divider. */
export function compare(on) {
  view.comparing = on;
  divider.hidden = !on;
  for (const tag of ["tag-before", "tag-after"]) $(tag).hidden = !on;
  $("compare").setAttribute("aria-pressed", on);
  if (on) moveDivider(view.at);
  redraw();
}

function hold(on) {
  view.held = on;
  $("tag-before").hidden = !on && !view.comparing;
  redraw();
}

/** Zoom around a point, in fractions of the mirror. */
function zoomBy(factor, px = 0.5, py = 0.5) {
  if (!view.after) return;
  const along = view.mirrored ? 1 - px : px;
  const [fx, fy] = inPicture(px, py);
  view.zoom = Math.min(8, Math.max(0.2, view.zoom * factor));
  const next = placement();
  view.focus = [
    fx + (0.5 - along) * canvas.width / (view.after.width * next.scale),
    fy + (0.46 - py) * canvas.height / (view.after.height * next.scale),
  ].map((f) => Math.min(1, Math.max(0, f)));
  redraw();
}

function pan(dx, dy) {
  if (!view.after) return;
  const { scale } = placement();
  const ratio = canvas.width / box.clientWidth;
  const sign = view.mirrored ? 1 : -1;
  view.focus = [
    view.focus[0] + sign * dx * ratio / (view.after.width * scale),
    view.focus[1] - dy * ratio / (view.after.height * scale),
  ].map((f) => Math.min(1, Math.max(0, f)));
  redraw();
}

// ---- pointers: near the divider it moves; else tool, tap, pan, pinch, or "before" while pressed

const pointers = new Map();
let dragging = false;
let holding = 0;
let started = null; // start of a press that may become a tap
let tool = null;

/** Send pointer events to a tool {down, move, up, cancel}, in fractions of the mirror; or null. */
export const useTool = (other) => (tool = other);

function share(event) {
  const edge = box.getBoundingClientRect();
  return [(event.clientX - edge.left) / edge.width, (event.clientY - edge.top) / edge.height];
}

function down(event) {
  if (event.button) return;
  event.currentTarget.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  clearTimeout(holding);
  const [x] = share(event);
  dragging = view.comparing && pointers.size === 1
    && (event.currentTarget === divider || Math.abs(x - view.at) * box.clientWidth < NEAR);
  started = pointers.size === 1 && !dragging ? [event.clientX, event.clientY] : null;
  if (dragging) moveDivider(x);
  else if (tool) pointers.size === 1 ? tool.down(...share(event)) : tool.cancel();
  else if (pointers.size === 1) holding = setTimeout(hold, HOLD, true);
}

function move(event) {
  const last = pointers.get(event.pointerId);
  if (tool && pointers.size < 2) tool.move(...share(event));
  if (!last) return;
  const now = [event.clientX, event.clientY];
  if (started && Math.hypot(now[0] - started[0], now[1] - started[1]) > 6) started = null;
  if (dragging) moveDivider(share(event)[0]);
  else if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
    const apart = (p) => Math.max(20, Math.hypot(p[0] - other[0], p[1] - other[1]));
    zoomBy(apart(now) / apart(last), ...share(event));
  } else if (!tool && !view.held && Math.hypot(now[0] - last[0], now[1] - last[1]) > 3) {
    clearTimeout(holding);
    pan(now[0] - last[0], now[1] - last[1]);
  } else return;
  pointers.set(event.pointerId, now);
}

function up(event) {
  pointers.delete(event.pointerId);
  clearTimeout(holding);
  dragging = false;
  if (tool) tool.up();
  else if (started && !view.held && view.after && event.type === "pointerup") {
    const place = inPicture(...share(event));
    for (const listener of listeners.tap) listener(place);
  }
  started = null;
  if (view.held) hold(false);
}

for (const target of [canvas, divider]) {
  target.addEventListener("pointerdown", down);
  target.addEventListener("pointermove", move);
  for (const end of ["pointerup", "pointercancel"]) target.addEventListener(end, up);
}
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 400), ...share(event));
}, { passive: false });
canvas.addEventListener("dblclick", (event) => tool || (view.zoom > 1 ? recenter(view.focus) : zoomBy(2.5, ...share(event)), redraw()));
canvas.addEventListener("contextmenu", (event) => view.held && event.preventDefault());

const STEPS = { ArrowLeft: -0.02, ArrowRight: 0.02, ArrowDown: -0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
divider.addEventListener("keydown", (event) => {
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  event.stopPropagation();
  moveDivider(view.at + STEPS[event.key]);
});

// Letter keys work only while the mirror has the focus, so that text fields keep theirs.
box.addEventListener("keydown", (event) => {
  if (event.target !== box || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const arrow = { arrowleft: [40, 0], arrowright: [-40, 0], arrowup: [0, 40], arrowdown: [0, -40] }[key];
  if (arrow && view.comparing && arrow[0]) moveDivider(view.at + STEPS[event.key]);
  else if (arrow) pan(...arrow);
  else if (key === "c") compare(!view.comparing);
  else if (key === "b") hold(true);
  else if (key === "s") $("save").click();
  else if (key === "+" || key === "=") zoomBy(1.25);
  else if (key === "-") zoomBy(0.8);
  else if (key === "0") view.zoom = 0.2, redraw();
  else return;
  event.preventDefault();
});
box.addEventListener("keyup", (event) => event.key.toLowerCase() === "b" && hold(false));
box.addEventListener("blur", () => view.held && hold(false));
$("compare").addEventListener("click", () => compare(!view.comparing));

/** The whole picture with makeup, without the divider: a canvas of the picture's own size. */
export function wholePicture(target = document.createElement("canvas")) {
  const { after } = view;
  if (target.width !== after.width || target.height !== after.height) {
    Object.assign(target, { width: after.width, height: after.height });
  }
  const pen = target.getContext("2d", { alpha: false });
  pen.setTransform(view.mirrored ? -1 : 1, 0, 0, 1, view.mirrored ? after.width : 0, 0);
  pen.drawImage(after, 0, 0);
  return target;
}

/** A small square around the face, as a data URL. */
export function thumbnail(side = 144) {
  const small = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const edge = Math.min(canvas.width, canvas.height) * 0.8;
  small.getContext("2d").drawImage(
    canvas, (canvas.width - edge) / 2, Math.max(0, canvas.height * 0.46 - edge / 2), edge, edge, 0, 0, side, side,
  );
  return small.toDataURL("image/jpeg", 0.8);
}

/** Mean brightness of the picture before makeup, 0 to 255. */
export function brightness() {
  const small = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
  const pen = small.getContext("2d", { willReadFrequently: true });
  pen.drawImage(view.before ?? view.after, 0, 0, 16, 16);
  const { data } = pen.getImageData(0, 0, 16, 16);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
  return sum / (3 * 256);
}

/** The picture's text for screen readers. */
export const describe = (look) => canvas.setAttribute("aria-label", `${t("picture")}: ${look}`);

new ResizeObserver(() => {
  const ratio = Math.min(devicePixelRatio, 2);
  canvas.width = Math.max(1, Math.round(box.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(box.clientHeight * ratio));
  if (view.after) draw();
}).observe(box);
