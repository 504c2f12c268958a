// What is worn: one value, changed through `change` alone, so that every change can be undone.

const REGIONS = ["lips", "eyes", "skin", "brows"];
const STEPS = 60;

/** Nothing worn, everything at full strength. */
export const bare = () => ({
  tile: "bare",
  base: null, // a look of the gallery or of a file, a style, or makeup taken off; null for products alone
  products: [],
  second: "",
  share: 50,
  strength: Object.fromEntries(REGIONS.map((region) => [region, 100])),
  tone: 0,
  model: "mobile",
  before: null, // what was worn before a model of styles was chosen
  edits: null, // of the photo's faces: {of, list: [{face, parts, drawing, classes}]}, see `edit.js`
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

/** Change what is worn. Changes of one kind within a second are one step back. */
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

/** Take over the server's list of models. */
export const useModels = (list) => (offered = list);
export const models = () => offered;
export const stylesOf = (name) => offered.find((model) => model.name === name)?.styles ?? [];

/** The model that takes makeup off, or undefined. */
export const remover = () => offered.find((model) => model.removes)?.name;

/** The model that puts on what is worn. */
export const modelInUse = () => (worn.base?.bare ? remover() : worn.model);

/** Choose a model. One that wears styles starts in its first; after it, what was worn comes back. */
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

/** Styles on the strip: the one of a bare face has its place there already. */
export const isShownStyle = (style) => style !== "bare";

/** Whether a second look can be mixed in. */
export const canMix = () => !worn.base?.style && !worn.base?.bare;

/** Whether what is worn has a shade of skin to take over: a photo's, read by the default model. */
export const hasTone = () => Boolean(worn.base) && canMix() && !worn.second && worn.model === "mobile";

export function undo() {
  if (!past.length) return;
  worn = past.pop();
  lastKind = "";
  tell();
}

/** Start with this, which cannot be undone. */
export function begin(values) {
  worn = { ...bare(), ...values };
  past.length = 0;
  tell();
}

/** One product's values; null takes it off. */
export function putOn(kind, values) {
  const others = worn.products.filter((p) => p.product !== kind);
  const old = worn.products.find((p) => p.product === kind);
  const products = values ? [...others, { ...old, product: kind, ...values }] : others;
  const tile = !worn.base && !products.length ? "bare" : worn.tile === "bare" ? "" : worn.tile;
  change(`product ${kind} ${values ? Object.keys(values) : "off"}`, { products, tile });
}

/** What the server takes. `refOf` gives the look of a tile, as the server names it. */
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

/** The part of an address that brings this look back; null where a photo's look is worn. */
export function link() {
  if (worn.base?.file) return null;
  const { tile, base, products, second, share, strength, tone } = worn;
  const text = new TextEncoder().encode(JSON.stringify({ tile, base, products, second, share, strength, tone }));
  return btoa(String.fromCharCode(...text)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** What a link says; null where it says nothing that could be worn. */
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
