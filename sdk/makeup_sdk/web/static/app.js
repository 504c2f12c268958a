// The try-on page: where pictures come from, and what happens to them.

import * as mirror from "./mirror.js";
import { Live, apply, base64, fetchJson, makeLook } from "./server.js";
import { begin, canUndo, change, fromLink, link, bare, onchange, outfit, undo, wearing } from "./outfit.js";
import { advise, say } from "./notes.js";
import * as panel from "./panel.js";
import { download, record, recordFrame, stopRecording } from "./recording.js";
import { listenToHandle } from "./sheet.js";
import { preferred, speak, t, title } from "./strings.js";

const $ = (id) => document.getElementById(id);
const LIVE_SIDE = 960;
const LIGHT_SIDE = 560;
const PREVIEW_SIDE = 1280;
const MOST_PIXELS = 16e6;
const MOST_BYTES = 11e6;
const SLOW_FPS = 12;
const DIM = 45;
const FIRST_LOOK = "soft-glam";

// ---- words

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

// ---- a photo: painted anew whenever something changes, the newest wish first

let photo = null; // {bitmap, preview (base64), full (base64 or null), demo}
let painting = false;
let stale = false;
let sharpen = 0;

async function jpegOf(bitmap, side, quality = 0.92) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality });
}

async function fullOf(file, bitmap) {
  const pixels = bitmap.width * bitmap.height;
  if (pixels <= MOST_PIXELS && file.size <= MOST_BYTES && /jpeg|png|webp/.test(file.type)) return base64(file);
  const side = Math.max(bitmap.width, bitmap.height) * Math.min(1, Math.sqrt(MOST_PIXELS / pixels));
  return base64(await jpegOf(bitmap, side, 0.95));
}

async function usePhoto(file, demo = "") {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return say(t("badPicture"), { seconds: 6 });
  }
  stopCamera();
  const large = Math.max(bitmap.width, bitmap.height) > PREVIEW_SIDE;
  const preview = await base64(large ? await jpegOf(bitmap, PREVIEW_SIDE) : file);
  photo = { bitmap, file, preview, full: null, large, demo, placed: false };
  mirror.recenter();
  showPeople();
  await paint();
}

/** Paint the photo; while that goes on, a further wish makes one more round. */
async function paint() {
  stale = true;
  clearTimeout(sharpen);
  if (painting) return;
  painting = true;
  $("mirror").ariaBusy = "true";
  const patience = setTimeout(() => say(t("working")), 700);
  try {
    while (stale && photo) {
      stale = false;
      await paintOnce(photo.preview);
    }
    if (photo?.large) sharpen = setTimeout(paintSharp, 500);
    advise(null);
  } catch (error) {
    if (error instanceof TypeError) {
      say(t("lost"));
      setTimeout(paint, 2000);
    } else say(error.message || t("wrong"));
  } finally {
    clearTimeout(patience);
    painting = false;
    $("mirror").ariaBusy = "false";
  }
}

async function paintOnce(image) {
  const current = photo;
  const { picture, told } = await apply(image, outfit(panel.refOf));
  const after = await createImageBitmap(picture);
  if (photo !== current) return;
  const face = told.faces[0];
  const focus = face && !current.placed ? [(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2] : null;
  current.placed ||= Boolean(face);
  mirror.show(current.bitmap, after, { fade: true, focus });
  if (face) panel.timed(wearing().model, told.milliseconds);
  panel.useSkin(current.demo || told.skin);
  const bare = !told.faces.length && !current.placed && outfit(panel.refOf).look;
  say(bare ? t("noFacePhoto") : face && !face.painted && face.status !== "ok" ? t(face.status) : "");
  ready();
}

/** The whole size, once nothing changes any more. */
async function paintSharp() {
  if (painting || !photo) return;
  painting = true;
  try {
    photo.full ??= await fullOf(photo.file, photo.bitmap);
    if (!stale) await paintOnce(photo.full);
  } catch {
    // the preview stays
  } finally {
    painting = false;
    if (stale) paint();
  }
}

function ready() {
  $("save").disabled = false;
  $("record").hidden = !window.MediaRecorder || Boolean(photo);
  $("share").hidden = !navigator.canShare?.({ files: [new File([""], "a.png", { type: "image/png" })] });
}

// ---- camera and video: frames over the socket, one in flight

const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, loop: true });
let stream = null;
let live = null;
let side = LIVE_SIDE;
let mirrored = true;
let facing = "user";
let camera = localStorage.getItem("camera") ?? "";
let arrivals = [];
let frames = 0;
let slowSince = 0;
let isSkinKnown = false;

