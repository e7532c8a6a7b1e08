/**
 * The picture on its canvas, and over it, in the same pixels of the screen, the faces and the regions of their AUs.
 *
 * Boxes come as left, top, right, bottom in pixels of the upright picture.
 */

import { byId, s } from "./dom.js";
import { keep, look, mark, onLook } from "./links.js";
import { placeTags } from "./tags.js";

const LARGEST_SCALE = 8;
const ZOOM_MARGIN = 0.55;
/** Width in pixels of the screen up to which a face's regions go without their names. */
const SMALL_FACE = 150;

const stage = byId("stage");
const canvas = byId("canvas");
const overlay = byId("overlay");

let bitmap = null;
let faces = [];
let chosen = 0;
let marks = [];
let zoomed = false;
let part = null;
let scale = 1;
let choose = () => {};
let under = [];

/** Draw another picture, without faces yet. */
export function show(picture) {
  bitmap = picture;
  annotate([], 0, []);
}

/**
 * Draw the boxes of all faces, and the marks of the one that is looked at: { au, name, region, boxes, side }. The
 * side is "A" or "B" for an AU that only one of two models names, else "".
 */
export function annotate(all, one, itsMarks) {
  [faces, chosen, marks] = [all, one, itsMarks];
  draw();
}

/** Show the face that is looked at alone, or the whole picture. */
export function zoom(on) {
  zoomed = on;
  draw();
}

/** What to do when a face is clicked: called with its number from 0. */
export const onChoose = (act) => (choose = act);

/** Whether a face is so small in the picture that its regions are hard to tell apart. */
export function isSmall(box) {
  return bitmap !== null && Math.max(box[2] - box[0], box[3] - box[1]) < Math.max(bitmap.width, bitmap.height) / 3;
}

/** Draw one box of the picture onto a small square canvas. */
export function thumbnail(target, [left, top, right, bottom]) {
  const side = Math.max(right - left, bottom - top);
  const [x, y] = [(left + right - side) / 2, (top + bottom - side) / 2];
  target.getContext("2d").drawImage(bitmap, x, y, side, side, 0, 0, target.width, target.height);
}

function seen() {
  if (!zoomed || !faces[chosen]) return { x: 0, y: 0, width: bitmap.width, height: bitmap.height };
  const [left, top, right, bottom] = faces[chosen];
  const margin = ZOOM_MARGIN * Math.max(right - left, bottom - top);
  const x = Math.max(0, left - margin);
  const y = Math.max(0, top - margin);
  const [endX, endY] = [Math.min(bitmap.width, right + margin), Math.min(bitmap.height, bottom + margin)];
  return { x, y, width: endX - x, height: endY - y };
}

function draw() {
  if (bitmap === null || stage.hidden) return;
  part = seen();
  const style = getComputedStyle(stage);
  const edges = [style.paddingTop, style.paddingBottom, style.borderBottomWidth].map(parseFloat);
  const high = (parseFloat(style.maxHeight) || Infinity) - edges.reduce((a, b) => a + b);
  scale = Math.min(stage.clientWidth / part.width, high / part.height, LARGEST_SCALE);
  const [width, height] = [Math.round(part.width * scale), Math.round(part.height * scale)];
  const fine = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * fine);
  canvas.height = Math.round(height * fine);
  for (const layer of [canvas, overlay]) [layer.style.width, layer.style.height] = [`${width}px`, `${height}px`];
  const brush = canvas.getContext("2d");
  brush.imageSmoothingQuality = "high";
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(bitmap, part.x, part.y, part.width, part.height, 0, 0, canvas.width, canvas.height);
  drawOverlay(width, height);
}

const onScreen = ([left, top, right, bottom]) => ({
  x: (left - part.x) * scale,
  y: (top - part.y) * scale,
  width: (right - left) * scale,
  height: (bottom - top) * scale,
});

