"""A scorer's folder: read back as written, refused in one sentence where it is not whole."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.base.errors import UserError
from tfpix2pix.data.palette import load_palette, parse_palette
from tfpix2pix.models.weights import named_weights
from tfpix2pix.scorer import load_scorer
from tfpix2pix.scorer.fcn import fcn8s, initialize
from tfpix2pix.scorer.store import identity_of, save_scorer

PALETTE = {
    "name": "drawn",
    "classes": [
        {"name": "edge", "color": [0, 0, 0], "void": True},
        {"name": "sky", "color": [0, 0, 255]},
        {"name": "ground", "color": [0, 255, 0]},
    ],
}
FACTS = {
    "palette": PALETTE,
    "size": 32,
    "width": 2,
    "init": "scratch",
    "steps": 1,
    "best_step": 1,
    "val": {"per_pixel": 0.5, "per_class": 0.4, "iou": 0.3, "images": 2},
}


@pytest.fixture(scope="module")
def weights():
    network = fcn8s(2, width=2)
    initialize(network, 3)
    random = np.random.default_rng(0)
    named = {name: variable.numpy() for name, variable in named_weights(network.model).items()}
    for name in named:  # scores start at zero, and a scorer of zeros finds one class
        if name.startswith("score_"):
            named[name] = random.normal(0, 1, named[name].shape).astype(np.float32)
        elif name.endswith("beta"):  # so that one dead channel is not the end of all
            named[name] = random.uniform(0, 1, named[name].shape).astype(np.float32)
    return named


@pytest.fixture
def folder(tmp_path, weights):
    save_scorer(tmp_path, FACTS, weights)
    return tmp_path


def refusal(call, *args):
    with pytest.raises(UserError) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_scorer_is_read_back(folder, weights):
    scorer = load_scorer(folder)
    assert scorer.identity == identity_of(weights)
    assert scorer.palette == parse_palette(json.dumps(PALETTE))
    assert (scorer.size, scorer.val["iou"], scorer.val["images"]) == (32, 0.3, 2)
    photos = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    classes = scorer.classes(photos)
    assert (classes.dtype, classes.shape) == (np.uint8, (3, 32, 32))
    network = fcn8s(2, width=2).model
    for name, variable in named_weights(network).items():
        variable.assign(weights[name])
    scores = network(photos / np.float32(127.5) - 1, training=False).numpy()
    gap = scores[..., 0] - scores[..., 1]
    assert gap.std() > 0
    clear = np.abs(gap) > 1e-4 * np.abs(scores).max()
    assert clear.mean() > 0.9
    # Of the palette's classes the first is void, and never found.
    np.testing.assert_array_equal(classes[clear], (1 + scores.argmax(axis=-1))[clear])


def test_classes_do_not_depend_on_the_other_photos(folder):
    scorer = load_scorer(folder)
    photos = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), np.uint8)
    together = scorer.classes(photos)
    for index in range(5):
        np.testing.assert_array_equal(scorer.classes(photos[index : index + 1])[0], together[index])
    np.testing.assert_array_equal(scorer.classes(photos[::-1])[::-1], together)
    assert scorer.classes(photos[:0]).shape == (0, 32, 32)


def test_features_are_the_means_of_the_blocks_last_activations(folder, weights):
    scorer = load_scorer(folder)
    photos = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    found = scorer.features(photos)
    assert (found.dtype, found.shape) == (np.float32, (3, 44))
    network = fcn8s(2, width=2).model
    for name, variable in named_weights(network).items():
        variable.assign(weights[name])
    expected, seen = [], scorer.activations(photos)
    for place, name in enumerate(("block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")):
        layer = tf.keras.Model(network.input, network.get_layer(f"{name}_relu").output)
        whole = layer(photos / np.float32(127.5) - 1).numpy()
        expected.append(whole.mean(axis=(1, 2)))
        np.testing.assert_allclose(seen[place], whole, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), rtol=1e-3, atol=1e-6)
    for index in range(3):  # whatever else stands in the batch
        np.testing.assert_array_equal(scorer.features(photos[index : index + 1])[0], found[index])
    assert scorer.features(photos[:0]).shape == (0, 44)


def test_photos_of_another_size_or_type_are_refused(folder):
    scorer = load_scorer(folder)
    for photos in (np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 32, 32, 3), np.float32)):
        with pytest.raises(ValueError, match="expected uint8"):
            scorer.classes(photos)
        with pytest.raises(ValueError, match="expected uint8"):
            scorer.features(photos)


def test_identity_is_of_names_shapes_and_values():
    a = {"x": np.zeros((2, 3), np.float32), "y": np.ones(2, np.float32)}
    same = {"y": a["y"].copy(), "x": a["x"].copy()}
    assert identity_of(a) == identity_of(same)
    for other in (
        {**a, "y": a["y"] * 2},
        {"x": a["x"], "z": a["y"]},
        {**a, "x": a["x"].reshape(3, 2)},
    ):
        assert identity_of(other) != identity_of(a)


# === Another palette or size ===


def test_check_accepts_the_same_classes_under_another_name(folder):
    scorer = load_scorer(folder)
    scorer.check(scorer.palette, 32)
    scorer.check(parse_palette(json.dumps({**PALETTE, "name": "other"})), 32)


def test_check_refuses_another_palette(folder):
    scorer = load_scorer(folder)
    said = refusal(scorer.check, load_palette("camvid"), 32)
    assert "'drawn'" in said
    assert "'camvid'" in said
    assert "no palette" in refusal(scorer.check, None, 32)
    turned = {**PALETTE, "classes": PALETTE["classes"][::-1]}
    refusal(scorer.check, parse_palette(json.dumps(turned)), 32)
    unvoid = {**PALETTE, "classes": [{**c, "void": False} for c in PALETTE["classes"]]}
    refusal(scorer.check, parse_palette(json.dumps(unvoid)), 32)


def test_check_refuses_another_size(folder):
    scorer = load_scorer(folder)
    said = refusal(scorer.check, scorer.palette, 64)
    assert "32 pixels" in said
    assert "--size=64" in said


# === Damage ===


def test_what_is_no_scorer_is_refused(tmp_path):
    assert "no such folder" in refusal(load_scorer, tmp_path / "nothing")
    file = tmp_path / "file"
    file.write_text("")
    assert "a file" in refusal(load_scorer, file)
    assert "no scorer.json" in refusal(load_scorer, tmp_path)
    (tmp_path / "training.json").write_text("{}")
    assert "not trained to its end" in refusal(load_scorer, tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[1]", "describes no scorer"),
        (b'{"kind": "something"}', "describes no scorer"),
        (b'{"kind": "tfpix2pix scorer"}', "changed after it was written"),
    ],
    ids=["half", "binary", "list", "foreign", "empty"],
)
def test_a_damaged_json_is_refused(folder, content, expected):
    (folder / "scorer.json").write_bytes(content)
    assert expected in refusal(load_scorer, folder)


def test_changed_facts_are_refused(folder):
    path = folder / "scorer.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "width": 3}))
    assert "changed after it was written" in refusal(load_scorer, folder)


def test_damaged_weights_are_refused(folder, weights):
    path = folder / "weights.npz"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"nonsense", flipped(whole)):
        path.write_bytes(content)
        assert "weights.npz is damaged" in refusal(load_scorer, folder)
    path.unlink()
    assert "is missing" in refusal(load_scorer, folder)
    # Whole, but of another scorer.
    np.savez(path, **{**weights, "fc6_bn/gamma": weights["fc6_bn/gamma"] + 1})
    assert "holds other weights" in refusal(load_scorer, folder)
    # Python objects are never unpickled.
    np.savez(path, **{"x": np.array([{"a": 1}], object)})
    assert "is damaged" in refusal(load_scorer, folder)


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 0xFF
    return bytes(changed)


# === From a stranger ===


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"width": 10**9}, "describes a network of width 1000000000"),
        ({"width": 3}, "describes a network of width 3"),
        ({"width": -2}, "describes a network of width -2"),
        ({"size": 10**9}, "says images of 1000000000 pixels"),
        ({"size": 33}, "says images of 33 pixels"),
        ({"width": float("inf")}, "cannot be used"),
    ],
)
def test_facts_that_the_weights_do_not_go_with_are_refused(tmp_path, weights, facts, said):
    with contextlib.suppress(ValueError, OverflowError):  # of what it would make, not of writing
        save_scorer(tmp_path, {**FACTS, **facts}, weights)
    assert said in refusal(load_scorer, tmp_path)


def test_weights_of_another_network_are_a_sentence(tmp_path, weights):
    save_scorer(tmp_path, FACTS, {k: v for k, v in weights.items() if "block1" not in k})
    photos = np.zeros((1, 32, 32, 3), np.uint8)
    assert "not those of its network" in refusal(load_scorer(tmp_path).classes, photos)
