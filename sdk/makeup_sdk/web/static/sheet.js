// The bottom sheet on phones, which holds the panel.

const $ = (id) => document.getElementById(id);

/** Set the sheet's height by its handle: a drag sets any height, a press toggles between two. */
export function listenToHandle() {
  const handle = $("handle");
  let from = null;
  let moved = false;
  const set = (height) => document.documentElement.style.setProperty("--sheet", height);
  const expand = (on) => {
    handle.setAttribute("aria-expanded", on);
    set(on ? "64dvh" : "");
  };
  handle.addEventListener("pointerdown", (event) => {
    from = [event.clientY, $("panel").clientHeight];
    moved = false;
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!from || Math.abs(event.clientY - from[0]) < 4) return;
    moved = true;
    set(`${Math.min(innerHeight * 0.7, Math.max(150, from[1] + from[0] - event.clientY))}px`);
  });
  handle.addEventListener("pointerup", () => (from = null));
  handle.addEventListener("click", () => moved || expand(handle.getAttribute("aria-expanded") === "false"));
}
