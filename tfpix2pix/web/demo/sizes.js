// Which sizes a model's pictures can have.
// @ts-check

/** @typedef {{width: number, height: number}} Dimensions */

const LIVELY = 512; // pixels: a larger picture's longer side is brought down to this at first

/** The size that an export takes alone; null for any. @param {any} contract @returns {Dimensions|null} */
export function fixedSize({ image_size: size }) {
  return Array.isArray(size) ? { height: size[0], width: size[1] } : null;
}

/** The size that a model was trained at. @param {{contract: any, proof?: any}} model @returns {Dimensions} */
export function ownSize({ contract, proof }) {
  const fixed = fixedSize(contract);
  if (fixed) return fixed;
  const numbers = String(contract.config?.crop_size ?? "").match(/\d+/g)?.map(Number) ?? [];
  const [height = proof?.x?.shape?.[1] ?? 256, width = height] = numbers;
  return { width, height };
}

/** Sizes to choose from: the model's own, half of it, twice. @param {{contract: any, proof?: any}} model */
export function offeredSizes(model) {
  const { width, height } = ownSize(model);
  if (fixedSize(model.contract)) return [{ width, height }];
  return [0.5, 1, 1.5, 2, 3]
    .map((times) => ({ width: Math.round(width * times), height: Math.round(height * times) }))
    .filter((size) => !refusedSize(model.contract, size));
}

/** Why a model does not take a size, one sentence; empty where it does. @param {any} contract
 * @param {Dimensions} size */
export function refusedSize(contract, { width, height }) {
  const fixed = fixedSize(contract);
  if (fixed && (fixed.width !== width || fixed.height !== height)) {
    return `This model takes pictures of ${fixed.width} × ${fixed.height} pixels only.`;
  }
  if (![width, height].every((side) => Number.isInteger(side) && side > 0)) {
    return "Width and height are whole numbers of pixels, 1 or more.";
  }
  const multiple = contract.size_multiple ?? 1;
  const padded = [width, height].map((side) => Math.ceil(side / multiple) * multiple);
  const most = contract.max_pixels;
  if (most && padded[0] * padded[1] > most) {
    const [found, limit] = [padded[0] * padded[1], most].map((n) => n.toLocaleString("en"));
    return `${width} × ${height} are ${found} pixels with their padding, and this model takes ${limit} at most; choose a smaller size.`;
  }
  return "";
}

/**
 * The size in which a picture is shown at first: its own, or a smaller one of its shape, quick to translate.
 * @param {{contract: any, proof?: any}} model @param {Dimensions} picture @returns {Dimensions}
 */
export function firstSize(model, { width, height }) {
  const fixed = fixedSize(model.contract);
  if (fixed) return fixed;
  const own = ownSize(model);
  const most = Math.max(LIVELY, own.width, own.height);
  const scale = Math.min(1, most / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}
