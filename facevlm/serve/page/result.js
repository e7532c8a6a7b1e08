/** What came back, as the page shows it: the faces to choose from, the marks on the picture, one column a model. */

import { abstention, answer, column } from "./answer.js";
import { agreement, allMarks, sameFace } from "./compare.js";
import { byId, h } from "./dom.js";
import { exported } from "./export.js";
import { mark, onLook, reset } from "./links.js";
import * as view from "./view.js";
import { count, list } from "./words.js";

let columns = [];
let mode = "explain";
let faces = [];
let chosen = 0;
let marks = [];

const imageOf = (column) => column.reply?.images?.[0] ?? null;
const pressed = (button) => button.getAttribute("aria-pressed") === "true";

/** Take everything away: another picture is coming. */
export function clear() {
  [columns, faces, marks] = [[], [], []];
  byId("result").replaceChildren();
  byId("viewing").hidden = byId("readout").hidden = true;
  annotate();
  setZoom(false);
}

/** Show one or two results: [{ model, reply, error }], reply or error being null. The face that was chosen stays. */
export function present(results, asMode) {
  [columns, mode] = [results, asMode];
  faces = columns.map(imageOf).find((image) => image?.faces?.length)?.faces ?? [];
  chosen = Math.min(chosen, Math.max(0, faces.length - 1));
  const group = byId("faces");
  group.hidden = faces.length < 2;
  group.replaceChildren(group.firstElementChild, ...(faces.length > 1 ? faces.map(choice) : []));
  byId("viewing").hidden = faces.length === 0;
  byId("zoom").hidden = !faces.some((face) => view.isSmall(face.box));
  if (faces.length === 1 && view.isSmall(faces[0].box)) setZoom(true);
  showFace();
}

function choice(face, i) {
  const small = h("canvas", { width: 48, height: 48, "aria-hidden": "true" });
  view.thumbnail(small, face.box);
  const pick = () => {
    chosen = i;
    if (view.isSmall(face.box)) setZoom(true);
    showFace();
  };
  return h("label", {}, h("input", { type: "radio", name: "face", value: i, checked: i === chosen, onchange: pick }),
    small, h("span", {}, [i + 1, face.emotion ?? "no emotion given"].join(" ")));
}

function showFace() {
  reset();
  const face = faces[chosen];
  const two = columns.length > 1;
  const found = columns.map((each) => (face && imageOf(each) ? sameFace(face, imageOf(each).faces ?? []) : null));
  const titles = columns.map(({ model }, i) => (two ? `${"AB"[i]}: ${model}` : `Answer of ${model}`));
  marks = allMarks(found, two);
  document.body.classList.toggle("two", two);
  byId("result").replaceChildren(
    ...(found[0] && found[1] ? [agreement(found, marks, mode)] : []),
    h("div", { class: "columns" }, columns.map((each, i) => oneColumn(each, found[i], titles[i]))),
    ...columns.filter((each) => each.reply).flatMap(({ model, reply }) =>
      [provenance(reply, two && model), exported(reply, two && model)]));
  byId("canvas").setAttribute("aria-label", described());
  annotate();
  readout(null);
}

function oneColumn({ reply, error }, face, title) {
  if (face) return answer(face, title, mode);
  const image = reply?.images?.[0];
  const why = image?.error ?? image?.abstained;
  const nothing = faces.length ? "This model was shown no face at this place." : "No face was found in the picture.";
  return column(title, why ? abstention(why) : h("p", { class: error && "problem" }, error ? error.message : nothing));
}

function provenance(reply, model) {
  const made = Object.entries({ ...reply.provenance, ...reply.usage }).filter(([, value]) => value !== null);
  const pairs = (value) => Object.entries(value).map((pair) => pair.join(" ")).join(", ");
  return h("details", { class: "provenance" }, h("summary", {}, "How it was made", model && `: ${model}`),
    h("dl", {}, made.map(([name, value]) => h("div", {}, h("dt", {}, name.replaceAll("_", " ")),
      h("dd", {}, typeof value === "object" ? pairs(value) : String(value))))));
}

function described() {
  if (!faces.length) return "The picture; no face in it";
  const said = `${faces[chosen].emotion ?? "no emotion given"}; action units: ${list(marks.map((unit) => unit.au))}`;
  return `The picture, ${count(faces.length, "face")} in it. Face ${chosen + 1}: ${said}`;
}

function annotate() {
  view.annotate(faces.map((face) => face.box), chosen, pressed(byId("regions")) ? marks : []);
}

/** Below the picture: the AU that is looked at, and what was said about it. */
function readout(au) {
  const unit = marks.find((each) => each.au === au);
  const hint = `${count(marks.length, "action unit")}. Point at a region or a name for what was said about it.`;
  byId("readout").hidden = marks.length === 0;
  byId("readout").replaceChildren(unit
    ? h("p", {}, h("strong", {}, `AU${unit.au} ${unit.name}`), ", ",
      [unit.muscle, unit.region].filter(Boolean).join("; "), ".",
      unit.side && ` Named by ${unit.side} alone.`, unit.said && [" ", h("q", {}, unit.said)])
    : h("p", { class: "note" }, hint));
}

function setZoom(on) {
  byId("zoom").setAttribute("aria-pressed", String(on));
  view.zoom(on);
}

byId("zoom").addEventListener("click", () => setZoom(!pressed(byId("zoom"))));
byId("regions").addEventListener("click", () => {
  byId("regions").setAttribute("aria-pressed", String(!pressed(byId("regions"))));
  annotate();
});
view.onChoose((i) => byId("faces").querySelector(`input[value="${i}"]`)?.click());
onLook(readout);