const isPlaying = () => Boolean(live);

function goLive() {
  photo = null;
  clearTimeout(sharpen);
  live?.close();
  [arrivals, frames, slowSince, isSkinKnown] = [[], 0, 0, false];
  mirror.recenter();
  live = new Live({ onframe: onFrame, onstate: onState, onerror: (text) => (say(text), next()) });
  live.wear(outfit(panel.refOf));
  showPeople();
  showCamera();
  $("meter").hidden = false;
  next();
}

function onState(state) {
  if (state === "open") {
    say("");
    live.wear(outfit(panel.refOf));
    next();
  } else if (state === "connecting") say(t(frames ? "lost" : "connecting"));
  else say(["lost", "idle"].includes(state) ? t(state) : state);
}

let asked = false;
function next() {
  if (!live || asked) return;
  asked = true;
  requestAnimationFrame(async () => {
    asked = false;
    if (!live?.ready || !video.videoWidth || (video.paused && frames)) return;
    const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
    const canvas = new OffscreenCanvas(Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const jpeg = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
    live?.send(jpeg, canvas.transferToImageBitmap());
  });
}

function onFrame({ after, header, tag, latency }) {
  frames += 1;
  mirror.show(tag ?? null, after, { mirrored: Boolean(stream) && mirrored });
  const now = performance.now();
  arrivals = [...arrivals.filter((time) => now - time < 2000), now];
  const fps = arrivals.length > 1 ? ((arrivals.length - 1) * 1000) / (now - arrivals[0]) : 0;
  const n = header.faces.length;
  $("meter").textContent = t(n > 1 ? "dropped" : "fps", { fps: fps.toFixed(0), ms: latency.toFixed(0), n });
  panel.timed(wearing().model, header.milliseconds);
  if (header.skin && !isSkinKnown) {
    isSkinKnown = true;
    panel.useSkin(header.skin);
  }
  sayOfFrame(header.faces[0], fps, now);
  recordFrame();
  ready();
  next();
}

function sayOfFrame(face, fps, now) {
  const status = !face ? "noFace" : !face.painted && face.status !== "ok" ? face.status : "";
  slowSince = fps && fps < SLOW_FPS && side > LIGHT_SIDE ? slowSince || now : 0;
  if (status) say(t(status));
  else if (frames % 10 === 0 && mirror.brightness() < DIM) say(t("dark_room"), { seconds: 3 });
  else if (slowSince && now - slowSince > 4000) {
    say(t("slow"), { action: [t("lighter"), () => ([side, slowSince] = [LIGHT_SIDE, 0], say(""))] });
  } else if ($("status-action").hidden && frames % 10) say("");
}

async function startCamera() {
  advise(null);
  if (!navigator.mediaDevices?.getUserMedia) return advise("insecure");
  say(t("asking"));
  const wish = camera ? { deviceId: { ideal: camera } } : { facingMode: facing };
  try {
    const found = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 }, ...wish } });
    stopCamera();
    stream = found;
  } catch (error) {
    const kinds = { NotFoundError: "noCamera", OverconstrainedError: "noCamera", NotReadableError: "busy" };
    return advise(kinds[error.name] ?? "blocked");
  }
  stream.getVideoTracks()[0].addEventListener("ended", backToPhoto);
  video.srcObject = stream;
  await video.play();
  goLive();
  listCameras();
}

async function listCameras() {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  $("camera-field").hidden = $("switch").hidden = cameras.length < 2;
  $("cameras").replaceChildren(...cameras.map(({ label, deviceId }, i) => new Option(label || `${t("cameraChoice")} ${i + 1}`, deviceId)));
  const used = stream?.getVideoTracks()[0].getSettings();
  if (used?.deviceId) $("cameras").value = used.deviceId;
  if (used?.facingMode === "environment") setMirrored(false);
}

function stopCamera() {
  stopRecording();
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.pause();
  video.srcObject = null;
  video.removeAttribute("src");
  live?.close();
  live = null;
  $("meter").hidden = true;
  say("");
  showCamera();
}