function drawOverlay(width, height) {
  const focused = overlay.contains(document.activeElement) ? document.activeElement.dataset.au : null;
  const items = marks.map((m) => ({ text: `AU${m.au}${m.side && ` ${m.side}`}`, boxes: m.boxes.map(onScreen) }));
  const placed = placeTags(items, width, height);
  // Names would hide a small face.
  overlay.classList.toggle("small", faces[chosen] !== undefined && onScreen(faces[chosen]).width < SMALL_FACE);
  overlay.replaceChildren(...faces.map(faceMark), ...marks.map((m, i) => regionMark(m, placed[i])));
  overlay.querySelector(".region")?.setAttribute("tabindex", "0");
  mark();
  if (focused) overlay.querySelector(`[data-au="${focused}"]`)?.focus();
}

function faceMark(box, i) {
  const at = onScreen(box);
  const one = i === chosen;
  return s("g", { class: one ? "face chosen" : "face", "aria-hidden": "true", "data-face": i },
    s("rect", { class: "halo", ...at }), s("rect", { class: "line", ...at }),
    faces.length > 1 && s("text", { x: at.x + 5, y: at.y + 16 }, String(i + 1)));
}

function regionMark(m, tag) {
  const boxes = m.boxes.map((box) => ({ ...onScreen(box), rx: 3 }));
  const only = m.side && `, named by model ${m.side} only`;
  return s("g", {
    class: `region side${m.side}`, role: "button", tabindex: "-1", "aria-pressed": "false", "data-au": m.au,
    "aria-label": `AU${m.au} ${m.name}, ${m.region}${only}`,
  }, boxes.map((at) => [s("rect", { class: "halo", ...at }), s("rect", { class: "line", ...at })]),
    s("g", { class: tag.crowded ? "tag crowded" : "tag" },
      s("rect", { x: tag.x, y: tag.y, width: tag.width, height: tag.height, rx: 3 }),
      s("text", { x: tag.x + tag.width / 2, y: tag.y + tag.height - 5 }, tag.text)));
}

/** The AUs whose regions hold a point of the screen, the smallest region first: others surround it. */
function ausAt(event) {
  const frame = overlay.getBoundingClientRect();
  const x = (event.clientX - frame.left) / scale + part.x;
  const y = (event.clientY - frame.top) / scale + part.y;
  const area = (m) => m.boxes.reduce((sum, b) => sum + (b[2] - b[0]) * (b[3] - b[1]), 0);
  const holds = (m) => m.boxes.some((b) => b[0] <= x && x <= b[2] && b[1] <= y && y <= b[3]);
  return marks.filter(holds).sort((a, b) => area(a) - area(b)).map((m) => m.au);
}

overlay.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch") return;
  const now = ausAt(event);
  if (now.join() !== under.join()) look((under = now)[0] ?? null);
});
overlay.addEventListener("pointerleave", () => look(((under = []), null)));

// A click keeps the smallest region; another one at the same place, the next larger one.
let last = -1;
overlay.addEventListener("click", (event) => {
  const here = ausAt(event);
  if (here.length) {
    const next = here[(here.indexOf(last) + 1) % here.length];
    last = next;
    return keep(next);
  }
  const face = event.target.closest("[data-face]");
  if (face) choose(Number(face.dataset.face));
});

overlay.addEventListener("keydown", (event) => {
  const all = [...overlay.querySelectorAll(".region")];
  const at = all.indexOf(document.activeElement);
  if (at < 0) return;
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (step) {
    const next = all[(at + step + all.length) % all.length];
    for (const region of all) region.setAttribute("tabindex", region === next ? "0" : "-1");
    next.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    keep(Number(all[at].dataset.au));
  } else return;
  event.preventDefault();
});

onLook((au) => overlay.classList.toggle("looking", au !== null && marks.some((m) => m.au === au)));
new ResizeObserver(draw).observe(stage.parentElement);
window.addEventListener("resize", draw);
