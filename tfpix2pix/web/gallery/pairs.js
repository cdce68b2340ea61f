// Which pairs are shown in which order, and the link that says so: no document here, so that tests
// run it anywhere.
// @ts-check

/**
 * @typedef {object} Measure A number that every picture has.
 * @property {string} name
 * @property {string} title In words, with the unit.
 * @property {"higher"|"lower"|""} better
 * @property {number} digits After the point.
 * @property {boolean} truth Whether it is of the targets, whatever the runs made.
 *
 * @typedef {(number|null)[]} Scores One for each pair; null where it has none.
 *
 * @typedef {object} Run
 * @property {string} name
 * @property {string} about How its pictures were made.
 * @property {string} folder Of its pictures.
 * @property {Record<string, string>} settings In which the runs differ.
 * @property {Record<string, number|null>} numbers Over all pairs.
 * @property {Record<string, number|null>} errors Standard errors of these.
 * @property {Record<string, Scores>} scores
 *
 * @typedef {object} Gallery What gallery.json holds.
 * @property {number} version
 * @property {string} name Of the data set.
 * @property {string} split
 * @property {"pair"|"image"} unit
 * @property {string} note
 * @property {number} width Of every picture, pixels.
 * @property {number} height
 * @property {string} input Folder of the inputs.
 * @property {string|null} target Folder of the targets; null where there are none.
 * @property {string[]} names Of the pairs.
 * @property {Measure[]} measures
 * @property {string[]} headline Measures that are always shown.
 * @property {Record<string, Scores>} truth Scores of the targets.
 * @property {Run[]} runs
 *
 * @typedef {object} Column One kind of picture.
 * @property {string} key
 * @property {string} title
 * @property {string} folder
 * @property {number|null} run Whose; null of input and target.
 *
 * @typedef {object} Shown What a link holds.
 * @property {string} sort A measure, NAME, or empty for the data set's order.
 * @property {string} of By whose score: a run's place, MEAN, or "1-0" for how far run 1 is above run 0.
 * @property {boolean} worst The other way round: worst, lowest, last.
 * @property {string} find Words that names hold.
 * @property {string[]} hidden Keys of columns.
 * @property {string} pair The key of the pair that is shown large; empty for none.
 * @property {string} zoom As shared/view.js writes it.
 */

export const NAME = "name";
export const MEAN = "mean";

/** @returns {Shown} */
export const everything = () => ({
  sort: "",
  of: "0",
  worst: false,
  find: "",
  hidden: [],
  pair: "",
  zoom: "",
});

/** The file of a pair's picture. @param {string} folder @param {number} index */
export const pictureOf = (folder, index) => `${folder}/${String(index).padStart(5, "0")}.png`;

/** @param {Gallery} gallery @returns {Column[]} */
export function columnsOf(gallery) {
  const columns = [{ key: "input", title: "Input", folder: gallery.input, run: null }];
  /** @type {Column[]} */
  const found = columns;
  gallery.runs.forEach((run, i) => {
    found.push({ key: String(i), title: run.name, folder: run.folder, run: i });
  });
  if (gallery.target !== null) {
    found.push({ key: "target", title: "Target", folder: gallery.target, run: null });
  }
  return found;
}

/** What a link calls each pair: its name, with a number behind it where several have that. @param {string[]} names */
export function keysOf(names) {
  /** @type {Map<string, number>} */
  const seen = new Map();
  return names.map((name) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return times === 1 ? name : `${name} (${times})`;
  });
}

/** By whose score pairs can be put in order: value and words. @param {Gallery} gallery @param {Measure} measure */
export function choicesOf(gallery, measure) {
  if (measure.truth) return [{ of: "0", title: "the target" }];
  const choices = gallery.runs.map((run, i) => ({ of: String(i), title: run.name }));
  if (choices.length < 2) return choices;
  choices.push({ of: MEAN, title: "the mean of all" });
  gallery.runs.forEach((run, i) => {
    gallery.runs.forEach((other, j) => {
      if (j < i) choices.push({ of: `${i}-${j}`, title: `${run.name} minus ${other.name}` });
    });
  });
  return choices;
}

/** The two ends of an order in words: what stands first. @param {Gallery} gallery @param {Shown} shown @returns {[string, string]} */
export function endsOf(gallery, shown) {
  if (shown.sort === "") return ["First", "Last"];
  if (shown.sort === NAME) return ["A to Z", "Z to A"];
  const measure = measureOf(gallery, shown.sort);
  if (!measure?.better) return ["Highest", "Lowest"];
  const [a, b] = shown.of.split("-");
  if (b === undefined) return ["Best", "Worst"];
  return [`${gallery.runs[Number(a)].name} ahead`, `${gallery.runs[Number(b)].name} ahead`];
}

/** @param {Gallery} gallery @param {string} name */
export const measureOf = (gallery, name) => gallery.measures.find((each) => each.name === name);

