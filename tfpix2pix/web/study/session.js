// What a participant is shown and in which order: no document here, so that tests run it anywhere.
// @ts-check

/**
 * @typedef {{id: string, pictures: [string, string], fake?: string}} Pair
 *   Two files; of practice pairs, which of them was made.
 * @typedef {object} Study What the page is told, as making.py writes it.
 * @property {number} format
 * @property {string} study Identity of the study.
 * @property {"fake"|"preference"} ask
 * @property {"one"|"all"} session One matchup for each participant, or all of them.
 * @property {number} matchups How many there are.
 * @property {number} trials How many each participant is shown, checks not counted.
 * @property {number} seconds How long each picture is shown.
 * @property {number} gap Empty time before each picture, seconds.
 * @property {number} width Of the pictures, pixels.
 * @property {number} height
 * @property {string} folder Of the pictures.
 * @property {Pair[][]} practicePairs For each input a pair of each matchup.
 * @property {Pair[][]} trialPairs
 * @property {Pair[]} checkPairs
 *
 * @typedef {{pair: string, first: string, second: string, fake?: string}} Showing
 * @typedef {{practice: Showing[], trials: Showing[]}} Plan
 * @typedef {{pair: string, first: string, chosen: "first"|"second", ms: number,
 *   shown: [number, number]}} Answer
 */

/** Random numbers that are a function of a text (a Weyl sequence, mixed as in MurmurHash3). */
export class Random {
  /** @param {string} text */
  constructor(text) {
    this.state = 2166136261;
    for (const unit of text) this.state = Math.imul(this.state ^ Number(unit.codePointAt(0)), 16777619);
  }

  /** A whole number from 0 to count - 1. @param {number} count */
  below(count) {
    this.state = (this.state + 0x9e3779b9) | 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return Math.floor((((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32) * count);
  }

  /** The same in a random order. @template T @param {readonly T[]} items @returns {T[]} */
  shuffled(items) {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [result[i], result[j]] = [result[j], result[i]];
    }
    return result;
  }
}

/**
 * What one participant is shown: a function of the study, the participant and the matchup.
 *
 * @param {Study} study
 * @param {string} participant Random digits.
 * @param {number|null} matchup That this participant judges; null for all of them.
 * @returns {Plan}
 */
export function planOf(study, participant, matchup) {
  const random = new Random(`${study.study}/${participant}`);
  /** @param {Pair[][]} rows @param {number} count @returns {Pair[]} */
  const drawn = (rows, count) => {
    // Every matchup equally often, no input twice.
    const start = random.below(study.matchups);
    return random
      .shuffled(rows)
      .slice(0, count)
      .map((row, place) => row[matchup ?? (start + place) % study.matchups]);
  };
  const practice = random.shuffled(drawn(study.practicePairs, study.practicePairs.length));
  const trials = drawn(study.trialPairs, study.trials);
  return {
    practice: showings(practice, random),
    trials: showings(random.shuffled([...trials, ...study.checkPairs]), random),
  };
}

/**
 * Each pair in one of its two orders, by a coin.
 * @param {Pair[]} pairs @param {Random} random @returns {Showing[]}
 */
function showings(pairs, random) {
  return pairs.map(({ id, pictures, fake }) => {
    const [first, second] = random.below(2) ? [pictures[1], pictures[0]] : pictures;
    return { pair: id, first, second, ...(fake === undefined ? {} : { fake }) };
  });
}

/**
 * The line of results: nothing of the person, the machine or the time of day.
 * @param {Study} study @param {string} participant @param {number|null} matchup
 * @param {boolean} again Whether this browser has been through the study before.
 * @param {Answer[]} answers
 */
export function resultOf(study, participant, matchup, again, answers) {
  return { format: study.format, study: study.study, participant, matchup, again, answers };
}