/** After the camera: the last frame stays as a photo. */
async function backToPhoto() {
  const last = isPlaying() && video.videoWidth ? await createImageBitmap(video) : null;
  stopCamera();
  if (!last) return useModel("medium");
  usePhoto(await jpegOf(last, Math.max(last.width, last.height), 0.95));
}

function showCamera() {
  $("camera").querySelector("span").textContent = t(isPlaying() ? "stopCamera" : "startCamera");
  $("flip").hidden = !stream;
  if (!isPlaying()) $("record").hidden = true;
}

function setMirrored(on) {
  mirrored = on;
  $("flip").setAttribute("aria-pressed", on);
}

async function useVideo(file) {
  stopCamera();
  video.src = URL.createObjectURL(file);
  try {
    await video.play();
  } catch {
    say(t("badVideo"), { seconds: 6 });
    return;
  }
  goLive();
}

// ---- model faces

function showPeople() {
  const wants = Boolean(photo?.demo);
  $("people").hidden = !wants;
  for (const button of $("people").children) button.setAttribute("aria-pressed", button.dataset.skin === photo?.demo);
}

function buildPeople() {
  $("people").replaceChildren(...["light", "medium", "dark"].map((skin) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.dataset.skin = skin;
    button.setAttribute("aria-label", t("modelFace", { skin: t(skin) }));
    button.append(Object.assign(document.createElement("img"), { src: `v1/faces/${skin}.jpg`, alt: "", width: 40, height: 40 }));
    button.addEventListener("click", () => useModel(skin));
    return button;
  }));
  showPeople();
}

async function useModel(skin) {
  const answer = await fetch(`v1/faces/${skin}.jpg`);
  await usePhoto(await answer.blob(), skin);
}

// ---- files

async function useFile(file) {
  advise(null);
  if (/\.(look|json)$/i.test(file.name)) return useLookFile(file);
  if (file.type.startsWith("video/")) return useVideo(file);
  return usePhoto(file);
}

async function useLookFile(file) {
  const name = file.name.replace(/\.\w+$/, "");
  const id = `own ${Date.now()}`;
  try {
    if (/\.json$/i.test(file.name)) {
      const { products, title: given } = JSON.parse(await file.text());
      if (!Array.isArray(products)) throw new Error();
      panel.addTile(id, { name: given ?? name, own: true, base: null, products, icon: "heart" }, true);
    } else {
      panel.addTile(id, { name, own: true, base: { file: await base64(file) }, products: [], icon: "heart" }, true);
    }
  } catch {
    return say(t("badLook"), { seconds: 6 });
  }
  panel.chooseTile(id);
}

async function useReference(file) {
  say(t("reading"));
  try {
    const look = await makeLook(file, file.name.replace(/\.\w+$/, ""));
    const id = `own ${Date.now()}`;
    panel.addTile(id, { name: look.title, own: true, base: { file: look.file }, products: [], thumbnail: URL.createObjectURL(file), whole: true }, true);
    say("");
    panel.chooseTile(id);
  } catch (error) {
    say(error.message || t("wrong"), { seconds: 8 });
  }
}

// ---- kept looks

const keptLooks = () => JSON.parse(localStorage.getItem("kept") ?? "[]");

function showKept(entry) {
  panel.addTile(entry.id, { ...entry, own: true, whole: true, forget: () => forget(entry.id) }, true);
}

function keep() {
  const { base, products, strength } = wearing();
  const number = keptLooks().length + 1;
  const entry = { id: `kept ${Date.now()}`, name: `${t("kept")} ${number}`, base, products, strength, thumbnail: mirror.thumbnail() };
  try {
    localStorage.setItem("kept", JSON.stringify([...keptLooks(), entry]));
  } catch {
    return say(t("wrong"), { seconds: 4 });
  }
  showKept(entry);
  change("keep", { tile: entry.id });
}

function forget(id) {
  localStorage.setItem("kept", JSON.stringify(keptLooks().filter((entry) => entry.id !== id)));
  panel.tiles.delete(id);
  panel.render();
  $("from-photo").focus();
}

// ---- handing on: pictures, clips, looks

