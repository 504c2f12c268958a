// The tab for photo editing: parts of other people, and a brush on the face's label.

import * as brush from "./brush.js";
import { takeStill } from "./camera.js";
import { $, h, icon, mark, radios } from "./dom.js";
import * as faces from "./faces.js";
import { say } from "./notes.js";
import { change, onchange } from "./outfit.js";
import { ontab } from "./panel.js";
import { current, editsOfPhoto, onphoto, prepareEdits, readPicture, smallOf } from "./photo.js";
import { base64, fetchJson, labelOf } from "./server.js";
import { t, title } from "./strings.js";

let parts = [];
let classes = [];
let part = "";
const NEAR = 0.03; // maximum distance of one face's centres, fraction of the picture
let references = []; // {key, name, thumbnail, own}: photos to take parts from
let shownReferences = ""; // content of the tiles
let labelled = null; // {id, face}: the photo whose label the brush edits
const photos = new Map(); // reference -> base64

/** Ask the server what can be edited; show the tab if anything can. `looks` are gallery photos. */
export async function loadEditing(looks) {
  ({ parts, classes } = await fetchJson("v1/editing"));
  $("tab-edit").hidden = !parts.length;
  if (!parts.length) return;
  parts = ["mouth", "eyes", "skin", "hair"].filter((name) => parts.includes(name));
  [part] = parts;
  brush.useClasses(classes);
  const models = ["light", "medium", "dark"].map((skin) => ({ key: skin, skin, thumbnail: `v1/faces/${skin}.jpg` }));
  references = [...models, ...looks.map(({ id, title: name, thumbnail }) => ({ key: id, name, thumbnail }))];
  render();
}

const isSame = (a, b) => a === b || Boolean(a && b && Math.hypot(a[0] - b[0], a[1] - b[1]) < NEAR);

/** The edits of the selected face, or of the largest one; null without edits. */
const ownEdits = () => editsOfPhoto()?.list.find(({ face }) => isSame(face, faces.chosenPoint())) ?? null;

// ---- parts of other people

const named = (one) => ({ ...one, name: one.skin ? t(`model_${one.skin}`) : one.own ? one.name : title(one.name) });

function referenceTile({ thumbnail, name }) {
  const inside = thumbnail ? h("img", { src: thumbnail, alt: "", loading: "lazy", width: 72, height: 72, className: "whole" }) : icon("none");
  return [h("span", { className: thumbnail ? "face" : "face empty" }, inside), h("span", { className: "name" }, name)];
}

function renderParts() {
  const worn = ownEdits()?.parts ?? {};
  radios($("edit-parts"), parts.map((name) => ({
    key: name, className: worn[name] ? "chip has" : "chip", content: [t(`part_${name}`)],
  })), part, (name) => ((part = name), renderParts()));
  const all = [{ key: "", name: t("ownPart") }, ...references.filter((one) => one.skin !== current()?.demo || !one.skin).map(named)];
  const made = JSON.stringify(all.map(({ key, name }) => [key, name]));
  if (made !== shownReferences) {
    shownReferences = made;
    radios($("part-references"), all.map((one) => ({ key: one.key, className: "tile", content: referenceTile(one) })), "", take);
    $("part-references").prepend(h("button", { type: "button", className: "tile", id: "part-from-photo", on: { click: () => $("part-reference").click() } },
      h("span", { className: "face empty add" }, icon("photo")), h("span", { className: "name" }, t("fromPhoto"))));
  }
  mark($("part-references"), worn[part]?.key ?? "");
}

async function take(key) {
  const worn = { ...ownEdits()?.parts };
  if (key) worn[part] = { key, data: await photoOf(references.find((one) => one.key === key)) };
  else delete worn[part];
  await put(`part ${part}`, { parts: worn });
}

async function photoOf({ key, thumbnail }) {
  if (!photos.has(key)) photos.set(key, await base64(await (await fetch(thumbnail)).blob()));
  return photos.get(key);
}

async function takeOwn(file) {
  const bitmap = await readPicture(file);
  if (!bitmap) return;
  const reference = { key: `own ${Date.now()}`, name: file.name.replace(/\.\w+$/, ""), thumbnail: URL.createObjectURL(file), own: true };
  photos.set(reference.key, await smallOf(file, bitmap));
  references = [reference, ...references];
  renderParts();
  await take(reference.key);
}

