// Draws by the page's engine as a plan says, and posts what came of it; tests/export/test_web_engine.py puts it behind
// the engine, whose module it calls ENGINE.
//
// Within the page: <script type="application/json" id="plan">{"where": folder or {"url", "list"}, "steps": [
// {"options": {...}, "load": name, "draws": [{"picture": {"width", "height", "data"}, "seed", "noise", "latent"}],
// "latent": seed, "burst": number of draws at once, "without": name of a global that is taken away, "promised": true for
// a graphics processor that is not there, "doubted": true to be content with the second engine alone}]}. Posts
// {"isolated", "steps": [{"info"|"error", "draws": [{"pixels", "size"}|{"error"}], ...}]} to the address in ?post=.
const { openEngine } = ENGINE;

const plan = JSON.parse(document.getElementById("plan").textContent);
const engines = new Map();

/** A network whose known picture the first engine misses, whatever it makes. */
function doubt(entry) {
  let reads = 0;
  const { tolerance } = entry.proof;
  // Two for each engine: once with the rest of the proof, once to compare.
  Object.defineProperty(entry.proof, "tolerance", { enumerable: true, get: () => (++reads > 2 ? tolerance : -1) });
}

async function answer({ options = {}, load, draws = [], latent, burst = 0, without, promised, doubted }) {
  const told = { draws: [] };
  try {
    if (promised) Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => ({}) } });
    const key = JSON.stringify(options);
    if (!engines.has(key)) engines.set(key, await openEngine(plan.where, options));
    const engine = engines.get(key);
    if (without) delete globalThis[without];
    if (doubted) doubt(engine.models.find(({ name }) => name === load));
    const shares = [];
    told.info = await engine.load(load, (share) => shares.push(share));
    told.steady = shares.every((share, i) => i === 0 || share >= shares[i - 1]) && shares.at(-1) === 1;
    if (latent !== undefined) told.latent = await engine.latent(latent);
    for (const draw of draws) told.draws.push(await drawn(engine, draw));
    const asked = Array.from({ length: burst }, () => engine.draw(draws[0]));
    told.burst = (await Promise.all(asked)).map(Boolean);
  } catch (error) {
    told.error = error.message;
  }
  return told;
}

async function drawn(engine, { picture, ...rest }) {
  try {
    const data = Uint8ClampedArray.from(picture.data);
    const made = await engine.draw({ picture: { ...picture, data }, ...rest });
    return { pixels: Array.from(made.picture.data), size: [made.picture.height, made.picture.width] };
  } catch (error) {
    return { error: error.message };
  }
}

async function run() {
  const steps = [];
  for (const step of plan.steps) steps.push(await answer(step));
  return { isolated: crossOriginIsolated, steps };
}

const post = new URLSearchParams(location.search).get("post");
run()
  .catch((error) => ({ error: String(error) }))
  .then((told) => fetch(post, { method: "POST", mode: "no-cors", body: JSON.stringify(told) }));
