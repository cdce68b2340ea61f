// The output: asks the engine for a picture whenever the drawing has changed, and shows the newest.
// @ts-check
import { paintOn } from "./media.js";

/** @typedef {import("./media.js").Picture} Picture */
/**
 * What the engine is asked for.
 * @typedef {object} Asked
 * @property {Picture} picture
 * @property {bigint} seed
 * @property {boolean} noise
 * @property {(engine: Drawing) => Promise<number[]|null>} latent
 */
/**
 * What draws; engine.js has it.
 * @typedef {object} Drawing
 * @property {(seed: bigint) => Promise<number[]>} latent
 * @property {(asked: {picture: ImageData, seed: bigint, noise: boolean, latent: number[]|null}) =>
 *   Promise<{picture: Picture, milliseconds: number}|null>} draw
 */

/** Draws what is asked for, at most once for each frame of the screen. */
export class Output {
  /** @param {HTMLCanvasElement} canvas
   * @param {{shown: (made: {picture: Picture, milliseconds: number}) => void, failed: (why: string) => void,
   *   working: (is: boolean) => void}} host */
  constructor(canvas, host) {
    this.canvas = canvas;
    this.host = host;
    /** @type {Drawing|null} */
    this.engine = null;
    /** @type {Picture|null} The newest picture. */
    this.picture = null;
    /** @type {Asked|null} */
    this.asked = null;
    this.waiting = false;
    /** @type {(() => void)[]} Who waits for the newest picture. */
    this.waiters = [];
    this.number = 0; // of the newest request
    this.shown = 0; // of that whose picture is shown
  }

  /** Nothing is shown until there is something new. */
  forget() {
    this.picture = null;
    this.asked = null;
    this.shown = ++this.number;
    this.canvas.getContext("2d")?.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** @param {Drawing|null} engine */
  use(engine) {
    this.engine = engine;
    for (const done of this.waiters.splice(0)) done();
    if (engine && this.asked) this.ask(this.asked);
  }

  /** The picture of what was asked for last, once it is there; null where it could not be made. */
  async newest() {
    while (this.engine && (this.waiting || this.shown < this.number)) {
      await new Promise((/** @type {(value: void) => void} */ done) => this.waiters.push(done));
    }
    return this.picture;
  }

  /** @param {Asked} asked */
  ask(asked) {
    this.asked = asked;
    if (this.waiting || !this.engine) return;
    this.waiting = true;
    // A hidden page has no frames.
    const next = document.hidden ? setTimeout : requestAnimationFrame;
    next(() => {
      this.waiting = false;
      void this.draw();
    });
  }

  async draw() {
    const { engine, asked } = this;
    if (!engine || !asked) return;
    const number = ++this.number;
    const { picture, seed, noise } = asked;
    this.host.working(true);
    try {
      const latent = await asked.latent(engine);
      if (number < this.number) return; // the next one is on its way
      const pixels = new ImageData(picture.data, picture.width, picture.height);
      const made = await engine.draw({ picture: pixels, seed, noise, latent });
      if (!made || number < this.shown || engine !== this.engine) return;
      this.shown = number;
      this.picture = made.picture;
      paintOn(this.canvas, made.picture);
      this.host.shown(made);
    } catch (error) {
      if (number < this.shown || engine !== this.engine) return;
      this.shown = number;
      this.picture = null; // what is still shown is of an older drawing
      this.host.failed(error instanceof Error ? error.message : String(error));
    } finally {
      if (number === this.number) this.host.working(false);
      for (const done of this.waiters.splice(0)) done();
    }
  }
}
