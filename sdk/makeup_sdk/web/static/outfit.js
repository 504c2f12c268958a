// The outfit: one value. Only `change` changes it, so that every change can be undone.

const REGIONS = ["lips", "eyes", "skin", "brows"];
const STEPS = 60;

/** Nothing worn, everything at full strength. */
export const bare = () => ({
  tile: "bare",
  base: null, // a gallery look, a look file, a style, or removed makeup; null: only products
  products: [],
  second: "",
  share: 50,
  strength: Object.fromEntries(REGIONS.map((region) => [region, 100])),
  tone: 0,
  model: "mobile",
  before: null, // the outfit before a model with styles was chosen
  edits: null, // edits of the photo's faces: {of, list: [{face, parts, drawing, classes}]}, see `edit.js`
});

let worn = bare();
const past = [];
let lastKind = "";
let lastTime = 0;
const listeners = [];

export const wearing = () => worn;
export const canUndo = () => past.length > 0;
export const onchange = (listener) => listeners.push(listener);
const tell = () => listeners.forEach((listener) => listener(worn));

/** Change the outfit. Changes of one kind within a second are one undo step. */
export function change(kind, values) {
  const now = performance.now();
  if (kind !== lastKind || now - lastTime > 1000) {
    past.push(worn);
    if (past.length > STEPS) past.shift();
  }
  [lastKind, lastTime] = [kind, now];
  worn = { ...worn, ...values };
  tell();
}

// ---- models

let offered = []; // {name, does, styles, removes}

/** Set the server's list of models. */
export const useModels = (list) => (offered = list);
export const models = () => offered;
export const stylesOf = (name) => offered.find((model) => model.name === name)?.styles ?? [];

/** The model that removes makeup, or undefined. */
export const remover = () => offered.find((model) => model.removes)?.name;

/** The model that applies the outfit. */
export const modelInUse = () => (worn.base?.bare ? remover() : worn.model);

/** Choose a model. One with styles starts with its first; the next model restores the outfit. */
export function chooseModel(name) {
  const [style] = stylesOf(name).filter(isShownStyle);
  const had = stylesOf(worn.model).length > 0;
  if (style && !had) {
    const { tile, base, products, second, share } = worn;
    const before = { tile, base, products, second, share };
    change("model", { model: name, tile: `style ${style}`, base: { style }, products: [], second: "", before });
  } else if (!style && had) change("model", { model: name, ...worn.before, before: null });
  else change("model", { model: name });
}

/** Styles on the strip, without the bare one, which the strip always has. */
export const isShownStyle = (style) => style !== "bare";

/** Whether a second look can be mixed in. */
export const canMix = () => !worn.base?.style && !worn.base?.bare;

/** Whether the outfit has a skin tone to transfer: a photo read by the default model. */
export const hasTone = () => Boolean(worn.base) && canMix() && !worn.second && worn.model === "mobile";

export function undo() {
  if (!past.length) return;
  worn = past.pop();
  lastKind = "";
  tell();
}

/** Set the first outfit; it cannot be undone. */
export function begin(values) {
  worn = { ...bare(), ...values };
  past.length = 0;
  tell();
}

/** Set one product's values; null removes it. */
export function putOn(kind, values) {
  const others = worn.products.filter((p) => p.product !== kind);
  const old = worn.products.find((p) => p.product === kind);
  const products = values ? [...others, { ...old, product: kind, ...values }] : others;
  const tile = !worn.base && !products.length ? "bare" : worn.tile === "bare" ? "" : worn.tile;
  change(`product ${kind} ${values ? Object.keys(values) : "off"}`, { products, tile });
}

/** The outfit as JSON for the server. `refOf` gives the server's reference of a tile's look. */
export function outfit(refOf) {
  const { base, products, second, share, strength, tone } = worn;
  const own = products.length ? { products } : null;
  return {
    model: modelInUse(),
    look: base ?? own,
    products: base ? products : [],
    second: second && canMix() ? refOf(second) : null,
    share: share / 100,
    strength: Object.fromEntries(REGIONS.map((region) => [region, strength[region] / 100])),
    tone: hasTone() ? tone / 100 : 0,
  };
}

/** The URL fragment that restores this look; null for a photo's look. */
export function link() {
  if (worn.base?.file) return null;
  const { tile, base, products, second, share, strength, tone } = worn;
  const text = new TextEncoder().encode(JSON.stringify({ tile, base, products, second, share, strength, tone }));
  return btoa(String.fromCharCode(...text)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** The outfit of a link; null if it is invalid. */
export function fromLink(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    const values = JSON.parse(new TextDecoder().decode(bytes));
    const known = ["tile", "base", "products", "second", "share", "tone"].filter((key) => key in values);
    if (!Array.isArray(values.products) || (values.base?.bare && !remover())) return null;
    const strength = { ...bare().strength, ...values.strength };
    const worn = { ...Object.fromEntries(known.map((key) => [key, values[key]])), strength };
    if (!values.base?.style) return worn;
    const model = offered.find(({ styles }) => styles.includes(values.base.style))?.name;
    return model ? { ...worn, model, before: { tile: "bare", base: null, products: [] } } : null;
  } catch {
    return null;
  }
}
