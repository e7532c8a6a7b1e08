/** A still from the camera. The stream ends with the dialog: no camera light stays on. */

import { byId } from "./dom.js";

let stream = null;
let facing = "user";

/** Let the user take a picture; `use` gets it as a JPEG blob. */
export function setUp(use) {
  const opener = byId("camera");
  const dialog = byId("camera-dialog");
  if (!navigator.mediaDevices?.getUserMedia) {
    opener.disabled = true;
    byId("camera-note").textContent = "Browsers give a page the camera only over https or on this machine itself.";
    byId("camera-note").hidden = false;
    return;
  }
  opener.addEventListener("click", () => {
    dialog.showModal();
    start();
  });
  byId("camera-close").addEventListener("click", () => dialog.close());
  byId("turn").addEventListener("click", () => {
    facing = facing === "user" ? "environment" : "user";
    start();
  });
  byId("take").addEventListener("click", async () => {
    const still = await take(byId("video"));
    dialog.close();
    use(still);
  });
  dialog.addEventListener("close", stop);
}

async function start() {
  stop();
  const video = byId("video");
  try {
    const fresh = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1280 } } });
    stream = fresh;
    if (!byId("camera-dialog").open) return stop(); // closed while the browser asked for leave
    video.srcObject = fresh;
    await video.play();
    byId("take").disabled = false;
    byId("take").focus();
    const cameras = await navigator.mediaDevices.enumerateDevices();
    byId("turn").hidden = cameras.filter((device) => device.kind === "videoinput").length < 2;
  } catch (error) {
    const reasons = {
      NotAllowedError: "The browser was not given leave to use the camera. Allow it for this page in the address bar.",
      NotFoundError: "This machine has no camera that the browser can see.",
      NotReadableError: "The camera is in use by another program.",
    };
    say(reasons[error.name] ?? `The camera could not be started: ${error.message}`);
  }
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  byId("video").srcObject = null;
  byId("take").disabled = true;
  say("");
}

function say(problem) {
  byId("camera-problem").textContent = problem;
  byId("camera-problem").hidden = !problem;
}

function take(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
}