/** The value of a pair by which it is put in order. @param {Gallery} gallery @param {Shown} shown @param {number} index @returns {number|null} */
export function valueOf(gallery, shown, index) {
  const measure = measureOf(gallery, shown.sort);
  if (!measure) return null;
  if (measure.truth) return gallery.truth[measure.name]?.[index] ?? null;
  /** @param {number} run */
  const of = (run) => gallery.runs[run]?.scores[measure.name]?.[index] ?? null;
  if (shown.of === MEAN) {
    const there = gallery.runs.map((_, i) => of(i)).filter((value) => value !== null);
    return there.length ? there.reduce((sum, value) => sum + value, 0) / there.length : null;
  }
  const [a, b] = shown.of.split("-").map((run) => of(Number(run)));
  if (b === undefined) return a;
  return a === null || b === null ? null : a - b;
}

const alphabetical = new Intl.Collator("en", { numeric: true });

/** Places of the pairs that are shown, in their order; what has no value comes last either way. @param {Gallery} gallery @param {Shown} shown @returns {number[]} */
export function orderOf(gallery, shown) {
  const found = matching(gallery.names, shown.find);
  const sign = shown.worst ? -1 : 1;
  if (shown.sort === "") return shown.worst ? found.reverse() : found;
  if (shown.sort === NAME) {
    const { names } = gallery;
    return found.sort((i, j) => sign * alphabetical.compare(names[i], names[j]) || i - j);
  }
  const up = measureOf(gallery, shown.sort)?.better === "lower" ? 1 : -1;
  const values = gallery.names.map((_, i) => valueOf(gallery, shown, i));
  return found.sort((i, j) => {
    const [a, b] = [values[i], values[j]];
    if (a === null || b === null) return Number(a === null) - Number(b === null) || i - j;
    return sign * up * (a - b) || i - j;
  });
}

/** Places of names that hold all words, in any case. @param {string[]} names @param {string} find */
export function matching(names, find) {
  const words = find.toLowerCase().split(/\s+/).filter(Boolean);
  /** @type {number[]} */
  const found = [];
  names.forEach((name, i) => {
    const text = name.toLowerCase();
    if (words.every((word) => text.includes(word))) found.push(i);
  });
  return found;
}

/** A score in words. @param {number|null|undefined} value @param {Measure} measure */
export function written(value, measure) {
  if (value === null || value === undefined) return "-";
  return value.toLocaleString("en", {
    minimumFractionDigits: measure.digits,
    maximumFractionDigits: measure.digits,
  });
}

/** The runs whose score of a pair is best; none where all are equal or neither is better. @param {Gallery} gallery @param {Measure} measure @param {(number|null|undefined)[]} values */
export function bestOf(gallery, measure, values) {
  const there = values.filter((value) => typeof value === "number");
  if (gallery.runs.length < 2 || !measure.better || there.length < 2) return [];
  const best = measure.better === "higher" ? Math.max(...there) : Math.min(...there);
  if (there.every((value) => value === best)) return [];
  return values.flatMap((value, run) => (value === best ? [run] : []));
}

/** Measures that stand under every picture: that of the order first. @param {Gallery} gallery @param {Shown} shown */
export function headlineOf(gallery, shown) {
  const names = [shown.sort, ...gallery.headline.filter((name) => name !== shown.sort)];
  return names.flatMap((name) => measureOf(gallery, name) ?? []);
}

// === Links ===

/** What stands behind # in a link; only what is not as at first. @param {Gallery} gallery @param {Shown} shown */
export function toLink(gallery, shown) {
  const words = new URLSearchParams();
  if (shown.sort) words.set("sort", shown.sort);
  if (shown.sort && shown.sort !== NAME && gallery.runs.length > 1 && shown.of !== "0") {
    words.set("of", shown.of);
  }
  if (shown.worst) words.set("worst", "1");
  if (shown.find) words.set("find", shown.find);
  if (shown.hidden.length) words.set("hide", shown.hidden.join(","));
  if (shown.pair) words.set("pair", shown.pair);
  if (shown.zoom) words.set("zoom", shown.zoom);
  return words.toString();
}

/** What a link shows; what this gallery does not have is left out. @param {Gallery} gallery @param {string} link @returns {Shown} */
export function fromLink(gallery, link) {
  const words = new URLSearchParams(link.replace(/^#/, ""));
  const shown = everything();
  const sort = words.get("sort") ?? "";
  const measure = measureOf(gallery, sort);
  if (sort === NAME || measure) shown.sort = sort;
  const of = words.get("of") ?? "0";
  if (measure && choicesOf(gallery, measure).some((choice) => choice.of === of)) shown.of = of;
  shown.worst = words.get("worst") === "1";
  shown.find = words.get("find") ?? "";
  const columns = columnsOf(gallery).map((column) => column.key);
  const hidden = (words.get("hide") ?? "").split(",");
  shown.hidden = columns.filter((key) => hidden.includes(key));
  if (shown.hidden.length === columns.length) shown.hidden = [];
  const pair = words.get("pair") ?? "";
  if (keysOf(gallery.names).includes(pair)) shown.pair = pair;
  shown.zoom = words.get("zoom") ?? "";
  return shown;
}
