/** The server's own API, as any other client uses it. Addresses are relative: the page may stand behind a prefix. */

const KEY = "facevlm-key";

/** The key lives as long as the tab. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export class ServerError extends Error {
  /** status: the HTTP status; 0 = no reply at all. */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Limits and notice of this server; open to everyone. */
export const server = () => ask("page/server.json");

/** The names of the models that are served. */
export const models = async () => (await ask("v1/models")).data.map((model) => model.id);

/** The reply of /v1/faces/analyze for one picture, a data URL. setting: where the people are; "" = not stated. */
export function analyze(image, { model, mode, setting }, signal) {
  const body = JSON.stringify({ images: [{ image }], model, mode, confidence: mode !== "label" });
  const headers = { "Content-Type": "application/json", ...(setting && { "X-Setting": setting }) };
  return ask("v1/faces/analyze", { method: "POST", body, signal, headers });
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key.get() && { Authorization: `Bearer ${key.get()}` }) };
  let reply;
  try {
    reply = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The server cannot be reached. Is it still running, and is this machine online?");
  }
  if (!reply.ok) throw new ServerError(reply.status, await why(reply));
  try {
    return await reply.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(reply.status, "The server’s reply broke off or is no JSON.");
  }
}

/** What went wrong, as a sentence: what the status means, then what the server said about it. */
async function why(reply) {
  const said = await reply.json().then((body) => body.error?.message, () => null);
  const wait = Number(reply.headers.get("Retry-After"));
  const later = wait > 0 ? `Try again in ${wait} s.` : "Try again in a moment.";
  const meaning = {
    401: key.get() ? "The server does not take this API key." : "This server wants an API key.",
    413: "The picture is larger than this server takes.",
    429: `This key has asked too often. ${later}`,
    503: `The model is not ready. ${later}`,
  }[reply.status];
  return [meaning ?? (!said && `The server answered with an error (${reply.status}).`), said && sentence(said)]
    .filter(Boolean)
    .join(" ");
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
