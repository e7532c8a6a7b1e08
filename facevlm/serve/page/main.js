/** The page: what happens when. A picture, a mode and one or two models make a question; replies are kept by it. */

import { ServerError, analyze, key, models, server } from "./api.js";
import * as camera from "./camera.js";
import { byId, h } from "./dom.js";
import { open } from "./picture.js";
import { clear, present } from "./result.js";
import { show } from "./view.js";
import { count } from "./words.js";

const MODES = {
  explain: "Reasoning, action units and emotion.",
  fast: "Action units and emotion.",
  label: "The emotion alone.",
};

let limits = null;
let picture = null;
let replies = new Map();
let running = null;

// ── asking ──

async function read() {
  if (!picture) return;
  running?.abort();
  const mine = (running = new AbortController());
  const question = { mode: mode(), setting: byId("setting").value };
  const wanted = [...new Set([byId("model").value, byId("other").value].filter(Boolean))];
  const started = performance.now();
  const tell = () => say(`Reading the picture … ${Math.round((performance.now() - started) / 1000)} s`);
  const clock = setInterval(tell, 1000);
  trouble(null);
  say("Reading the picture …");
  busy(true);
  const results = await Promise.allSettled(wanted.map((model) => reply({ model, ...question }, mine.signal)));
  clearInterval(clock);
  if (running !== mine) return; // another question has taken its place
  running = null;
  busy(false);
  if (mine.signal.aborted) {
    byId("again").hidden = false;
    return say("Cancelled.");
  }
  const columns = results.map(({ value: reply = null, reason: error = null }, i) => {
    return { model: wanted[i], reply, error };
  });
  const failed = columns.find((column) => column.error);
  if (columns.some((column) => column.reply)) present(columns, question.mode);
  else clear();
  say(summary(columns, performance.now() - started));
  if (failed) trouble(failed.error, columns.length > 1 ? `${failed.model}: ` : "");
}

async function reply(question, signal) {
  const name = JSON.stringify(question);
  if (!replies.has(name)) {
    const mine = replies;
    mine.set(name, await analyze(picture.url, question, signal));
    return mine.get(name);
  }
  return replies.get(name);
}

const mode = () => document.querySelector("input[name=mode]:checked").value;

function summary(columns, milliseconds) {
  const images = columns.map((column) => column.reply?.images?.[0]).filter((image) => image && !image.error);
  if (!images.length) return picture.note;
  const found = Math.max(...images.map((image) => image.faces?.length ?? 0));
  const seconds = (milliseconds / 1000).toFixed(1);
  return `${found ? count(found, "face") : "No face"} in ${seconds} s. ${picture.note}`.trim();
}

// ── saying what goes on ──

const say = (text) => (byId("said").textContent = text);

function busy(on) {
  byId("bench").setAttribute("aria-busy", String(on));
  byId("cancel").hidden = !on;
  if (on) byId("again").hidden = true;
}

/** Show what went wrong, as a sentence; nothing for null. */
function trouble(error, whose = "") {
  byId("problem").hidden = error === null;
  byId("problem").textContent = error === null ? "" : whose + error.message;
  byId("again").hidden = error === null || !picture;
  if (error instanceof ServerError && error.status === 401) openKey();
}

// ── pictures ──

async function use(blob, ofSeveral = 1) {
  running?.abort();
  trouble(null);
  try {
    picture = await open(blob, limits ?? (limits = await server()));
  } catch (error) {
    return trouble(error);
  }
  if (ofSeveral > 1) picture.note += ` The first of ${ofSeveral} files is read here; facevlm.analyze reads many.`;
  replies = new Map();
  byId("drop").hidden = true;
  byId("stage").hidden = false;
  document.body.classList.add("loaded");
  show(picture.bitmap);
  clear();
  await read();
  // On a phone the answer would come in below the screen.
  if (matchMedia("(max-width: 47.99rem)").matches) scrollTo(0, byId("status").offsetTop);
}

function fromTransfer(data) {
  const files = [...(data?.files ?? [])];
  if (files[0]) use(files[0], files.length);
  return files.length > 0;
}

byId("file").addEventListener("change", (event) => {
  fromTransfer(event.target);
  event.target.value = ""; // the same file can be chosen again
});
byId("drop").addEventListener("click", () => byId("file").click());
document.addEventListener("paste", (event) => fromTransfer(event.clipboardData) && event.preventDefault());
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (fromTransfer(event.dataTransfer)) return;
  trouble(new Error("No file was dropped. Save the picture first, then drop the file."));
});
camera.setUp(use);

// ── choices ──

const note = () => (byId("mode-note").textContent = MODES[mode()]);

for (const radio of document.querySelectorAll("input[name=mode]")) {
  radio.addEventListener("change", () => {
    note();
    read();
  });
}
for (const id of ["model", "other", "setting"]) byId(id).addEventListener("change", read);
byId("cancel").addEventListener("click", () => running?.abort());
byId("again").addEventListener("click", read);

// ── the key ──

function openKey() {
  byId("key-forget").hidden = !key.get();
  if (!byId("key-dialog").open) byId("key-dialog").showModal();
}

byId("key").addEventListener("click", openKey);
byId("key-dialog").addEventListener("close", async (event) => {
  const did = event.target.returnValue;
  const entered = byId("key-field").value.trim();
  event.target.returnValue = byId("key-field").value = "";
  if (did === "forget") key.set("");
  if (did === "use" && entered) {
    key.set(entered);
    if (await start()) read();
  }
});

// ── beginning ──

/** Ask the server what it is and serves; true if it said. */
async function start() {
  trouble(null);
  try {
    limits = await server();
    const drawn = limits.demonstration ? "Demonstration: a model of drawn faces, not taught to explain. " : "";
    const [before, after] = limits.notice.split("/v1/policy");
    byId("notice").replaceChildren(drawn, before, h("a", { href: "v1/policy" }, "the terms"), after ?? "");
    byId("notice").hidden = false;
    const settings = Object.entries(limits.settings).map(([name, is]) => [name, `${name}: ${is}`]);
    options("setting", [["", "not stated"], ...settings]);
    const names = (await models()).map((name) => [name, name]);
    options("model", names);
    options("other", [["", "no other"], ...names]);
    return true;
  } catch (error) {
    trouble(error);
    return false;
  }
}

/** Fill a select, keeping what is chosen where it is still on offer. */
function options(id, pairs) {
  const before = byId(id).value;
  byId(id).replaceChildren(...pairs.map(([value, name]) => h("option", { value, selected: value === before }, name)));
}

note();
start();
