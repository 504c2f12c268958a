// The panel: looks, products, adjust. It shows the outfit and changes it through `outfit.js`.

import { $, h, icon, mark, radios, slider } from "./dom.js";
import { CATEGORIES, SHADES } from "./palette.js";
import { t, title } from "./strings.js";
import { canMix, change, chooseModel, hasTone, modelInUse, models, onchange, putOn, stylesOf, wearing } from "./outfit.js";

// ---- tabs

const TABS = ["looks", "products", "adjust", "edit"];
const shownTabs = () => TABS.filter((tab) => !$(`tab-${tab}`).hidden);
const tabListeners = [];

/** Register a callback for opened tabs; it gets the tab's name. */
export const ontab = (listener) => tabListeners.push(listener);

function openTab(name, focus = false) {
  for (const tab of TABS) {
    const button = $(`tab-${tab}`);
    button.setAttribute("aria-selected", tab === name);
    button.tabIndex = tab === name ? 0 : -1;
    $(tab).hidden = tab !== name;
    if (focus && tab === name) button.focus();
  }
  for (const listener of tabListeners) listener(name);
}
for (const tab of TABS) {
  $(`tab-${tab}`).addEventListener("click", () => openTab(tab));
  $(`tab-${tab}`).addEventListener("keydown", ({ key }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const all = shownTabs();
    if (step) openTab(all[(all.indexOf(tab) + step + all.length) % all.length], true);
  });
}

// ---- looks

export const tiles = new Map(); // id -> {name, thumbnail, base, products, strength?}
let skin = "medium";

/** Add a look to the strip; `first` puts it before the shipped ones. */
export function addTile(id, tile, first = false) {
  const old = [...tiles];
  if (first) tiles.clear();
  tiles.set(id, tile);
  if (first) for (const [key, value] of old) tiles.set(key, value);
}

/** The server's reference of a tile's look. */
export function refOf(id) {
  const tile = tiles.get(id);
  if (!tile) return null;
  return tile.base ?? (tile.products.length ? { products: tile.products } : null);
}

/** Show the designed looks on the shipped face whose skin is nearest to the visitor's. */
export function useSkin(name) {
  if (!name || name === skin) return;
  skin = name;
  renderLooks();
}

const thumbnailOf = (tile) => tile.thumbnail?.replace("{skin}", skin);

export function chooseTile(id) {
  const { base = null, products = [], strength } = tiles.get(id);
  change(`tile ${id}`, { tile: id, base, products, ...(strength ? { strength } : {}) });
}

/** The looks that the model in use can wear: its styles, or all others. */
function shownLooks() {
  const wantsStyle = stylesOf(wearing().model).length > 0;
  return [...tiles].filter(([key, { base }]) => key === "bare" || Boolean(base?.style) === wantsStyle);
}

function face(tile) {
  const picture = thumbnailOf(tile);
  const inside = picture
    ? h("img", { src: picture, alt: "", loading: "lazy", width: 72, height: 72, className: tile.whole ? "whole" : "" })
    : icon(tile.icon);
  return h("span", { className: picture ? "face" : "face empty" }, inside);
}

let shownTiles = ""; // content of the tiles

/** Rebuild the tiles if their content has changed; else only mark the selected one. */
function renderTiles(chosen) {
  const shown = shownLooks();
  const made = JSON.stringify([shown.map(([key]) => key), skin, document.documentElement.lang]);
  if (made !== shownTiles) {
    shownTiles = made;
    const scroll = $("tiles").scrollLeft;
    radios($("tiles"), shown.map(([key, entry]) => ({
      key, className: "tile",
      content: [face(entry), h("span", { className: "name" }, nameOf(entry))],
    })), chosen, chooseTile);
    if (!stylesOf(wearing().model).length) {
      $("tiles").prepend(h("button", { type: "button", className: "tile", id: "from-photo", on: { click: () => $("reference").click() } },
        h("span", { className: "face empty add" }, icon("photo")), h("span", { className: "name" }, t("fromPhoto"))));
    }
    $("tiles").scrollLeft = scroll;
    for (const [key, entry] of shown) {
      if (!entry.forget) continue;
      const button = $("tiles").querySelector(`[data-key="${CSS.escape(key)}"]`);
      button.addEventListener("keydown", (event) => event.key === "Delete" && entry.forget());
      button.after(h("button", { type: "button", className: "forget", aria: { label: t("forget", { name: entry.name }) }, on: { click: entry.forget } }, icon("close")));
    }
  }
  mark($("tiles"), chosen);
}

