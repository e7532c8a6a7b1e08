/** What one model says about one face, as a column of the page. */

import { h } from "./dom.js";
import { intensity, mentions, percent, signed } from "./words.js";

/** title: the model's name, with its letter where two stand side by side. mode: what was asked for. */
export function answer(face, title, mode) {
  return column(title,
    abstention(face.abstained ?? face.error),
    emotion(face),
    mode !== "label" && units(face),
    affect(face),
    face.reasoning && reasoning(face),
    faults(face));
}

/** A column for what one model said, whatever it is. */
export function column(title, ...children) {
  return h("article", { class: "answer", "aria-label": title }, h("h2", { class: "model" }, title), children);
}

/** That there is no answer, or that it is not to be relied on, and why. */
export function abstention(abstained) {
  return abstained && h("p", { class: "caution" },
    h("strong", {}, `No answer: ${abstained.reason.replaceAll("_", " ")}.`), " ", abstained.message);
}

function emotion(face) {
  const shares = Object.entries(face.probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  const certain = face.calibrated
    ? "Calibrated on labelled faces: of answers given 70 %, about 70 % are right."
    : "Not calibrated: the model’s own shares, often surer than it is right.";
  return h("section", { class: "emotion" },
    h("h3", {}, "Emotion"),
    h("p", { class: "word" }, face.emotion ?? "none given"),
    shares.length
      ? [h("ul", { class: "shares", "aria-label": "Probabilities" },
           shares.map(([label, p]) => share(label, p, face.emotion))),
         h("p", { class: "note" }, certain)]
      : h("p", { class: "note" }, "The model gave no probabilities."));
}

function share(label, p, said) {
  return h("li", { class: label === said ? "said" : null },
    h("span", { class: "label" }, label, label === said && h("span", { class: "hidden" }, " (the answer)")),
    bar(p), h("span", { class: "value" }, percent(p)));
}

/** A bar from 0 to `p`; its value stands beside it, so that readers of the screen need none. */
function bar(p) {
  const filled = h("span", { class: "filled" });
  filled.style.width = `${Math.min(100, Math.max(0, 100 * p))}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, filled);
}

function units({ aus, regions_from: from }) {
  const notes = [
    aus?.some((unit) => typeof unit.confidence === "number") || "No confidence was given for them.",
    from !== "average face" || "Regions are placed as on an average face, for want of points on this one.",
  ].filter((note) => note !== true);
  return h("section", { class: "units" },
    h("h3", {}, "Action units"),
    !aus && h("p", {}, "No readable list."),
    aus?.length === 0 && h("p", {}, "None named."),
    aus?.length > 0 && [h("ul", {}, aus.map((unit) => h("li", {}, oneUnit(unit)))),
      notes.length > 0 && h("p", { class: "note" }, notes.join(" "))]);
}

function oneUnit(unit) {
  return h("button", { type: "button", "data-au": unit.au, "aria-pressed": "false" },
    h("span", { class: "number" }, `AU${unit.au}`),
    h("span", { class: "name" }, unit.name),
    h("span", { class: "place" }, [unit.muscle, unit.region].filter(Boolean).join(" · ")),
    unit.said && h("q", { class: "quote" }, unit.said),
    h("span", { class: "much" },
      unit.intensity && h("span", {}, h("span", { class: "hidden" }, "intensity "), intensity(unit.intensity)),
      typeof unit.confidence === "number" &&
        h("span", { class: "value" }, h("span", { class: "hidden" }, "confidence "), percent(unit.confidence))));
}

function affect(face) {
  const axes = [["Valence", face.valence, "unpleasant", "pleasant"], ["Arousal", face.arousal, "calm", "excited"]];
  const known = axes.filter(([, value]) => typeof value === "number");
  return known.length > 0 && h("section", { class: "affect" },
    h("h3", {}, "Valence and arousal"),
    h("dl", {}, known.map(([name, value, low, high]) => h("div", {}, h("dt", {}, name),
      h("dd", {}, signed(value), h("span", { class: "note" }, ` from −1, ${low}, to +1, ${high}`))))));
}

/** Mentions are spans, not buttons: a button does not break over lines with the text around it. */
function reasoning(face) {
  return h("section", { class: "reasoning" },
    h("h3", {}, "Reasoning"),
    h("p", {}, mentions(face.reasoning, face.aus ?? []).map(({ text, au }) => (au ? mention(text, au) : text))));
}

function mention(text, au) {
  return h("span", { role: "button", tabindex: "0", class: "mention", "data-au": au, "aria-pressed": "false" }, text);
}

function faults(face) {
  if (!face.faults?.length) return null;
  return h("section", { class: "faults" },
    h("h3", {}, "Faults in the answer"),
    h("p", { class: "note" }, "The model’s text misses the form it was asked for; read the answer with care."),
    h("ul", {}, face.faults.map((fault) => h("li", {}, fault))),
    face.text && h("details", {}, h("summary", {}, "The text as it came"), h("pre", { tabindex: "0" }, face.text)));
}
