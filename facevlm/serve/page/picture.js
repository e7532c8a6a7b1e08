/** From a file, the clipboard or the camera to the picture that is sent and shown. */

const QUALITY = 0.92;
/** Sent as they are; what else the browser can read goes as JPEG. */
const FORMATS = ["image/jpeg", "image/png", "image/webp"];

/**
 * Decode a picture. It is sent as it is, or as a smaller JPEG where it exceeds what the server takes.
 *
 * limits: { max_bytes, max_pixels }. Returns { bitmap, url, note }: what to draw
 * (upright), what to send (a data URL), and what was done to it, if anything.
 */
export async function open(blob, limits) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    const kind = blob.type ? ` (${blob.type})` : "";
    throw new Error(`The browser cannot read this file${kind} as a picture. Choose a JPEG, PNG or WebP file.`);
  }
  const pixels = bitmap.width * bitmap.height;
  if (pixels <= limits.max_pixels && blob.size <= limits.max_bytes && FORMATS.includes(blob.type)) {
    return { bitmap, url: await dataUrl(blob), note: "" };
  }
  const sent = await smaller(bitmap, limits);
  const shrunk = sent.bitmap.width < bitmap.width;
  const size = (b) => `${b.width} × ${b.height}`;
  const note = shrunk ? `Shrunk from ${size(bitmap)} to ${size(sent.bitmap)} pixels, the most this server takes.` : "";
  bitmap.close();
  return { bitmap: sent.bitmap, url: await dataUrl(sent.blob), note };
}

async function smaller(bitmap, limits) {
  let scale = Math.min(1, Math.sqrt(limits.max_pixels / (bitmap.width * bitmap.height)));
  for (;;) {
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.floor(side * scale)));
    const canvas = new OffscreenCanvas(width, height);
    const brush = canvas.getContext("2d");
    brush.fillStyle = "#fff"; // the server lays transparency on white too
    brush.fillRect(0, 0, width, height);
    brush.imageSmoothingQuality = "high";
    brush.drawImage(bitmap, 0, 0, width, height);
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    if (blob.size <= limits.max_bytes || width === 1) return { bitmap: canvas.transferToImageBitmap(), blob };
    scale *= 0.7;
  }
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The file could not be read. Was it moved or deleted?"));
    reader.readAsDataURL(blob);
  });
}