const nameOf = (entry) => (entry.own ? entry.name : title(entry.name));

function renderLooks() {
  const { tile, second, share } = wearing();
  renderTiles(tile);
  const options = shownLooks().filter(([key, { base }]) => key !== tile && !base?.bare && refOf(key));
  $("second").replaceChildren(new Option(t("nothing"), ""), ...options.map(([key, entry]) => new Option(nameOf(entry), key)));
  $("second").value = second;
  $("mix").hidden = tile === "bare" || !canMix();
  $("share-of-second").value = share;
  $("share-value").value = `${share} %`;
  for (const id of ["share-of-second", "share-value"]) $(id).hidden = !second;
}

$("second").addEventListener("change", (event) => change("second", { second: event.target.value }));
$("share-of-second").addEventListener("input", (event) => change("share", { share: Number(event.target.value) }));

// ---- products

let schema = {}; // kind -> {field: {minimum, maximum, default, enum}}
let category = "lips";
let kind = "lipstick";
let isMoreOpen = false;

/** Set the server's description of products. */
export function useSchema(document) {
  for (const { properties } of document.properties.products.items.oneOf) {
    const { product, ...fields } = properties;
    schema[product.const] = fields;
  }
}

const wornOf = (name) => wearing().products.find((p) => p.product === name);
const valueOf = (product, field) => product?.[field] ?? schema[kind][field].default;
const categoryOf = (name) => Object.keys(CATEGORIES).find((c) => CATEGORIES[c].includes(name));

function openProduct(name) {
  [category, kind] = [categoryOf(name), name];
  renderProducts();
}

function renderWorn() {
  const { products } = wearing();
  const chips = products.map((p) => {
    const name = t(p.product);
    const dot = h("span", { className: `dot ${p.finish ?? ""}` });
    dot.style.setProperty("--shade", p.color ?? schema[p.product]?.color?.default ?? "var(--line)");
    return h("li", {},
      h("button", { type: "button", className: "chip", on: { click: () => openProduct(p.product) } }, dot, name),
      h("button", { type: "button", className: "off", aria: { label: t("takeOff", { name }) }, on: { click: () => putOn(p.product, null) } }, icon("close")));
  });
  $("worn").replaceChildren(...(chips.length ? chips : [h("li", { className: "note" }, t("nothingWorn"))]));
}

