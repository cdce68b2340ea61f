"""Modules joined to one script: what they do stays the same."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tfpix2pix.report import scripts

MODULES = {
    "../shared/low.js": """// @ts-check
/** @type {import("./other.js").T} */
const scale = 10;
export const times = (/** @type {number} */ x) => scale * x;
export class Box { value = scale; }
export async function later() { return scale; }
""",
    "high.js": """import { times, later as soon } from "../shared/low.js";
import * as low from "../shared/low.js";
const scale = 2;
function twice(x) { return scale * times(x); }
export { twice, soon };
export let box = new low.Box().value;
""",
    "page.js": """import {
  twice,
  soon,
  box,
} from "./high.js";
import { times } from "../shared/low.js";
const scale = "</script>";
soon().then((found) => console.log([twice(3), times(1), box, found, scale.length].join()));
""",
}


@pytest.fixture
def join(monkeypatch, tmp_path):
    """`join(entry, **modules) -> script`."""
    monkeypatch.setattr(scripts, "files", lambda package: tmp_path)

    def run(entry: str, **modules: str) -> str:
        for folder in ("page", "shared"):
            (tmp_path / "web" / folder).mkdir(parents=True, exist_ok=True)
        for name, text in modules.items():
            (tmp_path / "web" / "page" / f"{name}.js").write_text(text)
        return scripts.web_script("page", entry)

    return run


def test_they_may_declare_the_same_names(join, tmp_path):
    script = join("page.js", **{name.removesuffix(".js"): text for name, text in MODULES.items()})
    assert script.count("const scale = 10;") == 1  # a module that two import is there once
    assert "</script" not in script
    if not shutil.which("node"):
        pytest.skip("no Node on PATH")
    done = subprocess.run(
        ["node", "-e", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("60,10,10,10,9\n", "")


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ({"a": 'import x from "./b.js";\n', "b": ""}, "cannot be bundled"),
        ({"a": "export default 3;\n"}, "cannot be bundled"),
        ({"a": 'import { x } from "elsewhere";\n'}, "cannot be bundled"),
        ({"a": 'import { x } from "./b.js";\n', "b": 'import { y } from "./a.js";\n'}, "itself"),
    ],
)
def test_other_forms_are_refused(join, modules, said):
    with pytest.raises(ValueError, match=said):
        join("a.js", **modules)