/** Change the photo's edits after the server has applied them; show its error if it cannot. */
async function put(kind, values) {
  const photo = current();
  const before = ownEdits();
  const one = { parts: {}, drawing: null, classes: null, face: faces.chosenPoint(), ...before, ...values };
  const list = (editsOfPhoto()?.list ?? []).filter((other) => other !== before);
  if (Object.keys(one.parts).length || one.drawing) list.push(one);
  const edits = list.length ? { of: photo.id, list } : null;
  say(t("working"));
  $("mirror").ariaBusy = "true";
  try {
    if (edits) await prepareEdits(edits);
    say("");
  } catch (error) {
    say(reason(error), { seconds: 6 });
    render();
    return false;
  } finally {
    $("mirror").ariaBusy = "false";
  }
  if (current() === photo) change(kind, { edits });
  return true;
}

/** Why an edit was refused, in the visitor's language if there is a text for it. */
function reason(error) {
  if (error instanceof TypeError) return t("lost");
  const [where] = error.message.split(":");
  if (where === "image") return t("editNoFace");
  const isMissing = error.message.includes("no face") || error.message.includes("too little of the face");
  if (where === "hair" && !isMissing) return t("hairUnfit");
  return parts.includes(where) ? t("referenceNoFace") : error.message;
}

// ---- the brush

async function openBrush() {
  const photo = current();
  const face = faces.chosenPoint();
  const before = ownEdits()?.classes ?? null;
  try {
    if (labelled?.id !== photo.id || !isSame(labelled.face, face)) {
      say(t("working"));
      const label = await createImageBitmap(await labelOf(photo.own.preview, face), { colorSpaceConversion: "none" });
      if (current() !== photo) return;
      brush.load(label, before);
      labelled = { id: photo.id, face, before };
      say("");
    } else if (labelled.before !== before) {
      brush.use(before);
      labelled.before = before;
    }
  } catch (error) {
    return say(reason(error), { seconds: 6 });
  }
  brush.open(true);
  render();
  $("brush-tools").querySelector("[aria-checked=true]").focus();
}

async function applyBrush() {
  const picture = await brush.asPicture();
  const drawn = picture ? brush.drawn() : null;
  if (!(await put("drawing", { drawing: picture && (await base64(picture)), classes: drawn }))) return;
  labelled.before = ownEdits()?.classes ?? null;
  closeBrush();
}

function closeBrush() {
  if (!brush.isOpen()) return;
  const hadFocus = $("brush").contains(document.activeElement);
  brush.open(false);
  render();
  if (hadFocus) $("redraw").focus();
}

let tool = "upper_lip";
function renderTools() {
  const known = new Map(classes.map(({ name, color }) => [name, color]));
  radios($("brush-tools"), Object.entries(brush.TOOLS).map(([key, [name]]) => {
    const dot = h("span", { className: "dot" });
    dot.style.setProperty("--shade", known.get(name));
    return { key, className: "chip small tool", content: [dot, t(`tool_${key}`)] };
  }), tool, (key) => {
    brush.choose((tool = key));
    renderTools();
  });
}

function renderStrokes() {
  $("brush-undo").disabled = !brush.canUndo();
  $("brush-redo").disabled = !brush.canRedo();
  const isChanged = brush.isChanged();
  $("brush-reset").disabled = !isChanged;
  $("brush-apply").disabled = !isChanged && !ownEdits()?.drawing;
}

// ---- the tab

/** Whether the keys for undo act on the brush. */
export const isDrawing = () => brush.isOpen();
export const undoStroke = brush.undo;
export const redoStroke = brush.redo;

export function render() {
  if (!parts.length) return;
  const isStill = Boolean(current());
  $("edit-still").hidden = isStill;
  $("edit-swap").hidden = !isStill || brush.isOpen();
  $("brush").hidden = !isStill || !brush.isOpen();
  renderParts();
  renderTools();
  $("redraw").classList.toggle("has", Boolean(ownEdits()?.drawing));
}

export function listenToEditing() {
  $("take-still").addEventListener("click", takeStill);
  $("redraw").addEventListener("click", openBrush);
  $("part-reference").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) takeOwn(file);
  });
  $("brush-size").addEventListener("input", (event) => {
    brush.setSize(Number(event.target.value));
  });
  for (const [id, action] of Object.entries({ undo: brush.undo, redo: brush.redo, reset: brush.reset, cancel: closeBrush, apply: applyBrush })) {
    $(`brush-${id}`).addEventListener("click", action);
  }
  brush.onstroke(renderStrokes);
}

ontab((name) => name !== "edit" && closeBrush());
onphoto(() => {
  closeBrush();
  labelled = null;
  render();
});
onchange(render);
faces.onchoose(render);
