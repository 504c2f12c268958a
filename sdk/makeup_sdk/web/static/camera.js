// Camera and video: frames over the socket, one in flight.

import { $ } from "./dom.js";
import * as faces from "./faces.js";
import * as mirror from "./mirror.js";
import { advise, say } from "./notes.js";
import { modelInUse, onchange, outfit } from "./outfit.js";
import { refOf, timed, useSkin } from "./panel.js";
import { jpegOf, leavePhoto, readPicture, showPhoto } from "./photo.js";
import { recordFrame, stopRecording } from "./recording.js";
import { Live } from "./server.js";
import { t } from "./strings.js";

const LIVE_SIDE = 960;
const LIGHT_SIDE = 560;
const SLOW_FPS = 12;
const DIM = 45;

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

export const isPlaying = () => Boolean(live);

function goLive() {
  leavePhoto();
  live?.close();
  [arrivals, frames, slowSince, isSkinKnown] = [[], 0, 0, false];
  mirror.recenter();
  live = new Live({ onframe: onFrame, onstate: onState, onerror: (text) => (say(text), next()) });
  wear();
  showCamera();
  $("meter").hidden = false;
  next();
}

function onState(state) {
  if (state === "open") {
    say("");
    wear();
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
  faces.show(header.faces, { live: true });
  timed(header.milliseconds);
  if (header.skin && !isSkinKnown) {
    isSkinKnown = true;
    useSkin(header.skin);
  }
  sayOfFrame(faces.chosen() ?? header.faces[0], fps, now);
  recordFrame();
  $("save").disabled = false;
  $("record").hidden = !window.MediaRecorder;
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

export async function startCamera() {
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
  stream.getVideoTracks()[0].addEventListener("ended", takeStill);
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

/** Keep the camera's last frame as a photo. */
export async function takeStill() {
  const last = isPlaying() && video.videoWidth ? await stillOf(video) : null;
  stopCamera();
  if (!last) return useModel("medium");
  await showPhoto(await jpegOf(last, Math.max(last.width, last.height), 0.95), last);
}

/** The shown frame, mirrored as the visitor sees it. */
async function stillOf(source) {
  const canvas = new OffscreenCanvas(source.videoWidth, source.videoHeight);
  const pen = canvas.getContext("2d");
  if (stream && mirrored) pen.setTransform(-1, 0, 0, 1, canvas.width, 0);
  pen.drawImage(source, 0, 0);
  return createImageBitmap(canvas);
}

/** Show a picture file instead of the camera; `demo` is the skin of a model face. */
export async function usePhoto(file, demo = "") {
  const bitmap = await readPicture(file);
  if (!bitmap) return;
  stopCamera();
  await showPhoto(file, bitmap, demo);
}

/** Use a shipped face. */
export async function useModel(skin) {
  const answer = await fetch(`v1/faces/${skin}.jpg`);
  await usePhoto(await answer.blob(), skin);
}

/** Show in the visitor's language whether the camera runs. */
export function showCamera() {
  $("camera").querySelector("span").textContent = t(isPlaying() ? "stopCamera" : "startCamera");
  $("flip").hidden = !stream;
  if (!isPlaying()) $("record").hidden = true;
}

function setMirrored(on) {
  mirrored = on;
  $("flip").setAttribute("aria-pressed", on);
}

/** Play a video file with makeup. */
export async function useVideo(file) {
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

function wear() {
  live?.wear({ ...outfit(refOf), face: faces.chosenId() });
}

/** Attach the camera's controls. */
export function listenToCamera() {
  $("camera").addEventListener("click", () => (isPlaying() ? takeStill() : startCamera()));
  $("advice-again").addEventListener("click", startCamera);
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
}

let modelWorn = "";
onchange(() => {
  if (modelWorn !== modelInUse()) faces.forgetId(); // another model numbers the faces anew
  modelWorn = modelInUse();
  wear();
});
faces.onchoose(wear);
