// The page of a study: shows pairs, asks, and hands the answers over.
// @ts-check
import { Random, planOf, resultOf } from "./session.js";

/** @typedef {import("./session.js").Study} Study */
/** @typedef {import("./session.js").Showing} Showing */
/** @typedef {import("./session.js").Answer} Answer */

const SIDES = /** @type {const} */ (["first", "second"]);
const SEND_SECONDS = 20;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {number} seconds */
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
/** @returns {Promise<number>} */
const frame = () => new Promise((done) => requestAnimationFrame(done));
/** Waits for a click. @param {string} id @returns {Promise<void>} */
const clicked = (id) =>
  new Promise((done) => element(id).addEventListener("click", () => done(), { once: true }));

/** Shows one of the page's parts, and takes keyboard and screen reader there. @param {string} id */
function turnTo(id) {
  for (const part of document.querySelectorAll("main > section")) {
    part.toggleAttribute("hidden", part.id !== id);
  }
  document.body.classList.toggle("running", id === "stage");
  const heading = /** @type {HTMLElement|null} */ (element(id).querySelector("h2"));
  heading?.focus();
  window.scrollTo(0, 0);
}

/** For what happens in a trial. @param {string} text */
function tell(text) {
  element("told").textContent = text;
}

/** The end where nothing else can be done. @param {string} text */
function fail(text) {
  element("what-failed").textContent = text;
  turnTo("failed");
}

/** A picture that is ready to be shown at once. @param {Study} study @param {string} file */
async function loaded(study, file) {
  const image = new Image();
  image.alt = "";
  image.src = `${study.folder}/${file}`;
  try {
    await image.decode();
  } catch {
    throw new Error(`The picture ${file} could not be loaded.`);
  }
  return image;
}

/** Both pictures of a pair. @param {Study} study @param {Showing} showing */
const bothLoaded = (study, showing) =>
  Promise.all([loaded(study, showing.first), loaded(study, showing.second)]);

/**
 * Shows a picture for a time, in whole frames of the screen.
 * @param {HTMLElement} place @param {HTMLImageElement} image @param {number} seconds
 * @returns {Promise<number>} How long it was there, milliseconds.
 */
async function flash(place, image, seconds) {
  const start = await frame();
  place.replaceChildren(image);
  let now = start;
  // To the nearest frame: half of one at 60 Hz.
  while (now - start < 1000 * seconds - 8) now = await frame();
  place.replaceChildren();
  return Math.round(now - start);
}

/** Waits for an answer by button or key. @returns {Promise<"first"|"second">} */
function answered() {
  return new Promise((done) => {
    /** @type {Record<string, "first"|"second">} */
    const keys = { 1: "first", 2: "second", ArrowLeft: "first", ArrowRight: "second" };
    /** @param {"first"|"second"} side */
    const finish = (side) => {
      document.removeEventListener("keydown", onKey);
      for (const each of SIDES) buttonOf(each).disabled = true;
      done(side);
    };
    /** @param {KeyboardEvent} event */
    const onKey = (event) => {
      if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
      const side = keys[event.key];
      if (!side) return;
      event.preventDefault();
      finish(side);
    };
    document.addEventListener("keydown", onKey);
    for (const side of SIDES) {
      buttonOf(side).disabled = false;
      buttonOf(side).onclick = () => finish(side);
    }
  });
}

/** @param {"first"|"second"} side */
const buttonOf = (side) => /** @type {HTMLButtonElement} */ (element(`choose-${side}`));

/**
 * One pair: two pictures, one after the other, then the question.
 * @param {Study} study @param {Showing} showing @param {Promise<HTMLImageElement[]>} images
 * @returns {Promise<Answer>}
 */
async function trial(study, showing, images) {
  const pictures = await images;
  /** @type {number[]} */
  const shown = [];
  element("asking").classList.add("waiting");
  tell("");
  for (const [place, side] of SIDES.entries()) {
    await pause(study.gap);
    shown.push(await flash(element(`frame-${side}`), pictures[place], study.seconds));
  }
  element("asking").classList.remove("waiting");
  tell(`${element("question").textContent} Press 1 for the first, 2 for the second.`);
  const start = performance.now();
  const chosen = await answered();
  return {
    pair: showing.pair,
    first: showing.first,
    chosen,
    ms: Math.round(performance.now() - start),
    shown: [shown[0], shown[1]],
  };
}

/**
 * Says whether an answer was right, with both pictures to look at.
 * @param {Showing} showing @param {Answer} answer @param {HTMLImageElement[]} pictures
 */
async function feedback(showing, answer, pictures) {
  const fake = showing.fake === showing.first ? "first" : "second";
  for (const [place, side] of SIDES.entries()) {
    element(`frame-${side}`).replaceChildren(pictures[place]);
    element(`is-${side}`).textContent = side === fake ? ": fake" : ": real";
  }
  const right = answer.chosen === fake;
  const verdict = `${right ? "Right" : "Wrong"}: the ${fake} one was fake.`;
  element("verdict").textContent = verdict;
  tell(verdict);
  element("verdict").classList.toggle("right", right);
  element("asking").hidden = true;
  element("feedback").hidden = false;
  element("next").focus();
  await clicked("next");
  element("feedback").hidden = true;
  element("asking").hidden = false;
  for (const side of SIDES) {
    element(`frame-${side}`).replaceChildren();
    element(`is-${side}`).textContent = "";
  }
}

