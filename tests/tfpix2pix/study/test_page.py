"""The page: its plan under Node, and a scripted participant in headless Chromium.

Skipped without Node, or without Chromium; see tests/export/browser.py.
"""

from __future__ import annotations

import json
import queue
import runpy
import shutil
import subprocess
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfpix2pix.study import making
from tfpix2pix.study.folder import CHECK, SOUND, SPOILT, TRIAL, Study
from tfpix2pix.study.results import parse_result
from tfpix2pix.study.scoring import score
from tfpix2pix.study.server import StudyServer

browser = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[2] / "export" / "browser.py"))
)
WEB = Path(making.__file__).parents[1] / "web" / "study"


# === The plan, under Node ===


def plans(study: Study, participants: int, tmp_path: Path) -> list[dict]:
    """What each of so many participants is shown."""
    if not shutil.which("node"):
        pytest.skip("no Node on PATH")
    page = (study.page / "index.html").read_text("utf-8")
    told = page.split('id="study">')[1].split("</script>")[0]
    (tmp_path / "session.mjs").write_text((WEB / "session.js").read_text("utf-8"), "utf-8")
    (tmp_path / "run.mjs").write_text(
        f"""import {{ planOf }} from "./session.mjs";
const study = {told};
const plans = [];
for (let n = 0; n < {participants}; n++) {{
  const matchup = study.session === "all" ? null : n % study.matchups;
  const participant = n.toString(16).padStart(16, "0");
  const plan = planOf(study, participant, matchup);
  if (JSON.stringify(plan) !== JSON.stringify(planOf(study, participant, matchup))) throw Error();
  plans.push(plan);
}}
console.log(JSON.stringify(plans));
""",
        "utf-8",
    )
    done = subprocess.run(
        ["node", tmp_path / "run.mjs"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("session", ["one", "all"])
def test_what_participants_are_shown(make, session, tmp_path):
    study = make(tmp_path / "s", session=session)
    found = plans(study, 200, tmp_path)
    places, firsts, seen = Counter(), Counter(), Counter()
    for number, plan in enumerate(found):
        assert len(plan["practice"]) == 2
        shown = [study.pairs[showing["pair"]] for showing in plan["trials"]]
        kinds = Counter(pair.kind for pair in shown)
        assert kinds == {TRIAL: 6, CHECK: 2}
        assert len({pair.image for pair in shown}) == 8  # no input twice
        matchups = Counter(pair.matchup for pair in shown if pair.kind == TRIAL)
        assert matchups == ({0: 3, 1: 3} if session == "all" else {number % 2: 6})
        for place, (showing, pair) in enumerate(zip(plan["trials"], shown, strict=True)):
            assert {showing["first"], showing["second"]} == set(pair.pictures)
            firsts[pair.pictures[showing["first"]] in ("real", SOUND)] += 1
            places[place] += pair.kind == CHECK
            seen[pair.image] += pair.kind == TRIAL
    # Of 1,600 coins, five standard deviations; of checks in each of 8 places, 50 expected.
    assert abs(firsts[True] - 800) < 100
    assert min(places.values()) > 20
    # Each of the 10 inputs of trials 120 times.
    assert len(+seen) == 10
    assert min((+seen).values()) > 80
    assert len({json.dumps(plan) for plan in found}) == 200


# === A participant in a browser ===

FRAME = '<!DOCTYPE html><meta charset="utf-8"><iframe width="390" height="844"></iframe>'
DRIVER = """<script type="module">
const told = TOLD;
const tick = () => new Promise((done) => setTimeout(done, 5));
async function open(address) {
  const frame = document.querySelector("iframe");
  frame.src = address;
  await new Promise((done) => frame.addEventListener("load", done, { once: true }));
  return frame.contentDocument;
}
async function attend(page) {
  const at = (id) => page.getElementById(id);
  const visible = (id) => Boolean(at(id).offsetParent);
  const verdicts = [], order = [], focus = [];
  let current = [];
  for (const side of ["first", "second"]) {
    new MutationObserver((changes) => {
      for (const change of changes) {
        for (const node of change.addedNodes) {
          if (!visible("feedback")) current.push(node.src.split("/").at(-1));
        }
      }
    }).observe(at(`frame-${side}`), { childList: true });
  }
  while (!visible("start")) await tick();
  focus.push(page.activeElement.textContent);
  const again = visible("again");
  at("start").click();
  for (let keyboard = false; ; ) {
    await tick();
    if (visible("failed")) return { failed: at("what-failed").textContent, again };
    if (visible("done")) break;
    if (visible("continue")) at("continue").click();
    else if (visible("next")) {
      verdicts.push(["verdict", "is-first", "is-second"].map((id) => at(id).textContent));
      focus.push(page.activeElement.id);
      at("next").click();
    } else if (visible("stage") && !at("choose-first").disabled) {
      const side = told.fakes.includes(current[0]) ? 0 : 1;
      order.push(current);
      current = [];
      keyboard = !keyboard;
      if (keyboard) page.dispatchEvent(new KeyboardEvent("keydown", { key: "12"[side] }));
      else at(["choose-first", "choose-second"][side]).click();
    }
  }
  let handed = "";
  while (!handed || handed.startsWith("Sending")) {
    await tick();
    handed = at("handed").textContent;
  }
  const link = at("save");
  const saved = visible("save") ? await (await fetch(link.href)).text() : null;
  const { scrollWidth: wide } = page.documentElement;
  return { verdicts, order, focus, handed, saved, name: link.download, wide, again };
}
if (told.addresses.length) {
  const found = [];
  for (const address of told.addresses) {
    found.push(await open(address).then(attend).catch((error) => ({ error: String(error) })));
  }
  await fetch("told", { method: "POST", body: JSON.stringify(found) });
} else await attend(document);
</script>
"""


def drive(study: Study, page: str, addresses: list[str]) -> str:
    """A page that goes through studies in a frame, or through itself, and always finds the fake."""
    fakes = [
        name
        for pair in study.pairs.values()
        for name, owner in pair.pictures.items()
        if owner not in ("real", SOUND)
    ]
    return page + DRIVER.replace("TOLD", json.dumps({"fakes": fakes, "addresses": addresses}), 1)


def test_a_served_participant(make, tmp_path):
    """From the page to the score: a perfect one is never fooled."""
    browser.find()
    study = make(tmp_path / "s", seconds=0.1)
    page = (study.page / "index.html").read_text("utf-8")
    (study.page / "drive.html").write_text(drive(study, page, []), "utf-8")
    arrived: queue.Queue = queue.Queue()
    with StudyServer(study, on_result=lambda session, count: arrived.put(session)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        session = browser.visit(f"{server.url}drive.html?participant=00000000000000aa", arrived)
        server.shutdown()
    assert session.participant == "00000000000000aa"
    kinds = [study.pairs[answer.pair].kind for answer in session.answers]
    assert kinds[:2] == ["practice"] * 2
    assert Counter(kinds[2:]) == {TRIAL: 6, CHECK: 2}
    assert {a.chosen for a in session.answers} <= {"good", "bad", SPOILT}
    # A frame of the screen less at most; more on a busy machine.
    assert min(min(a.shown) for a in session.answers) >= 83
    found = score(study, [session])
    (share,) = [share for share in found.shares if share]
    assert (share.value, found.checks) == (0, 1)
    assert share.trials + found.late == 6


def test_a_participant_of_a_plain_folder(make, tmp_path):
    """Feedback in practice and none later, answers to save, and a sentence where a file is gone.
    Of a preference no feedback at all."""
    browser.find()
    study = make(tmp_path / "s")
    other = make(tmp_path / "o", ask="preference", trials=3, practice=1, checks=1, title="Whose?")
    site = tmp_path / "site"
    shutil.copytree(study.page, site / "whole")
    (site / "broken" / "pictures").mkdir(parents=True)
    shutil.copy(study.page / "index.html", site / "broken")
    shutil.copytree(other.page, site / "other")
    addresses = [f"{name}/index.html" for name in ("whole", "broken", "other")]
    (site / "drive.html").write_text(drive(study, FRAME, addresses), "utf-8")
    with browser.Server(site) as server:
        whole, broken, preferred = browser.visit(f"{server.url}/drive.html", server.posted)
    assert "error" not in whole, whole
    assert len(whole["order"]) == 2 + 6 + 2
    assert all(len(pictures) == 2 for pictures in whole["order"])
    assert len(whole["verdicts"]) == 2
    for verdict, first, second in whole["verdicts"]:
        assert {first, second} == {": real", ": fake"}
        assert verdict == f"Right: the {'first' if first == ': fake' else 'second'} one was fake."
    assert whole["focus"] == ["What you will do", "next", "next"]
    assert whole["wide"] <= 390
    assert "save them" in whole["handed"]
    session = parse_result(study, whole["saved"])
    assert whole["name"] == f"study-{study.identity}-{session.participant}.jsonl"
    assert score(study, [session]).checks == 1
    assert "could not be loaded" in broken["failed"]
    # Other results than the first of a browser are marked.
    assert (whole["again"], session.again, broken["again"]) == (False, False, True)
    assert len(preferred["order"]) == 5
    assert preferred["verdicts"] == []
    assert len(parse_result(other, preferred["saved"]).answers) == 5


def test_the_modules_are_joined():
    """A folder without a server imports nothing, so the page has them as one."""
    script = making.page_script()
    assert "planOf" in script
    assert "\nimport" not in script
    assert "\nexport" not in script
    assert "</script" not in script.lower()
