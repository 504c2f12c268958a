// Try-on page: sends frames over a socket, one in flight, and draws what comes back.

const MAX_SIDE = 960;
const LIP_SHADES = ["#b3123a", "#d13b4a", "#e87461", "#c2566b", "#8f2346", "#5b1f5e", "#8a4b32", "#c98a7d"];
const COLORS = { lips: "#b3123a", eyes: "#1b7f86", blush: "#e2607a", brows: "#2a1c14" };
const REGIONS = { lips: "Lips", skin: "Skin", eyes: "Eyes", brows: "Brows" };

const $ = (id) => document.getElementById(id);
const picture = $("picture");
const brush = picture.getContext("2d");
const video = document.createElement("video");
video.muted = true;
video.playsInline = true;
video.loop = true;

const state = {
  looks: new Map(), // id -> {title, ref}
  look: "",
  source: null, // video element or ImageBitmap
  stream: null,
  before: null,
  after: null,
  pending: null, // the frame whose answer is awaited
  times: [],
};

function say(text, error = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", error);
}

// ---- what is worn

function outfit() {
  const refOf = (id) => (id ? state.looks.get(id).ref : null);
  const colors = { finish: $("finish").value };
  for (const part of Object.keys(COLORS)) {
    if ($(`use-${part}`).checked) colors[part] = $(`color-${part}`).value;
  }
  const strength = {};
  for (const region of Object.keys(REGIONS)) strength[region] = $(`strength-${region}`).value / 100;
  return {
    look: refOf(state.look),
    second: refOf($("second").value),
    share: $("share").value / 100,
    colors: Object.keys(colors).length > 1 ? colors : null,
    strength,
  };
}

let changed = 0;
function wear() {
  $("share").disabled = !$("second").value;
  cancelAnimationFrame(changed);
  changed = requestAnimationFrame(() => {
    if (socket?.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify(outfit()));
      sendFrame();
    }
  });
}

function addLook(id, title, ref, image) {
  state.looks.set(id, { title, ref });
  const label = document.createElement("label");
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "look", value: id });
  const face = Object.assign(document.createElement("span"), { className: "face" });
  if (image) face.append(Object.assign(document.createElement("img"), { src: image, alt: "" }));
  else face.textContent = id ? "mine" : "bare";
  label.append(radio, face, title);
  radio.addEventListener("change", () => {
    state.look = id;
    wear();
  });
  $("gallery").append(label);
  if (id) $("second").append(new Option(title, id));
  return radio;
}

async function loadGallery() {
  addLook("", "No look", null, null).checked = true;
  const looks = await (await fetch("v1/looks")).json();
  for (const look of looks) addLook(look.id, look.title, { gallery: look.id }, look.thumbnail);
}

async function ownReference(file) {
  say("Reading the makeup of your reference…");
  const answer = await fetch("v1/looks", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ photo: await base64(file), title: file.name.slice(0, 80) }),
  });
  const look = await answer.json();
  if (!answer.ok) return say(look.error ?? "That did not work.", true);
  const radio = addLook(`own-${state.looks.size}`, look.title, { file: look.file }, URL.createObjectURL(file));
  radio.checked = true;
  radio.dispatchEvent(new Event("change"));
  say(`Wearing the makeup of ${look.title}.`);
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

// ---- the socket

let socket = null;
function connect() {
  const url = new URL("v1/live", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = location.search;
  socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    say("");
    wear();
  };
  socket.onmessage = receive;
  socket.onclose = (event) => {
    state.pending = null;
    if (event.code === 4408) {
      // the place went to others; it is asked for again when somebody is here
      say("Paused. Touch the page to go on.");
      return addEventListener("pointerdown", connect, { once: true });
    }
    say(event.reason || "The connection was lost; trying again…", true);
    setTimeout(connect, 1500);
  };
}

async function receive(event) {
  if (typeof event.data === "string") {
    state.pending = null;
    say(JSON.parse(event.data).error, true);
    return;
  }
  const length = new DataView(event.data).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(event.data, 4, length)));
  const frame = new Blob([new Uint8Array(event.data, 4 + length)], { type: "image/jpeg" });
  const after = await createImageBitmap(frame);
  const pending = state.pending;
  state.before?.close();
  state.after?.close();
  Object.assign(state, { before: pending?.bitmap ?? null, after, pending: null });
  if (pending) meter(performance.now() - pending.sent, header);
  draw();
  $("save").disabled = false;
  if (state.source === video) next();
}

