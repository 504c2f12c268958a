// HTML elements and controls.

export const $ = (id) => document.getElementById(id);

/** An element: h("button", {className, on: {click}}, child, …). */
export function h(tag, { on = {}, aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(name === "role" ? name : `aria-${name}`, value);
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A group of radio buttons: one stop for Tab, arrows choose. */
export function radios(group, entries, chosen, choose) {
  const at = Math.max(0, entries.findIndex(({ key }) => key === chosen));
  const buttons = entries.map(({ key, label, content, className = "", style = "" }, i) => {
    const checked = key === chosen;
    const button = h("button", {
      type: "button", className, tabIndex: i === at ? 0 : -1,
      aria: { role: "radio", checked, ...(label ? { label } : {}) },
      on: { click: () => choose(key) },
    }, ...content);
    button.dataset.key = key;
    if (style) button.style.setProperty("--shade", style);
    if (label) button.title = label;
    return button;
  });
  const had = group.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  group.replaceChildren(...buttons);
  if (had !== undefined) (buttons.find((b) => b.dataset.key === chosen) ?? buttons[at])?.focus({ preventScroll: true });
}

/** Select another radio button of a group, without rebuilding the group. */
export function mark(group, chosen) {
  const buttons = [...group.querySelectorAll("[role=radio]")];
  const stop = buttons.find((button) => button.dataset.key === chosen) ?? buttons[0];
  for (const button of buttons) {
    button.setAttribute("aria-checked", button.dataset.key === chosen);
    button.tabIndex = button === stop ? 0 : -1;
  }
}

document.addEventListener("keydown", (event) => {
  const role = event.target.getAttribute?.("role");
  const group = role === "radio" ? event.target.closest("[role=radiogroup]") : null;
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  if (!group || !step) return;
  event.preventDefault();
  const all = [...group.querySelectorAll("[role=radio]")];
  const next = all[(all.indexOf(event.target) + step + all.length) % all.length];
  next.focus();
  if (!next.dataset.waits) next.click();
});

/** A labelled slider; `low` to `high` are shown as −100 to 100 or 0 to 100 %. */
export function slider(name, value, low, high, change) {
  const unit = high > 2 ? "°" : " %";
  const factor = high > 2 ? 1 : 100;
  const output = h("output", { value: `${Math.round(value * factor)}${unit}` });
  const input = h("input", {
    type: "range", min: low * factor, max: high * factor, value: Math.round(value * factor),
    on: {
      input: () => {
        output.value = `${input.value}${unit}`;
        change(input.value / factor);
      },
    },
  });
  return h("label", { className: "slider" }, h("span", {}, name), input, output);
}
