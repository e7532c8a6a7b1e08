/** Numbers and names as a reader wants them. */

const INTENSITY = { A: "trace", B: "slight", C: "marked", D: "severe", E: "maximum" };

export const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.01 ? 1 : 0)} %`;

export const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

/** FACS intensity with its word: "C, marked". */
export const intensity = (letter) => (INTENSITY[letter] ? `${letter}, ${INTENSITY[letter]}` : letter);

export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** "AU6, AU12", or "none". */
export const list = (aus) => aus.map((au) => `AU${au}`).join(", ") || "none";

const plain = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/**
 * A text cut where it names one of some AUs, by number or FACS name: [{ text, au }], au null for what lies between.
 * It marks what the answer lists; which AUs a text claims is for the server to judge.
 */
export function mentions(text, aus) {
  const byName = new Map(aus.map((unit) => [unit.name.toLowerCase(), unit.au]));
  const listed = new Set(aus.map((unit) => unit.au));
  const names = [...byName.keys()].sort((a, b) => b.length - a.length);
  // "cheek raiser (AU6)" is one mention.
  const called = names.map((name) => `\\b${plain(name)}\\b(?:\\s\\(AU0?${byName.get(name)}\\))?`);
  const pattern = new RegExp(["\\bAU\\s?0?(\\d{1,2})\\b", ...called].join("|"), "gi");
  const pieces = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const au = match[1] ? Number(match[1]) : byName.get(match[0].toLowerCase().replace(/\s\(au\d+\)$/, ""));
    if (!listed.has(au)) continue;
    pieces.push({ text: text.slice(end, match.index), au: null }, { text: match[0], au });
    end = match.index + match[0].length;
  }
  return [...pieces, { text: text.slice(end), au: null }].filter((piece) => piece.text);
}
