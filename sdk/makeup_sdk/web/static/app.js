// The try-on page: texts, model faces, controls, start-up.

import { isPlaying, listenToCamera, showCamera, useModel, usePhoto } from "./camera.js";
import { $, h } from "./dom.js";
import { isDrawing, listenToEditing, loadEditing, redoStroke, render as renderEditing, undoStroke } from "./edit.js";
import { copyLink, keep, keptLooks, save, saveLook, share, showKept, useFile, useReference } from "./files.js";
import * as mirror from "./mirror.js";
import { advise } from "./notes.js";
import { bare, begin, canUndo, change, fromLink, isShownStyle, onchange, outfit, remover, undo, useModels } from "./outfit.js";
import * as panel from "./panel.js";
import { current, onphoto } from "./photo.js";
import { record } from "./recording.js";
import { fetchJson } from "./server.js";
import { listenToHandle } from "./sheet.js";
import { preferred, speak, t, title } from "./strings.js";

const FIRST_LOOK = "soft-glam";

function translate() {
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
  for (const element of document.querySelectorAll("[data-tip]")) {
    element.setAttribute("aria-label", t(element.dataset.tip));
    element.title = t(element.dataset.tip);
  }
  showCamera();
}

// ---- model faces

function showPeople() {
  const skin = current()?.demo;
  $("people").hidden = !skin;
  for (const button of $("people").children) button.setAttribute("aria-pressed", button.dataset.skin === skin);
}

function buildPeople() {
  $("people").replaceChildren(...["light", "medium", "dark"].map((skin) => {
    const button = h("button", { type: "button", aria: { label: t("modelFace", { skin: t(skin) }) }, on: { click: () => useModel(skin) } },
      h("img", { src: `v1/faces/${skin}.jpg`, alt: "", width: 40, height: 40 }));
    button.dataset.skin = skin;
    return button;
  }));
  showPeople();
}

onphoto(showPeople);

// ---- controls

function chosen(event, use) {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) use(file);
}

/** Ctrl+Z and Ctrl+Shift+Z: brush strokes while the brush is active, else changes of the outfit. */
function listenToKeys() {
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    const steps = { z: event.shiftKey ? redoStroke : undoStroke, y: redoStroke };
    if ((event.ctrlKey || event.metaKey) && key in steps && event.target.type !== "text") {
      if (!isDrawing() && (key !== "z" || event.shiftKey)) return;
      event.preventDefault();
      (isDrawing() ? steps[key] : undo)();
    }
    if (event.key === "Escape") advise(null);
  });
}

function listen() {
  for (const id of ["photo", "advice-photo"]) $(id).addEventListener("click", () => (advise(null), $("upload").click()));
  $("upload").addEventListener("change", (event) => chosen(event, useFile));
  $("reference").addEventListener("change", (event) => chosen(event, useReference));
  for (const [id, action] of Object.entries({ save, share, record, keep, undo, link: copyLink, "look-file": saveLook })) {
    $(id).addEventListener("click", action);
  }
  $("reset").addEventListener("click", () => change("reset", bare()));
  $("language").addEventListener("change", (event) => {
    localStorage.setItem("language", event.target.value);
    speak(event.target.value);
    translate();
    buildPeople();
    panel.render();
    renderEditing();
  });
  addEventListener("paste", (event) => event.clipboardData.files[0] && useFile(event.clipboardData.files[0]));
  addEventListener("dragover", (event) => (event.preventDefault(), ($("drop").hidden = false)));
  addEventListener("dragleave", (event) => event.relatedTarget === null && ($("drop").hidden = true));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").hidden = true;
    if (event.dataTransfer.files[0]) useFile(event.dataTransfer.files[0]);
  });
  listenToKeys();
  listenToCamera();
  listenToEditing();
  listenToHandle();
}

onchange((worn) => {
  $("undo").disabled = !canUndo();
  const tile = panel.tiles.get(worn.tile);
  mirror.describe(tile ? title(tile.name) : t("kept"));
  for (const id of ["keep", "link", "look-file"]) $(id).disabled = !outfit(panel.refOf).look;
  $("look-file").hidden = Boolean(worn.base && !worn.base.file);
});

// ---- the start

const capital = (text) => text[0].toUpperCase() + text.slice(1);

async function load() {
  const [designs, looks, models, schema] = await Promise.all(
    ["v1/designs", "v1/looks", "v1/models", "v1/products"].map(fetchJson),
  );
  panel.useSchema(schema);
  useModels(models);
  keptLooks().forEach(showKept);
  panel.addTile("bare", { name: "No makeup", base: null, products: [], icon: "none" });
  if (remover()) panel.addTile("remove", { name: "Take makeup off", base: { bare: true }, products: [], icon: "off" });
  designs.sort((a, b) => (b.name === FIRST_LOOK) - (a.name === FIRST_LOOK));
  for (const { name, title: text, products } of designs) {
    panel.addTile(name, { name: text, base: null, products, thumbnail: `v1/designs/${name}/{skin}.jpg` });
  }
  for (const { id, title: text, thumbnail } of looks) {
    panel.addTile(`photo ${id}`, { name: text, base: { gallery: id }, products: [], thumbnail, whole: true });
  }
  for (const { name, styles } of models) {
    for (const style of styles.filter(isShownStyle)) {
      const thumbnail = `v1/styles/${name}/${encodeURIComponent(style)}/{skin}.jpg`;
      panel.addTile(`style ${style}`, { name: capital(style), base: { style }, products: [], thumbnail });
    }
  }
  await loadEditing(looks);
  const shared = new URLSearchParams(location.hash.slice(1)).get("look");
  const first = panel.tiles.get(FIRST_LOOK);
  begin((shared && fromLink(shared)) ?? { tile: FIRST_LOOK, products: first.products });
}

speak(preferred());
$("language").value = document.documentElement.lang;
translate();
buildPeople();
listen();
const face = fetch("v1/faces/medium.jpg").then((answer) => answer.blob());
createImageBitmap(await face).then((bitmap) => current() || mirror.show(null, bitmap));
await load();
$("share").hidden = !navigator.canShare?.({ files: [new File([""], "a.png", { type: "image/png" })] });
if (!isPlaying()) await usePhoto(await face, "medium");