function meter(latency, header) {
  const now = performance.now();
  state.times = [...state.times.filter((time) => now - time < 2000), now];
  const fps = state.times.length > 1 ? (state.times.length - 1) / ((now - state.times[0]) / 1000) : 0;
  const faces = header.faces.length === 1 ? "1 face" : `${header.faces.length} faces`;
  $("meter").textContent =
    `${fps.toFixed(1)} fps, ${latency.toFixed(0)} ms (${header.milliseconds.toFixed(0)} ms on the server), ` +
    `${faces}, ${header.dropped} dropped`;
  const first = header.faces[0];
  if (!first) say("No face in the picture.");
  else if (first.painted) say("");
  else if (first.status !== "ok") say(`The face is not made up: ${first.status.replace("_", " ")}.`);
}

// ---- frames

function next() {
  if (state.stream || !video.paused) requestAnimationFrame(() => sendFrame());
}

async function sendFrame() {
  const source = state.source;
  if (!source || state.pending || socket?.readyState !== WebSocket.OPEN) return;
  const width = source.videoWidth || source.width;
  const height = source.videoHeight || source.height;
  if (!width) return next();
  state.pending = { sent: performance.now(), bitmap: null };
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  if (!state.pending) return;
  state.pending.bitmap = await createImageBitmap(canvas);
  socket.send(blob);
}

function draw() {
  const { before, after } = state;
  if (!after) return;
  $("empty").hidden = true;
  picture.width = after.width;
  picture.height = after.height;
  brush.drawImage(after, 0, 0);
  const x = Math.round(($("divider").value / 100) * after.width);
  if (before && x > 0) {
    brush.drawImage(before, 0, 0, x, before.height, 0, 0, x, after.height);
    brush.fillStyle = "#fff";
    brush.fillRect(x - 1, 0, 2, after.height);
  }
}

function stopCamera() {
  state.stream?.getTracks().forEach((track) => track.stop());
  state.stream = null;
  $("camera").setAttribute("aria-pressed", "false");
  $("camera").textContent = "Start camera";
}

async function toggleCamera() {
  if (state.stream) {
    stopCamera();
    video.pause();
    return say("Camera stopped.");
  }
  try {
    state.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 } });
  } catch (error) {
    return say(`The camera cannot be used: ${error.message}.`, true);
  }
  video.srcObject = state.stream;
  await video.play();
  state.source = video;
  $("camera").setAttribute("aria-pressed", "true");
  $("camera").textContent = "Stop camera";
  sendFrame();
}

async function openFile(file) {
  stopCamera();
  video.srcObject = null;
  if (file.type.startsWith("video/")) {
    video.src = URL.createObjectURL(file);
    try {
      await video.play();
    } catch {
      return say("This browser cannot play that video.", true);
    }
    state.source = video;
  } else {
    try {
      state.source = await createImageBitmap(file);
    } catch {
      return say("That file is no picture this browser can read.", true);
    }
    video.pause();
  }
  sendFrame();
}

function save() {
  picture.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { download: "makeup.png" });
    link.href = URL.createObjectURL(blob);
    link.click();
    URL.revokeObjectURL(link.href);
  }, "image/png");
}

// ---- controls

function build() {
  for (const [part, color] of Object.entries(COLORS)) {
    const use = Object.assign(document.createElement("input"), { type: "checkbox", id: `use-${part}` });
    const name = document.createElement("label");
    name.append(use, ` ${part}`);
    const pick = Object.assign(document.createElement("input"), { type: "color", id: `color-${part}`, value: color });
    pick.setAttribute("aria-label", `Colour of ${part}`);
    pick.addEventListener("input", () => {
      use.checked = true;
      wear();
    });
    use.addEventListener("change", wear);
    $("colors").append(name, pick, document.createElement("span"));
  }
  for (const color of LIP_SHADES) {
    const shade = Object.assign(document.createElement("button"), { type: "button", className: "shade" });
    shade.style.background = color;
    shade.setAttribute("aria-label", `Lip shade ${color}`);
    shade.addEventListener("click", () => {
      $("color-lips").value = color;
      $("use-lips").checked = true;
      wear();
    });
    $("shades").append(shade);
  }
  for (const [region, title] of Object.entries(REGIONS)) {
    const id = `strength-${region}`;
    const name = Object.assign(document.createElement("label"), { htmlFor: id, textContent: title });
    const slider = Object.assign(document.createElement("input"), { type: "range", id, min: 0, max: 100, value: 100 });
    const value = Object.assign(document.createElement("output"), { textContent: "100 %" });
    slider.addEventListener("input", () => {
      value.textContent = `${slider.value} %`;
      wear();
    });
    $("strengths").append(name, slider, value);
  }
  for (const id of ["second", "share", "finish"]) $(id).addEventListener("input", wear);
  $("divider").addEventListener("input", draw);
  $("camera").addEventListener("click", toggleCamera);
  $("save").addEventListener("click", save);
  $("upload").addEventListener("change", (event) => event.target.files[0] && openFile(event.target.files[0]));
  $("reference").addEventListener(
    "change",
    (event) => event.target.files[0] && ownReference(event.target.files[0]),
  );
}

build();
await loadGallery();
connect();