/**
 * @param {Study} study @param {Showing[]} showings @param {string} name
 * @returns {Promise<Answer[]>}
 */
async function run(study, showings, name) {
  /** @type {Answer[]} */
  const answers = [];
  turnTo("stage");
  let next = bothLoaded(study, showings[0]);
  for (const [place, showing] of showings.entries()) {
    const images = next;
    if (place + 1 < showings.length) {
      next = bothLoaded(study, showings[place + 1]);
      next.catch(() => {}); // said when its turn comes
    }
    element("count").textContent = `${name} ${place + 1} of ${showings.length}`;
    element("count").focus({ preventScroll: true });
    const answer = await trial(study, showing, images);
    answers.push(answer);
    if (showing.fake !== undefined) await feedback(showing, answer, await images);
  }
  return answers;
}

/** @param {string} place @param {RequestInit} [init] */
const ask = (place, init) =>
  fetch(place, { cache: "no-store", signal: AbortSignal.timeout(1000 * SEND_SECONDS), ...init });

/**
 * Whether `tfpix2pix study --serve` is behind this page, and whom it wants judged.
 * @returns {Promise<{matchup: number|null}|null>}
 */
async function assigned() {
  if (location.protocol === "file:") return null;
  try {
    const told = await (await ask("assignment")).json();
    return typeof told === "object" && told && "matchup" in told ? told : null;
  } catch {
    return null; // any other server of files
  }
}

/** @param {object} result @returns {Promise<string>} Empty, or what went wrong. */
async function send(result) {
  try {
    const answer = await ask("results", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(result),
    });
    return answer.ok ? "" : (await answer.text()).trim() || `the server said ${answer.status}`;
  } catch (error) {
    return `the server cannot be reached (${error instanceof Error ? error.message : error})`;
  }
}

/** A file of one line to save. @param {Study} study @param {string} participant @param {object} result */
function offer(study, participant, result) {
  const link = /** @type {HTMLAnchorElement} */ (element("save"));
  const content = new Blob([`${JSON.stringify(result)}\n`], { type: "application/jsonl" });
  link.href = URL.createObjectURL(content);
  link.download = `study-${study.study}-${participant}.jsonl`;
  element("saving").hidden = false;
}

/**
 * @param {Study} study @param {string} participant @param {object} result
 * @param {boolean} served Whether there is a server that takes results.
 */
async function handOver(study, participant, result, served) {
  turnTo("done");
  if (!served) {
    element("handed").textContent =
      "Your answers are in this page only. Please save them, and send the file to whoever asked you.";
    offer(study, participant, result);
    return;
  }
  for (;;) {
    element("handed").textContent = "Sending your answers …";
    const fault = await send(result);
    if (!fault) break;
    element("handed").textContent =
      `Your answers could not be sent: ${fault}. Try again, or save them and send the file to ` +
      "whoever asked you.";
    offer(study, participant, result);
    element("again-send").hidden = false;
    await clicked("again-send");
  }
  element("again-send").hidden = true;
  element("saving").hidden = true;
  element("handed").textContent = "Your answers have arrived. You can close this page.";
}

/** What this browser remembers, if it may: that it has been through this study. */
const memory = {
  /** @param {string} key */
  has: (key) => {
    try {
      return localStorage.getItem(key) !== null;
    } catch {
      return false;
    }
  },
  /** @param {string} key */
  add: (key) => {
    try {
      localStorage.setItem(key, "1");
    } catch {
      // Then it does not.
    }
  },
};

/** Random digits, or those of `?participant=`, which give the same order again. */
function participantOf() {
  const named = new URLSearchParams(location.search).get("participant") ?? "";
  if (/^[0-9a-f]{16}$/.test(named)) return named;
  const numbers = crypto.getRandomValues(new Uint8Array(8));
  return [...numbers].map((n) => n.toString(16).padStart(2, "0")).join("");
}

async function main() {
  const study = /** @type {Study} */ (JSON.parse(element("study").textContent ?? ""));
  const participant = participantOf();
  const key = `tfpix2pix-study-${study.study}`;
  const again = memory.has(key);
  element("again").hidden = !again;
  turnTo("intro");
  await clicked("start");
  const server = await assigned();
  const any = new Random(`${participant}/matchup`).below(study.matchups);
  const matchup = study.session === "all" ? null : (server?.matchup ?? any);
  const plan = planOf(study, participant, matchup);
  /** @param {BeforeUnloadEvent} event */
  const guard = (event) => event.preventDefault();
  window.addEventListener("beforeunload", guard);
  /** @type {Answer[]} */
  let answers = [];
  if (plan.practice.length) {
    answers = await run(study, plan.practice, "Practice");
    turnTo("break");
    await clicked("continue");
  }
  answers = answers.concat(await run(study, plan.trials, "Pair"));
  window.removeEventListener("beforeunload", guard);
  memory.add(key);
  await handOver(
    study,
    participant,
    resultOf(study, participant, matchup, again, answers),
    server !== null,
  );
}

main().catch((error) => fail(error instanceof Error ? error.message : String(error)));
