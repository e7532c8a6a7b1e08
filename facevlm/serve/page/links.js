/**
 * One action unit at a time is looked at, wherever it is pointed at: in the list, in the reasoning, on the face.
 *
 * Everything that stands for an AU carries data-au. Pointer and focus show it; a click keeps it until the next one.
 */

const hearers = new Set();
let shown = null;
let kept = null;

/** Call `hear` with the AU that is looked at, a number or null, each time it changes. */
export function onLook(hear) {
  hearers.add(hear);
}

export function look(au) {
  const next = au ?? kept;
  if (next === shown) return;
  shown = next;
  mark();
  for (const hear of hearers) hear(shown);
}

export function keep(au) {
  kept = kept === au ? null : au;
  shown = NaN; // what is kept may change while what is shown does not
  look(au);
}

/** Look at none, and keep none. */
export function reset() {
  kept = null;
  shown = NaN;
  look(null);
}

/** Mark everything that stands for the AU, after new elements came in too. */
export function mark() {
  for (const part of document.querySelectorAll("[data-au]")) {
    const au = Number(part.dataset.au);
    part.classList.toggle("on", au === shown);
    if (part.hasAttribute("aria-pressed")) part.setAttribute("aria-pressed", String(au === kept));
  }
}

const auOf = (event) => {
  const part = event.target instanceof Element ? event.target.closest("[data-au]") : null;
  return part ? Number(part.dataset.au) : null;
};

/** Regions on the face overlap: which of them the pointer means is for `view.js` to say. */
const onFace = (event) => event.target instanceof Element && event.target.closest("#stage") !== null;

document.addEventListener("pointerover", (event) => onFace(event) || look(auOf(event)));
document.addEventListener("focusin", (event) => {
  if (event.target.matches(":focus-visible")) look(auOf(event));
});
document.addEventListener("focusout", () => look(null));
document.addEventListener("click", (event) => {
  const au = auOf(event);
  if (au !== null && !onFace(event)) keep(au);
});
document.addEventListener("keydown", (event) => {
  if ((event.key === "Enter" || event.key === " ") && event.target.matches(".mention")) {
    event.preventDefault();
    keep(auOf(event));
  }
  if (event.key === "Escape" && kept !== null && !document.querySelector("dialog[open]")) reset();
});
