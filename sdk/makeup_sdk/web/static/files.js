// The visitor's files, kept looks, and sharing of pictures and looks.

import { usePhoto, useVideo } from "./camera.js";
import { $ } from "./dom.js";
import * as mirror from "./mirror.js";
import { advise, say } from "./notes.js";
import { change, link, wearing } from "./outfit.js";
import * as panel from "./panel.js";
import { current, wholePhoto } from "./photo.js";
import { download } from "./recording.js";
import { base64, makeLook } from "./server.js";
import { t } from "./strings.js";

export async function useFile(file) {
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

export async function useReference(file) {
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

export const keptLooks = () => JSON.parse(localStorage.getItem("kept") ?? "[]");

export function showKept(entry) {
  panel.addTile(entry.id, { ...entry, own: true, whole: true, forget: () => forget(entry.id) }, true);
}

export function keep() {
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

// ---- sharing pictures, clips, looks

/** The picture in full size, without the divider. */
async function picture() {
  if (current()) return wholePhoto();
  return new Promise((resolve) => mirror.wholePicture().toBlob(resolve, "image/png"));
}

export async function save() {
  say(t("saving"));
  try {
    download(await picture(), "makeup.png");
    say(t("saved"), { seconds: 2 });
  } catch (error) {
    say(error.message || t("wrong"), { seconds: 6 });
  }
}

export async function share() {
  const file = new File([await picture()], "makeup.png", { type: "image/png" });
  await navigator.share({ files: [file] }).catch(() => {}); // the visitor may cancel
}

export async function copyLink() {
  const text = link();
  if (!text) return say(t("noLink"), { seconds: 5 });
  const address = new URL(location.href);
  address.search = "";
  address.hash = `look=${text}`;
  await navigator.clipboard.writeText(address.href);
  say(t("linkCopied"), { seconds: 3 });
}

export function saveLook() {
  const { base, products, tile } = wearing();
  const name = panel.tiles.get(tile)?.name ?? t("kept");
  if (base?.file) {
    const bytes = Uint8Array.from(atob(base.file), (c) => c.charCodeAt(0));
    return download(new Blob([bytes]), `${name}.look`);
  }
  const text = JSON.stringify({ format: 1, title: name, products }, null, 2);
  download(new Blob([text], { type: "application/json" }), `${name}.json`);
}
