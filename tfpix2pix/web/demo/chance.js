// What chance decides: the seed of the noise, and where in the latent one walks.
// @ts-check
import { byId, inputOf, onClick } from "./dom.js";
import { directionsOf, walkedTo } from "./walk.js";

const MOST_SEED = 2n ** 63n;
const DRAWN_SEEDS = 100_000; // few digits, to be passed on by word of mouth

/** @param {string} text @returns {bigint|null} None where it is no whole number of 64 bits. */
export function seedOfText(text) {
  if (!/^\s*[-+]?\d{1,20}\s*$/.test(text)) return null;
  const seed = BigInt(text.trim().replace(/^\+/, ""));
  return seed >= -MOST_SEED && seed < MOST_SEED ? seed : null;
}

/** The card of the noise. */
export class Noise {
  /** @param {() => void} changed @param {(text: string) => void} tell */
  constructor(changed, tell) {
    this.seed = 0n;
    this.hasNoise = false;
    this.hasLatent = false;
    this.tell = tell;
    this.changed = changed;
    onClick("new-noise", () => this.renew());
    inputOf("seed").addEventListener("input", () => this.typed());
    inputOf("seed").addEventListener("change", () => this.set(this.seed));
    inputOf("with-noise").addEventListener("change", () => changed());
  }

  /** For another model. @param {any} contract */
  show(contract) {
    this.hasNoise = Boolean(contract.noise?.channels);
    this.hasLatent = Boolean(contract.latent?.size);
    byId("noise-card").hidden = !this.hasNoise && !this.hasLatent;
    byId("noise-row").hidden = !this.hasNoise;
    byId("noise-about").textContent = this.hasNoise
      ? "Drawn from the seed, as by tfpix2pix translate."
      : "The seed chooses among the answers, as by tfpix2pix translate.";
  }

  typed() {
    const seed = seedOfText(inputOf("seed").value);
    const wrong = seed === null;
    inputOf("seed").setAttribute("aria-invalid", String(wrong));
    inputOf("seed").setCustomValidity(wrong ? "A seed is a whole number of 64 bits, such as 7." : "");
    if (wrong) inputOf("seed").reportValidity();
    else if (seed !== this.seed) {
      this.seed = seed;
      this.changed();
    }
  }

  /** @param {bigint} seed */
  set(seed) {
    this.seed = seed;
    inputOf("seed").value = String(seed);
    inputOf("seed").setCustomValidity("");
    inputOf("seed").removeAttribute("aria-invalid");
  }

  renew() {
    this.set(BigInt(Math.floor(Math.random() * DRAWN_SEEDS)));
    this.changed();
    this.tell(`Seed ${this.seed}`);
  }

  /** The drawing was changed. */
  drawn() {
    if (!inputOf("locked").checked) this.set(BigInt(Math.floor(Math.random() * DRAWN_SEEDS)));
  }

  /** What the seed decides, for people. */
  get words() {
    const drawn = [this.on ? "noise" : "", this.hasLatent ? "latent" : ""].filter(Boolean);
    const words = drawn.length ? `${drawn.join(" and ")} of seed ${this.seed}` : "";
    return this.hasNoise && !this.on ? [words, "without noise"].filter(Boolean).join(", ") : words;
  }

  /** Whether there is dropout. */
  get on() {
    return this.hasNoise && inputOf("with-noise").checked;
  }
}

/** The card with the pad of the latent. */
export class Walk {
  /** @param {() => void} changed @param {(text: string) => void} tell */
  constructor(changed, tell) {
    this.changed = changed;
    this.size = 0;
    this.seed = 1; // of the directions
    this.x = 0;
    this.y = 0;
    const pad = byId("pad");
    /** @param {PointerEvent} event */
    const follow = (event) => {
      const { left, top, width, height } = pad.getBoundingClientRect();
      const place = [(event.clientX - left) / width, 1 - (event.clientY - top) / height];
      const [x, y] = place.map((share) => Math.min(1, Math.max(-1, 2 * share - 1)));
      this.go(x, this.size > 1 ? y : 0);
    };
    pad.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pad.setPointerCapture(event.pointerId);
      follow(event);
    });
    pad.addEventListener("pointermove", (event) => {
      if (pad.hasPointerCapture(event.pointerId)) follow(event);
    });
    for (const id of ["walk-x", "walk-y"]) {
      inputOf(id).addEventListener("input", () => this.go(inputOf("walk-x").valueAsNumber, inputOf("walk-y").valueAsNumber));
    }
    onClick("new-directions", () => {
      this.seed = 1 + Math.floor(Math.random() * DRAWN_SEEDS);
      this.changed();
      tell("New directions");
    });
    onClick("walk-home", () => {
      this.go(0, 0);
      tell("The seed's own answer");
    });
  }

  /** For another model. @param {any} contract */
  show(contract) {
    this.size = contract.latent?.size ?? 0;
    byId("walk-card").hidden = !this.size;
    byId("walk-y-row").hidden = this.size < 2;
  }

  /** @param {number} x From -1 to 1. @param {number} y Likewise. */
  go(x, y) {
    this.put(x, y);
    this.changed();
  }

  /** As `go`, before anything is drawn. @param {number} x @param {number} y */
  put(x, y) {
    [this.x, this.y] = [Math.round(100 * x) / 100, Math.round(100 * y) / 100];
    inputOf("walk-x").value = String(this.x);
    inputOf("walk-y").value = String(this.y);
    const dot = /** @type {HTMLElement} */ (byId("pad").firstElementChild);
    dot.style.left = `${50 + 50 * this.x}%`;
    dot.style.top = `${50 - 50 * this.y}%`;
  }

  /** For people. */
  get words() {
    return this.place ? `walked to ${this.x}, ${this.y}` : "";
  }

  /** Where the pad stands; null in the middle, which is the seed's own. */
  get place() {
    return this.size && (this.x || this.y) ? { seed: this.seed, x: this.x, y: this.y } : null;
  }

  /**
   * The latent there; null for the seed's own.
   * @param {{latent: (seed: bigint) => Promise<number[]>}} engine @param {bigint} seed
   */
  async latent(engine, seed) {
    if (!this.place) return null;
    const { x, y } = this;
    const [start, first, second] = await Promise.all(
      // Far from the seeds of pictures, so that no direction is a picture's own latent.
      [seed, ...[0, 1].map((n) => 2n ** 62n + BigInt(2 * this.seed + n))].map((each) => engine.latent(each)),
    );
    return walkedTo(start, directionsOf(first, second), x, y);
  }
}
