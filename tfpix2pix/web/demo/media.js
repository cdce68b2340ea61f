// Pictures in and out of the page: files, the clipboard, the camera, PNG.
// @ts-check

/** @typedef {{width: number, height: number, data: Uint8ClampedArray<ArrayBuffer>}} Picture RGBA. */

const MOST_PIXELS = 89_478_485; // that Pillow opens without a warning, and so `tfpix2pix translate`

/**
 * A file of any kind as what a canvas draws.
 * @param {Blob} file @param {string} name For messages.
 * @returns {Promise<ImageBitmap>}
 * @throws {Error} It is no picture, or too large a one; one sentence.
 */
export async function openPicture(file, name) {
  let bitmap;
  try {
    // The levels as the file has them: `translate` applies no colour profile either.
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    const what = file.type ? ` (it is ${file.type})` : "";
    throw new Error(`${name} is no picture that this browser reads${what}; open a PNG, JPEG or WebP file.`);
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) {
    const size = sizeText(bitmap);
    bitmap.close();
    throw new Error(`${name} has ${size} pixels, too many for this page; make it smaller first.`);
  }
  return bitmap;
}

/** The file that a data address holds. @param {string} address `data:image/png;base64,...` */
export function blobOfData(address) {
  const [head, text] = address.split(",", 2);
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.replace(/^data:|;.*$/g, "") });
}

/** @param {{width: number, height: number}} size */
export function sizeText({ width, height }) {
  return `${width.toLocaleString("en")} × ${height.toLocaleString("en")}`;
}

/** @param {number} width @param {number} height */
function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error(`${sizeText({ width, height })} pixels are more than this browser has memory for; choose a smaller size.`);
  return { canvas, context };
}

/**
 * A picture in some size, on white where it is transparent.
 * @param {ImageBitmap} bitmap @param {number} width @param {number} height
 * @returns {Picture}
 * @throws {Error} The browser has no room for it; one sentence.
 */
export function drawnIn(bitmap, width, height) {
  const { context } = canvasOf(width, height);
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  try {
    const { data } = context.getImageData(0, 0, width, height);
    return { width, height, data: new Uint8ClampedArray(data) };
  } catch {
    throw new Error(`${sizeText({ width, height })} pixels are more than this browser has memory for; choose a smaller size.`);
  }
}

/** Shows a picture on a canvas of the page. @param {HTMLCanvasElement} canvas @param {Picture} picture */
export function paintOn(canvas, picture) {
  const { width, height, data } = picture;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d")?.putImageData(new ImageData(data, width, height), 0, 0);
}

/** Pictures side by side as PNG. @param {Picture[]} pictures @returns {Promise<Blob>} */
export async function pngOf(pictures) {
  const height = Math.max(...pictures.map((picture) => picture.height));
  const { canvas, context } = canvasOf(pictures.reduce((sum, { width }) => sum + width, 0), height);
  let left = 0;
  for (const { width, height: own, data } of pictures) {
    context.putImageData(new ImageData(data, width, own), left, 0);
    left += width;
  }
  const blob = await new Promise((/** @type {(blob: Blob|null) => void} */ done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("The browser could not make a PNG of it, perhaps for want of memory; choose a smaller size.");
  return blob;
}

/** Saves a file where the browser saves them. @param {Blob} blob @param {string} name */
export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The first picture of what was pasted or dropped. @param {DataTransfer|null} data */
export function pictureIn(data) {
  return [...(data?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? data?.files[0] ?? null;
}

/** A picture from the clipboard, where the browser lets a button read it.
 * @returns {Promise<Blob>} @throws {Error} One sentence. */
export async function pastedPicture() {
  const otherwise = "press Ctrl+V (on a Mac ⌘V), or save the picture and open the file.";
  if (!navigator.clipboard?.read) throw new Error(`This browser does not let a button read the clipboard; ${otherwise}`);
  let items;
  try {
    items = await navigator.clipboard.read();
  } catch {
    throw new Error(`The browser did not allow this page to read the clipboard; ${otherwise}`);
  }
  for (const item of items) {
    const type = item.types.find((each) => each.startsWith("image/"));
    if (type) return item.getType(type);
  }
  throw new Error("The clipboard holds no picture; copy one first.");
}

/** The camera that looks away from the person, or the other. @param {boolean} [front]
 * @returns {Promise<MediaStream>} @throws {Error} One sentence. */
export async function openCamera(front = false) {
  if (!navigator.mediaDevices?.getUserMedia) {
    const why = isSecureContext ? "This browser gives pages no camera" : "Browsers give a camera to pages from https or localhost only";
    throw new Error(`${why}; take a picture otherwise and open the file.`);
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: front ? "user" : "environment" }, audio: false });
  } catch (error) {
    const kind = error instanceof DOMException ? error.name : "";
    const why =
      kind === "NotAllowedError" ? "The browser did not allow this page to use the camera"
      : kind === "NotFoundError" || kind === "OverconstrainedError" ? "No camera was found"
      : "The camera could not be started, perhaps because another program uses it";
    throw new Error(`${why}; take a picture otherwise and open the file.`);
  }
}
