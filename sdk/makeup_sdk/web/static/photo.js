// A photo on the mirror: repainted after every change; only the newest request runs.

import { $ } from "./dom.js";
import * as faces from "./faces.js";
import * as mirror from "./mirror.js";
import { advise, say } from "./notes.js";
import { onchange, outfit, wearing } from "./outfit.js";
import { refOf, timed, useSkin } from "./panel.js";
import { apply, base64, edit } from "./server.js";
import { t } from "./strings.js";

const PREVIEW_SIDE = 1280;
const MOST_PIXELS = 16e6;
const MOST_BYTES = 11e6;
const EXACT_PIXELS = 3e6; // up to this size an edited photo is sent as PNG
const listeners = [];

let photo = null; // {id, bitmap, demo, large, placed, own, edited}; `own` and `edited` are {file, preview, full, edits}
let painting = false;
let stale = false;
let sharpen = 0;

export const current = () => photo;

/** Register a callback for a new photo, or none. */
export const onphoto = (listener) => listeners.push(listener);

/** A JPEG of a bitmap; the longer side has at most `side` pixels. */
export async function jpegOf(bitmap, side, quality = 0.92) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality });
}

/** Decode a picture file; null, with a note, if the browser cannot. */
export async function readPicture(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    say(t("badPicture"), { seconds: 6 });
    return null;
  }
}

/** A file in base64, shrunk to the preview's size. */
export async function smallOf(file, bitmap) {
  const large = Math.max(bitmap.width, bitmap.height) > PREVIEW_SIDE;
  return base64(large || !/jpeg|png|webp/.test(file.type) ? await jpegOf(bitmap, PREVIEW_SIDE) : file);
}

async function fullOf({ file }, bitmap) {
  const pixels = bitmap.width * bitmap.height;
  if (pixels <= MOST_PIXELS && file.size <= MOST_BYTES && /jpeg|png|webp/.test(file.type)) return base64(file);
  const side = Math.max(bitmap.width, bitmap.height) * Math.min(1, Math.sqrt(MOST_PIXELS / pixels));
  return base64(await jpegOf(file === photo?.own.file ? bitmap : await createImageBitmap(file), side, 0.95));
}

/** Show a photo; `demo` is the skin of a model face. */
export async function showPhoto(file, bitmap, demo = "") {
  const large = Math.max(bitmap.width, bitmap.height) > PREVIEW_SIDE;
  const own = { file, preview: await smallOf(file, bitmap), full: null, edits: null };
  photo = { id: (photo?.id ?? 0) + 1, bitmap, large, demo, placed: false, own, edited: null };
  faces.clear();
  mirror.recenter();
  tell();
  await paint();
}

/** Remove the photo, for live frames. */
export function leavePhoto() {
  photo = null;
  clearTimeout(sharpen);
  faces.clear();
  tell();
}

const tell = () => listeners.forEach((listener) => listener(photo));

/** The edits of the shown photo, or null. */
export function editsOfPhoto() {
  const { edits } = wearing();
  return photo && edits?.of === photo.id ? edits : null;
}

/** Let the server edit the photo; throws an `Error` with the server's reason. */
export async function prepareEdits(edits) {
  const of = photo;
  of.own.full ??= await fullOf(of.own, of.bitmap);
  const format = of.bitmap.width * of.bitmap.height <= EXACT_PIXELS ? "png" : "jpeg";
  let file = null;
  for (const one of edits.list) file = await edit(file ? await base64(file) : of.own.full, one, format);
  const preview = of.large ? await smallOf(file, await createImageBitmap(file)) : await base64(file);
  of.edited = { file, preview, full: null, edits };
}

/** The picture under the makeup: the photo, or the edited photo. */
async function ground() {
  const edits = editsOfPhoto();
  if (!edits) return photo.own;
  if (photo.edited?.edits !== edits) await prepareEdits(edits);
  return photo.edited;
}

/** Paint the photo; requests that arrive meanwhile lead to one more pass. */
export async function paint() {
  stale = true;
  clearTimeout(sharpen);
  if (painting) return;
  painting = true;
  $("mirror").ariaBusy = "true";
  const patience = setTimeout(() => say(t("working")), 700);
  try {
    while (stale && photo) {
      stale = false;
      await paintOnce((await ground()).preview);
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
  const of = photo;
  const { picture, told } = await apply(image, outfit(refOf), { face: faces.chosenPoint() });
  const after = await createImageBitmap(picture);
  if (photo !== of) return;
  const [best] = told.faces;
  const isFirst = best && !of.placed;
  of.placed ||= Boolean(best);
  const focus = isFirst ? [(best.box[0] + best.box[2]) / 2, (best.box[1] + best.box[3]) / 2] : null;
  mirror.show(of.bitmap, after, { fade: true, focus });
  if (best) faces.show(told.faces);
  const face = faces.chosen() ?? best;
  if (isFirst && told.faces.length > 1) mirror.lookAt(faces.around(), 0.2);
  if (face) timed(told.milliseconds);
  useSkin(of.demo || told.skin);
  const isFaceless = !told.faces.length && !of.placed && outfit(refOf).look;
  say(isFaceless ? t("noFacePhoto") : face && !face.painted && face.status !== "ok" ? t(face.status) : "");
  $("save").disabled = false;
  $("record").hidden = true;
}

/** Paint in full size, once the changes stop. */
async function paintSharp() {
  if (painting || !photo) return;
  painting = true;
  try {
    const image = await fullGround();
    if (!stale) await paintOnce(image);
  } catch {
    // the preview stays
  } finally {
    painting = false;
    if (stale) paint();
  }
}

async function fullGround() {
  const own = await ground();
  own.full ??= await fullOf(own, photo.bitmap);
  return own.full;
}

/** The photo with makeup in full size, as a PNG. */
export async function wholePhoto() {
  return (await apply(await fullGround(), outfit(refOf), { face: faces.chosenPoint(), format: "png" })).picture;
}

onchange(() => photo && paint());
faces.onchoose(() => photo && paint());
