// CIELAB (D65, 2 degrees) from sRGB and back, as data/spec.py has it from scikit-image.
// @ts-check

// Rows of the matrices between XYZ and linear RGB: of Y, and of all three colours.
const TO_Y = [0.212671, 0.71516, 0.072169];
const TO_RGB = [
  3.24048134, -1.53715152, -0.49853633, -0.96925495, 1.87599, 0.04155593, 0.05564664, -0.20404134, 1.05731107,
];
const WHITE = [0.95047, 1, 1.08883];

/** The share of light of each level of sRGB. */
const LINEAR = Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92;
});

/** The lightness L, 0 to 100. @param {number} red @param {number} green @param {number} blue 0 to 255. */
export function lightness(red, green, blue) {
  const y = TO_Y[0] * LINEAR[red] + TO_Y[1] * LINEAR[green] + TO_Y[2] * LINEAR[blue];
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 116 * (7.787 * y + 16 / 116) - 16;
}

/**
 * Paints a colour in sRGB; what no screen can show is clipped.
 *
 * @param {Uint8ClampedArray} into @param {number} to Where red goes, and behind it green and blue.
 * @param {number} l @param {number} a @param {number} b
 */
export function paintLab(into, to, l, a, b) {
  const y = (l + 16) / 116;
  const x = WHITE[0] * lightOf(y + a / 500);
  const z = WHITE[2] * lightOf(Math.max(0, y - b / 200));
  const middle = WHITE[1] * lightOf(y);
  for (let c = 0; c < 3; c++) into[to + c] = levelOf(TO_RGB[3 * c] * x + TO_RGB[3 * c + 1] * middle + TO_RGB[3 * c + 2] * z);
}

/** @param {number} value */
const lightOf = (value) => (value > 0.2068966 ? value * value * value : (value - 16 / 116) / 7.787);

/** @param {number} light */
const levelOf = (light) => 255 * (light > 0.0031308 ? 1.055 * light ** (1 / 2.4) - 0.055 : light * 12.92);
