/** The server's reply as JSON, to copy. */

import { h } from "./dom.js";

/** model: its name where there are two, else false. */
export function exported(reply, model) {
  const text = JSON.stringify(reply, null, 2);
  const label = model ? `The reply of ${model} as JSON` : "The reply as JSON";
  const pre = h("pre", { tabindex: "0", role: "region", "aria-label": label }, text);
  const done = h("span", { role: "status", class: "note" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      done.textContent = "Copied.";
    } catch {
      select(pre); // the clipboard is shut to pages that do not come over https
      done.textContent = "The browser shuts its clipboard to this page. The text is selected: press Ctrl+C or ⌘C.";
    }
  };
  return h("details", { class: "json" }, h("summary", {}, "JSON", model && `: ${model}`),
    h("div", { class: "row" },
      h("button", { type: "button", onclick: copy }, "Copy"),
      h("button", { type: "button", onclick: () => select(pre) }, "Select all"), done),
    pre);
}

function select(element) {
  element.closest("details").open = true;
  getSelection().selectAllChildren(element);
  element.focus();
}