function renderProducts() {
  if (!schema[kind]) return;
  renderWorn();
  const worn = new Set(wearing().products.map((p) => p.product));
  radios($("categories"), Object.keys(CATEGORIES).map((key) => ({
    key, className: CATEGORIES[key].some((k) => worn.has(k)) ? "chip has" : "chip", content: [t(`cat_${key}`)],
  })), category, (key) => openProduct(CATEGORIES[key][0]));
  const fields = schema[kind];
  const product = wornOf(kind);
  const parts = [];
  if (CATEGORIES[category].length > 1) {
    const kinds = h("div", { className: "chips kinds", aria: { role: "radiogroup", label: t(`cat_${category}`) } });
    radios(kinds, CATEGORIES[category].map((key) => ({ key, className: "chip small", content: [t(key)] })), kind, openProduct);
    parts.push(kinds);
  }
  const finish = product?.finish ?? fields.finish?.default ?? "matte";
  const shades = h("div", { className: "shades", aria: { role: "radiogroup", label: t(kind) } });
  const chinese = document.documentElement.lang === "zh";
  const list = SHADES[kind].map(([color, en, zh]) => ({ key: color, label: chinese ? zh : en, className: `shade ${finish}`, style: color, content: [] }));
  if (!list.length || kind === "foundation") {
    list.unshift({ key: "plain", label: t(kind), className: "shade natural", content: [icon("heart")] });
  }
  const color = product?.color;
  if (color && !list.some((s) => s.key === color)) {
    list.unshift({ key: color, label: t("wornShade"), className: `shade ${finish}`, style: color, content: [] });
  }
  list.unshift({ key: "", label: t("off"), className: "shade none", content: [icon("none")] });
  const chosen = product ? product.color ?? (list.some((s) => s.key === "plain") ? "plain" : fields.color?.default) : "";
  radios(shades, list, chosen, (color) => putOn(kind, color === "" ? null : color === "plain" ? (fields.color ? { color: null } : {}) : { color }));
  if (fields.color) {
    const own = h("input", { type: "color", value: product?.color ?? SHADES[kind][0][0], on: { input: (event) => putOn(kind, { color: event.target.value }) }, aria: { label: t("ownShade") } });
    const label = h("span", { className: "shade own", title: t("ownShade") }, own);
    parts.push(h("div", { className: "shelf" }, shades, label));
  } else parts.push(h("div", { className: "shelf" }, shades));
  if (product) {
    const numbers = Object.keys(fields).filter((field) => "minimum" in fields[field]);
    const row = (field) => slider(t(`f_${field}`), valueOf(product, field), fields[field].minimum, fields[field].maximum, (value) => putOn(kind, { [field]: value }));
    parts.push(row("intensity"));
    for (const choice of ["finish", "placement"]) {
      if (!fields[choice]) continue;
      const row = h("div", { className: "chips", aria: { role: "radiogroup", label: t(choice) } });
      radios(row, fields[choice].enum.map((key) => ({ key, className: "chip small", content: [t(key)] })), valueOf(product, choice), (key) => putOn(kind, { [choice]: key }));
      parts.push(row);
    }
    const more = numbers.filter((field) => field !== "intensity");
    parts.push(h("details", { open: isMoreOpen, on: { toggle: (event) => (isMoreOpen = event.target.open) } }, h("summary", {}, t("more")), ...more.map(row)));
  }
  const focused = $("product").contains(document.activeElement) ? document.activeElement : null;
  const mark = focused && { role: focused.closest("[role=radiogroup]")?.getAttribute("aria-label"), key: focused.dataset.key };
  $("product").replaceChildren(...parts);
  if (mark?.role) {
    const group = [...$("product").querySelectorAll("[role=radiogroup]")].find((g) => g.getAttribute("aria-label") === mark.role);
    group?.querySelector(`[data-key="${mark.key}"]`)?.focus({ preventScroll: true });
  }
}

// ---- adjust

const times = new Map(); // model -> milliseconds on this server

/** Note how long the model in use takes on this server. */
export function timed(milliseconds) {
  const model = modelInUse();
  const last = times.get(model);
  times.set(model, last ? last * 0.9 + milliseconds * 0.1 : milliseconds);
  const place = document.querySelector(`#models [data-key="${model}"] .time`);
  const text = t("milliseconds", { ms: Math.round(times.get(model)) });
  if (place && place.textContent !== text) place.textContent = text;
}

function renderAdjust() {
  const { strength, tone, model } = wearing();
  const sliders = Object.keys(strength).map((region) =>
    slider(t(region), strength[region] / 100, 0, 1.5, (value) =>
      change(`strength ${region}`, { strength: { ...wearing().strength, [region]: Math.round(value * 100) } })));
  if (hasTone()) sliders.push(slider(t("tone"), tone / 100, 0, 1, (value) => change("tone", { tone: Math.round(value * 100) })));
  $("strengths").replaceChildren(...sliders);
  radios($("models"), models().map(({ name, does }) => ({
    key: name, className: "choice",
    content: [
      h("b", {}, name), h("span", {}, t(`m_${name}`) === `m_${name}` ? does : t(`m_${name}`)),
      h("span", { className: "time" }, times.has(name) ? t("milliseconds", { ms: Math.round(times.get(name)) }) : ""),
    ],
  })), model, chooseModel);
}

// ---- the panel

/** Redraw the panel, except a control that is being dragged. */
export function render() {
  const dragged = document.activeElement?.type === "range" || document.activeElement?.type === "color" ? document.activeElement : null;
  renderLooks();
  if (dragged?.closest("#product")) renderWorn();
  else renderProducts();
  if (!dragged?.closest("#strengths")) renderAdjust();
}
onchange(render);