/** The picture in its full size, without divider. */
async function picture() {
  if (photo) {
    photo.full ??= await fullOf(photo.file, photo.bitmap);
    return (await apply(photo.full, outfit(panel.refOf), "png")).picture;
  }
  return new Promise((resolve) => mirror.wholePicture().toBlob(resolve, "image/png"));
}

async function save() {
  say(t("saving"));
  try {
    download(await picture(), "makeup.png");
    say(t("saved"), { seconds: 2 });
  } catch (error) {
    say(error.message || t("wrong"), { seconds: 6 });
  }
}

async function share() {
  const file = new File([await picture()], "makeup.png", { type: "image/png" });
  await navigator.share({ files: [file] }).catch(() => {}); // the visitor may change their mind
}

async function copyLink() {
  const text = link();
  if (!text) return say(t("noLink"), { seconds: 5 });
  const address = new URL(location.href);
  address.search = "";
  address.hash = `look=${text}`;
  await navigator.clipboard.writeText(address.href);
  say(t("linkCopied"), { seconds: 3 });
}

function saveLook() {
  const { base, products, tile } = wearing();
  const name = panel.tiles.get(tile)?.name ?? t("kept");
  if (base?.file) {
    const bytes = Uint8Array.from(atob(base.file), (c) => c.charCodeAt(0));
    return download(new Blob([bytes]), `${name}.look`);
  }
  const text = JSON.stringify({ format: 1, title: name, products }, null, 2);
  download(new Blob([text], { type: "application/json" }), `${name}.json`);
}

// ---- controls

function chosen(event, use) {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) use(file);
}

function listen() {
  $("camera").addEventListener("click", () => (isPlaying() ? backToPhoto() : startCamera()));
  for (const id of ["photo", "advice-photo"]) $(id).addEventListener("click", () => (advise(null), $("upload").click()));
  $("advice-again").addEventListener("click", startCamera);
  $("upload").addEventListener("change", (event) => chosen(event, useFile));
  $("reference").addEventListener("change", (event) => chosen(event, useReference));
  $("flip").addEventListener("click", () => setMirrored(!mirrored));
  $("switch").addEventListener("click", () => {
    [facing, camera] = [facing === "user" ? "environment" : "user", ""];
    startCamera();
  });
  $("cameras").addEventListener("change", (event) => {
    camera = event.target.value;
    localStorage.setItem("camera", camera);
    startCamera();
  });
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
  });
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && event.target.type !== "text") {
      event.preventDefault();
      undo();
    }
    if (event.key === "Escape") advise(null);
  });
  addEventListener("paste", (event) => event.clipboardData.files[0] && useFile(event.clipboardData.files[0]));
  addEventListener("dragover", (event) => (event.preventDefault(), ($("drop").hidden = false)));
  addEventListener("dragleave", (event) => event.relatedTarget === null && ($("drop").hidden = true));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").hidden = true;
    if (event.dataTransfer.files[0]) useFile(event.dataTransfer.files[0]);
  });
  listenToHandle();
}

onchange((worn) => {
  $("undo").disabled = !canUndo();
  const tile = panel.tiles.get(worn.tile);
  mirror.describe(tile ? title(tile.name) : t("kept"));
  for (const id of ["keep", "link", "look-file"]) $(id).disabled = !outfit(panel.refOf).look;
  $("look-file").hidden = Boolean(worn.base?.gallery);
  if (live) live.wear(outfit(panel.refOf));
  else if (photo) paint();
});

async function load() {
  const [designs, looks, models, schema] = await Promise.all(
    ["v1/designs", "v1/looks", "v1/models", "v1/products"].map(fetchJson),
  );
  panel.useSchema(schema);
  panel.useModels(models);
  keptLooks().forEach(showKept);
  panel.addTile("bare", { name: "No makeup", base: null, products: [], icon: "none" });
  designs.sort((a, b) => (b.name === FIRST_LOOK) - (a.name === FIRST_LOOK));
  for (const { name, title: text, products } of designs) {
    panel.addTile(name, { name: text, base: null, products, thumbnail: `v1/designs/${name}/{skin}.jpg` });
  }
  for (const { id, title: text, thumbnail } of looks) {
    panel.addTile(`photo ${id}`, { name: text, base: { gallery: id }, products: [], thumbnail, whole: true });
  }
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
createImageBitmap(await face).then((bitmap) => photo || mirror.show(null, bitmap));
await load();
await usePhoto(await face, "medium");
