// Requests to the server: photos over HTTP, live frames over a socket, each one at a time.

const JSON_TYPE = { "content-type": "application/json" };

/** JSON from the server; throws an `Error` with the server's reason. */
export async function fetchJson(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.json();
}

/** A file's bytes in base64. */
export function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** Make a look from a reference photo: {title, regions, file}. */
export async function makeLook(photo, title) {
  return (await post("v1/looks", { photo: await base64(photo), title: title.slice(0, 80) })).json();
}

async function post(path, values) {
  const answer = await fetch(path, { method: "POST", headers: JSON_TYPE, body: JSON.stringify(values) });
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

/** The label of a photo, as a picture: the face part at each pixel; `face` is a point, or null. */
export async function labelOf(image, face) {
  return (await post("v1/label", { image, face })).blob();
}

/** Edit a photo, given in base64: {parts: {part: {data}}, drawing, face}. */
export async function edit(image, { parts, drawing, face }, format) {
  const photos = Object.fromEntries(Object.entries(parts).map(([part, { data }]) => [part, data]));
  return (await post("v1/edit", { image, parts: photos, label: drawing, face, format })).blob();
}

/** Put an outfit on a photo, given in base64: the picture as a Blob, and its faces. */
export async function apply(image, outfit, { face = null, format = "jpeg" } = {}) {
  const answer = await post("v1/apply", { image, outfit, face, format });
  const told = JSON.parse(answer.headers.get("x-result"));
  return { picture: await answer.blob(), told };
}

/**
 * A socket of live frames. `send` takes one frame at a time and also sends a changed `wear`. A lost
 * socket is reopened, here or at another replica, and restores the last session.
 *
 * onframe({after, header, tag, latency}), onstate("connecting" | "open" | "lost" | "idle" | reason)
 */
export class Live {
  #socket = null;
  #sent = null;
  #outfit = null;
  #session = "";
  #brought = {};
  #served = false;
  #retry = 0;
  #closed = false;

  constructor({ onframe, onstate, onerror }) {
    Object.assign(this, { onframe, onstate, onerror });
    this.#connect();
  }

  get ready() {
    return this.#socket?.readyState === WebSocket.OPEN && !this.#sent;
  }

  wear(outfit) {
    this.#outfit = outfit;
  }

  send(jpeg, tag) {
    if (!this.ready) return false;
    if (this.#outfit) this.#socket.send(JSON.stringify({ ...this.#outfit, ...this.#brought }));
    this.#outfit = null;
    this.#brought = {};
    this.#sent = { tag, time: performance.now() };
    this.#socket.send(jpeg);
    return true;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket.close();
  }

  #connect = () => {
    if (this.#closed) return;
    this.onstate("connecting");
    const url = new URL("v1/live", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = location.search;
    url.hash = "";
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => {
      this.#brought = { session: this.#session };
      this.onstate("open");
    };
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => {
      this.#sent = null;
      if (this.#closed) return;
      if (code === 4408) {
        // the server closed the idle socket; it is reopened when the visitor is back
        this.onstate("idle");
        addEventListener("pointerdown", this.#connect, { once: true });
        return;
      }
      this.onstate(reason || "lost");
      this.#retry = setTimeout(this.#connect, this.#served ? 0 : 1500);
      this.#served = false;
    };
  };

  async #receive(data) {
    const sent = this.#sent;
    if (typeof data === "string") {
      const { error } = JSON.parse(data);
      if (error.startsWith("session:")) return; // the server starts a new session and still answers the frame
      this.#sent = null;
      this.onerror(error);
      return;
    }
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const after = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    this.#sent = null;
    this.#served = true;
    this.#session = header.session ?? this.#session;
    this.onframe({ after, header, tag: sent?.tag, latency: sent ? performance.now() - sent.time : 0 });
  }
}
