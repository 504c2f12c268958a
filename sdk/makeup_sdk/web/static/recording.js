// Recording of clips, and downloads.

import { wholePicture } from "./mirror.js";
import { t } from "./strings.js";

const $ = (id) => document.getElementById(id);

/** Download a file. */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

const film = document.createElement("canvas");
let recorder = null;

/** Start or stop recording. */
export function record() {
  if (recorder) return stopRecording();
  wholePicture(film);
  const types = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm"];
  const mimeType = types.find((type) => MediaRecorder.isTypeSupported(type));
  const parts = [];
  recorder = new MediaRecorder(film.captureStream(30), { mimeType, videoBitsPerSecond: 8e6 });
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onstop = () => download(new Blob(parts, { type: mimeType }), mimeType.includes("mp4") ? "makeup.mp4" : "makeup.webm");
  recorder.start(1000);
  const start = Date.now();
  const tick = () => {
    const seconds = Math.floor((Date.now() - start) / 1000);
    $("record-time").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  };
  tick();
  record.timer = setInterval(tick, 500);
  showRecording(true);
}

/** Stop a running recording and download the clip. */
export function stopRecording() {
  if (!recorder) return;
  recorder.stop();
  recorder = null;
  clearInterval(record.timer);
  showRecording(false);
}

/** Record the shown frame. */
export function recordFrame() {
  if (recorder) wholePicture(film);
}

function showRecording(on) {
  $("record").setAttribute("aria-pressed", on);
  $("record").setAttribute("aria-label", t(on ? "stopRecording" : "record"));
  $("record-time").hidden = !on;
}
