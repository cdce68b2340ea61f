"""The page's numbers under Node, beside TensorFlow's and this package's own.

Skipped without Node.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfpix2pix
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.data import Decoded, load_palette
from tfpix2pix.export.contract import Contract
from tfpix2pix.inference.labels import result_of
from tfpix2pix.inference.translator import pad
from tfpix2pix.models import noise

WEB = Path(tfpix2pix.__file__).parent / "web" / "demo"
RUN = """
import { readFile } from "node:fs/promises";
const requests = JSON.parse(await readFile(process.argv[2], "utf8"));
const { answer } = await import("./answer.js");
console.log(JSON.stringify(requests.map(answer)));
"""
NUMBERS = """
import { drawLatent, drawNoise } from "./noise.js";
export const answer = ({ run, seed, z, latent }) => {
  try {
    const drawn = { z: drawNoise(run, seed, z), latent: drawLatent(run, seed, latent) };
    return { z: Array.from(drawn.z), latent: Array.from(drawn.latent) };
  } catch (error) {
    return { error: error.message };
  }
};
"""
PICTURES = """
import { inputMaker, resultMaker, whyNotDrawable } from "./pictures.js";
const numbers = (found) => Array.from(found, (value) => (Number.isNaN(value) ? null : value));
export function answer({ contract, picture, y }) {
  const why = whyNotDrawable(contract);
  if (why) return { why };
  const { height, width, data } = picture;
  try {
    const made = inputMaker(contract)({ height, width, data: Uint8ClampedArray.from(data) });
    const { x, shape, missing } = made;
    const result = resultMaker(contract)(y, x, height, width, shape[2], missing);
    return { x: numbers(x), shape, result: Array.from(result) };
  } catch (error) {
    return { error: error.message };
  }
}
"""


@pytest.fixture(scope="module")
def in_node(tmp_path_factory) -> Callable[[str, list[Any]], list[Any]]:
    """`in_node(answer, requests)`: what a module with a function `answer` says to each request."""
    if not shutil.which("node"):
        pytest.skip("no Node on PATH")
    folder = tmp_path_factory.mktemp("node") / "demo"
    shutil.copytree(WEB, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "run.js").write_text(RUN)

    def run(answer: str, requests: list[Any]) -> list[Any]:
        (folder / "answer.js").write_text(answer)
        (folder / "requests.json").write_text(json.dumps(requests))
        command = ["node", folder / "run.js", folder / "requests.json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


# === z and the latent ===

SEEDS = [
    *[(0, 0), (0, 1), (9, 7), (123456789, -1), (-5, 2**31), (2**31 - 1, 2**32 + 3)],
    *[(2**63 - 1, -(2**63)), (-(2**63), 2**63 - 1)],
]


def test_the_numbers_of_a_seed_are_those_of_tensorflow(in_node):
    sizes = [(2, 3, 5), (1, 1, 1), (4, 2, 8)]
    cases = [(*seeds, sizes[i % 3], 1 + i) for i, seeds in enumerate(SEEDS)]
    found = in_node(
        NUMBERS,
        # Whole numbers beyond 2^53 are texts in JSON, as models.json has them.
        [
            {"run": str(run), "seed": str(seed), "z": int(np.prod(shape)), "latent": size}
            for run, seed, shape, size in cases
        ],
    )
    for (run, seed, shape, size), numbers in zip(cases, found, strict=True):
        z = noise.draw(run, noise.INFERENCE, np.array([seed]), shape).numpy().reshape(-1)
        assert np.array_equal(np.array(numbers["z"], np.float32), z)
        latent = noise.draw_latent(run, noise.INFERENCE, np.array([seed]), size).numpy()[0]
        np.testing.assert_allclose(numbers["latent"], latent, atol=2e-6, rtol=1e-6)


def test_what_is_no_seed_is_refused(in_node):
    seeds = [2**63, "twelve", 1.5]
    found = in_node(NUMBERS, [{"run": 1, "seed": str(seed), "z": 1, "latent": 1} for seed in seeds])
    assert [each["error"] for each in found] == [
        "seed 9223372036854775808 does not fit in 64 bits",
        "seed twelve: a whole number was expected",
        "seed 1.5: a whole number was expected",
    ]


# === Pictures ===

PALETTE = json.loads(load_palette("facades").to_json())
PALETTE["classes"][4]["void"] = True
LABELS = {"label_palette": "facades", "label_side": "input", "input_channels": 3}
ONE_HOT = {**LABELS, "input_encoding": "onehot", "input_channels": 12}
CLASSES = {
    **{"label_palette": "facades", "label_side": "target", "target_encoding": "onehot"},
    **{"target_channels": 12, "target_ignore": "void", "input_ignore": "0"},
}
LAB = {
    **{"color_space": "lab", "input_channels": 1, "target_channels": 2, "input_range": "0:100"},
    **{"input_dtype": "float32", "target_dtype": "float32", "target_range": "-110:110"},
}
DEEP = {"input_dtype": "uint16", "target_dtype": "uint16"}
ALPHA = {"input_channels": 4, "input_alpha": True, "target_channels": 2, "target_alpha": True}


def contract(config: dict[str, Any], **options: Any) -> Contract:
    sizes = {"crop_size": 32, "load_size": 32, "ngf": 4}
    palette = json.dumps(PALETTE) if "label_palette" in config else ""
    return Contract(Pix2PixConfig(**{**sizes, **config}), palette, 1, "ab" * 32, **options)


def noisy(height: int, width: int) -> np.ndarray:
    """RGBA of every kind: colours of the palette, greys and noise, some of it see-through."""
    random = np.random.default_rng([height, width])
    colors = np.array([each["color"] for each in PALETTE["classes"]], np.uint8)
    shape = (height, width)
    kinds = random.integers(0, 4, shape)
    greys = random.choice(np.array([0, 0, 1, 128, 255], np.uint8), shape)[..., None]
    rgb = np.where((kinds == 0)[..., None], colors[random.integers(0, 12, shape)], greys)
    rgb = np.where((kinds == 1)[..., None], random.integers(0, 256, (*shape, 3)), rgb)
    alpha = np.where(random.random(shape) < 0.2, random.integers(0, 256, shape), 255)
    return np.concatenate([rgb, alpha[..., None]], axis=-1).astype(np.uint8)


def greys(height: int, width: int, low: int, high: int) -> np.ndarray:
    values = np.random.default_rng(low).integers(low, high, (height, width, 1))
    return np.concatenate([values] * 3 + [np.full_like(values, 255)], axis=-1).astype(np.uint8)


CASES = {
    "RGB": (contract({}), noisy(37, 50)),
    "of the size itself": (contract({}), noisy(32, 64)),
    "more padding than picture": (contract({}), noisy(3, 5)),
    "one row": (contract({}), noisy(1, 20)),
    "one size": (contract({}, image_size=(64, 32)), noisy(50, 30)),
    "grey": (contract({"input_channels": 1, "target_channels": 1}), noisy(37, 50)),
    "labels in colours": (contract(LABELS), noisy(37, 50)),
    "labels as classes": (contract(ONE_HOT), noisy(37, 50)),
    "an index map": (contract(ONE_HOT), greys(20, 40, 1, 13)),
    "no index map": (contract(ONE_HOT), greys(20, 40, 1, 14)),
    "classes out": (contract(CLASSES), noisy(37, 50)),
    "class numbers out": (contract(CLASSES, argmax=True), noisy(37, 50)),
    "a photograph's colours": (contract(LAB), noisy(37, 50)),
    "16 bits": (contract(DEEP), noisy(20, 30)),
    "a part of 8 bits": (
        contract({"input_range": "10:200", "target_range": "20:219", "input_ignore": "0,255"}),
        noisy(37, 50),
    ),
    "a target's own nodata": (
        contract({"input_ignore": "128", "target_ignore": "nan,300,77"}),
        noisy(37, 50),
    ),
    "alpha": (contract(ALPHA), noisy(20, 30)),
}


# Colours are computed with more digits than scikit-image's, and 16 bits are shown as 8.
TO_A_LEVEL = ("a photograph's colours", "16 bits")


@pytest.fixture(scope="module")
def made(in_node) -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """Of each case what Node makes, and y."""
    requests, ys = [], []
    for one, picture in CASES.values():
        height, width = picture.shape[:2]
        padded = [side + -side % one.size_multiple for side in (height, width)]
        random = np.random.default_rng(4)
        y = random.uniform(-1, 1, (*padded, one.channels[1])).astype(np.float32)
        if one.labels_out:
            y = one.spec.y.probabilities(4 * y)
        if one.argmax:
            y = one.spec.y.classes(y)[..., None]
        ys.append(y[:height, :width])
        told = {"height": height, "width": width, "data": picture.reshape(-1).tolist()}
        requests.append({"contract": one.to_dict(), "picture": told, "y": y.reshape(-1).tolist()})
    answers = in_node(PICTURES, requests)
    return dict(zip(CASES, zip(answers, ys, strict=True), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_inputs_and_results_are_those_of_translate(made, name):
    one, picture = CASES[name]
    told, y = made[name]
    assert "x" in told, told
    decoded = Decoded(picture, True, None, ())
    x = one.spec.read_input(decoded)
    padded = pad(x, one.size_multiple)
    assert told["shape"] == [1, *padded.shape]
    found = np.array(told["x"], np.float32).reshape(padded.shape)
    np.testing.assert_allclose(found, padded, atol=2e-6 if one.config.color_space == "lab" else 0)
    expected = one.spec.marked(result_of(one.spec, x, y, "raw"), one.spec.missing(decoded))
    result = np.array(told["result"], np.uint8).reshape(*y.shape[:2], 4)
    if expected.dtype == np.uint16:
        expected = np.rint(expected / 257)
    colours = result if expected.shape[-1] in (2, 4) else result[..., :3]
    if expected.shape[-1] == 2:
        expected = expected[..., [0, 0, 0, 1]]
    apart = np.abs(colours.astype(int) - expected)
    assert apart.max() <= (1 if name in TO_A_LEVEL else 0)
    assert colours.std() > 10


def test_what_no_page_draws_is_refused(in_node):
    many = {"input_channels": 9, "target_channels": 3}
    one = contract({}, image_size=(32, 32))
    requests = [
        {"contract": contract(config).to_dict()}
        for config in (
            {"input_dtype": "float32", "input_range": "-2:5"},
            {"target_dtype": "float32", "target_range": "0:80"},
            many,
            {"target_channels": 2},
            {"input_dtype": "uint16", "input_range": "0:4095"},
        )
    ]
    picture = {"height": 40, "width": 32, "data": [0] * (40 * 32 * 4)}
    resnet = contract({"generator": "resnet6"})
    tiny = {"height": 4, "width": 3, "data": [0] * (4 * 3 * 4)}
    requests.append({"contract": one.to_dict(), "picture": picture, "y": []})
    requests.append({"contract": resnet.to_dict(), "picture": tiny, "y": []})
    found = in_node(PICTURES, requests)
    assert [each.get("why") or each["error"] for each in found] == [
        "its inputs are 32-bit floats, and a page draws 8 bits",
        "its results are 32-bit floats, and a page draws 8 bits",
        "its inputs have 9 channels, and a page draws grey, RGB or labels",
        "its results have 2 channels, and a page draws grey, RGB or labels",
        "its inputs are 16-bit values from 0 to 4095, and a page draws 8 bits",
        "32x40 pixels (width x height), and this export takes 32x32 only; resize the picture, or "
        "export with --image_size=any",
        "3x4 pixels (width x height), and the network takes 8 or more a side; take a larger "
        "picture",
    ]
