// CIELAB (D65, 2 degrees) from sRGB and back, as data/spec.py has it from scikit-image.
// @ts-check

const TO_XYZ = [0.412453, 0.35758, 0.180423, 0.212671, 0.71516, 0.072169, 0.019334, 0.119193, 0.950227];
const TO_RGB = [
  3.24048134, -1.53715152, -0.49853633, -0.96925495, 1.87599, 0.04155593, 0.05564664, -0.20404134, 1.05731107,
];
const WHITE = [0.95047, 1, 1.08883];

/** @param {number[]} matrix 3x3, by rows. @param {number[]} vector */
const times = (matrix, [a, b, c]) =>
  [0, 3, 6].map((row) => matrix[row] * a + matrix[row + 1] * b + matrix[row + 2] * c);

/** The share of light of each level of sRGB. */
const LINEAR = Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92;
});

/** The lightness L, 0 to 100. @param {number} red @param {number} green @param {number} blue 0 to 255. */
export function lightness(red, green, blue) {
  const y = TO_XYZ[3] * LINEAR[red] + TO_XYZ[4] * LINEAR[green] + TO_XYZ[5] * LINEAR[blue];
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 116 * (7.787 * y + 16 / 116) - 16;
}

/** sRGB, 0 to 255 without rounding; what no screen can show is clipped. @param {number[]} lab */
export function rgbOfLab([l, a, b]) {
  const y = (l + 16) / 116;
  const xyz = [y + a / 500, y, Math.max(0, y - b / 200)].map((value, i) => {
    const light = value > 0.2068966 ? value ** 3 : (value - 16 / 116) / 7.787;
    return light * WHITE[i];
  });
  return times(TO_RGB, xyz).map((light) => {
    const value = light > 0.0031308 ? 1.055 * light ** (1 / 2.4) - 0.055 : light * 12.92;
    return 255 * Math.min(1, Math.max(0, value));
  });
}
