// How pictures share a screen: no document here, so that tests run it anywhere.
// @ts-check

const ROW = 0.8;

/**
 * In how many columns pictures are largest; side by side, where that costs them little.
 * @param {number} count Of pictures. @param {number} width There is, pixels. @param {number} height
 * @param {number} ratio Width / height of a picture.
 * @param {number} below Room under each for words, pixels. @param {number} gap Between two.
 * @returns {{columns: number, width: number}} And how wide each is then.
 */
export function arranged(count, width, height, ratio, below, gap) {
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const across = (width - gap * (columns - 1)) / columns;
    const down = ((height - gap * (rows - 1)) / rows - below) * ratio;
    const size = Math.floor(Math.min(across, down));
    const wanted = columns === count ? ROW * best.width : best.width;
    if (size > wanted) best = { columns, width: size };
  }
  return best;
}
