/** Two models' answers about one picture, face by face. */

import { h } from "./dom.js";
import { list } from "./words.js";

/** Two boxes are one face from this overlap on: intersection over union. */
const SAME = 0.5;

function overlap(a, b) {
  const wide = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const high = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (wide * high) / (area(a) + area(b) - wide * high);
}

/** The face among others that lies where this one lies, or null. */
export function sameFace(face, others) {
  const best = others.map((other) => [overlap(face.box, other.box), other]).sort((a, b) => b[0] - a[0])[0];
  return best && best[0] >= SAME ? best[1] : null;
}

/**
 * The AUs of one or two answers about a face (null: none), each once. side: "A" or "B" for an AU that only one of two
 * has, else "".
 */
export function allMarks([a, b], two) {
  const [ofA, ofB] = [a?.aus ?? [], b?.aus ?? []];
  const has = (aus, unit) => aus.some((other) => other.au === unit.au);
  const first = ofA.map((unit) => ({ ...unit, side: two && !has(ofB, unit) ? "A" : "" }));
  return [...first, ...ofB.filter((unit) => !has(ofA, unit)).map((unit) => ({ ...unit, side: "B" }))];
}

/** In words, where two answers agree; marks: `allMarks` of them. */
export function agreement([a, b], marks, mode) {
  const those = (side) => list(marks.filter((m) => m.side === side).map((m) => m.au).sort((x, y) => x - y));
  const emotion = a.emotion === b.emotion ? `both say ${a.emotion ?? "nothing"}`
    : `A says ${a.emotion ?? "nothing"}, B says ${b.emotion ?? "nothing"}`;
  const rows = [["Emotion", emotion]];
  if (mode !== "label") rows.push(["AUs of both", those("")], ["Only A", those("A")], ["Only B", those("B")]);
  return h("section", { class: "agreement" }, h("h2", {}, "A and B side by side"),
    h("dl", {}, rows.map(([term, said]) => h("div", {}, h("dt", {}, term), h("dd", {}, said)))));
}
