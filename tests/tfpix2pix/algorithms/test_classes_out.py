"""Labels as targets, one-hot: what is learned, measured and said of a run."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfpix2pix
from tfpix2pix.algorithms.augment import NUMBERS, augmented
from tfpix2pix.algorithms.base import Draws
from tfpix2pix.algorithms.classes import class_pixels, remarks
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.algorithms.watch import ClassesWatch
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import config_of, resolve
from tfpix2pix.config.dataset import resolved
from tfpix2pix.data import (
    ImageSpec,
    evaluation_batches,
    open_dataset,
    open_store,
    training_batches,
)
from tfpix2pix.data.label_classes import LabelClass, Palette
from tfpix2pix.evaluation.labels import evaluate_logits
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.history import read_history
from tfpix2pix.training.run import train

pytestmark = pytest.mark.charts

COLORS = np.array([(200, 0, 0), (0, 200, 0), (0, 0, 0), (0, 0, 200), (9, 9, 9)], np.uint8)
PALETTE = Palette(
    "four",
    tuple(
        LabelClass(name, tuple(map(int, color)), (index,), name == "void")
        for index, (name, color) in enumerate(
            zip(("red", "green", "void", "blue", "never"), COLORS, strict=True)
        )
    ),
)
VOID = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of labels that can be read off their colours: red, green, blue; some void."""
    root = tmp_path_factory.mktemp("labels")
    (root / "palette.json").write_text(PALETTE.to_json())
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for side in "AB":
            (root / "data" / split / side).mkdir(parents=True)
        for number in range(count):
            classes = np.array([0, 1, 3, VOID])[random.integers(0, 4, (4, 4))]
            classes = classes.repeat(9, 0).repeat(9, 1)
            photo = np.clip(COLORS[classes] * 0.6 + random.normal(60, 8, (36, 36, 3)), 0, 255)
            for side, image in (("A", photo), ("B", COLORS[classes])):
                path = root / "data" / split / side / f"{number}.png"
                Image.fromarray(image.astype(np.uint8)).save(path)
    return root


def settings(folder, **changes):
    return {
        "dataset": str(folder / "data"),
        "label_palette": str(folder / "palette.json"),
        "target_encoding": "onehot",
        "crop_size": 32,
        "load_size": 36,
        "ngf": 4,
        "ndf": 4,
        "bottleneck": 8,
        "receptive_field": 16,
        "learning_rate": 2e-3,
        "ema": 0.9,
        "balance": 0.5,
        "batch_size": 2,
        "steps": 24,
        "log_every": 12,
        "val_every": 12,
        "sample_every": 24,
        "sample_images": 1,
        "checkpoint_every": 12,
        "preset": "paper",
        **changes,
    }


def opened(folder, **changes):
    config = resolve(settings(folder, **changes))
    return config, open_dataset(config)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A finished run's folder, what it said, and its outcome."""
    config, source = opened(folder)
    said: list[str] = []
    workdir = tmp_path_factory.mktemp("run") / "run"
    outcome = train(config, workdir, source, say=said.append)
    return workdir, said, outcome


# === What is learned ===


def test_a_batch_has_one_hots_cut_and_mirrored_as_they_are_stored(folder):
    _, source = opened(folder)
    store = open_store(source, "train", size=36)
    batches = training_batches(
        store, crop_size=32, flip=True, batch_size=2, seed=0, start_step=0, stop_step=6
    )
    for x, y, measured in batches:
        assert y.shape == (2, 32, 32, 5)
        assert set(np.unique(y)) == {0.0, 1.0}
        np.testing.assert_array_equal(tf.reduce_sum(y, -1), np.ones((2, 32, 32)))
        np.testing.assert_array_equal(measured[..., 0], 1 - y[..., VOID])
        # Its colour says what a pixel is: the same place of the same photograph.
        seen = x.numpy()[..., :3].argmax(-1)
        true = np.array([0, 1, 9, 2, 9])[y.numpy().argmax(-1)]
        counts = measured.numpy()[..., 0] > 0
        assert (seen == true)[counts].mean() > 0.99


def test_the_generator_gives_logits_and_learns(run):
    workdir, _, _ = run
    records = read_history(workdir)
    losses = [r["losses"]["cross_entropy"] for r in records if r["kind"] == "train"]
    assert losses[0] > losses[1]
    made = Pix2Pix.generators(tfpix2pix.load(workdir).config)["AtoB"]
    assert (made.activation, made.output_channels) == ("logits", 5)
    logits = made.build()([np.zeros((1, 32, 32, 3)), np.zeros((1, 16, 16, made.z.channels))])
    assert logits.shape == (1, 32, 32, 5)


def test_void_teaches_nothing(folder):
    config, source = opened(folder, augment="diffaugment")
    algorithm = Pix2Pix(resolved(config, source.spec), spec=source.spec)
    random = np.random.default_rng(0)
    x = tf.constant(random.uniform(-1, 1, (2, 32, 32, 3)), tf.float32)
    classes = random.integers(0, 4, (2, 32, 32))
    measured = tf.constant(classes[..., None] != VOID, tf.float32)
    found = []
    for change in (classes, np.where(classes == VOID, 0, classes)):
        y = tf.one_hot(change, 5)
        drawn = algorithm.draw((x, y, measured), draws_of(algorithm))
        with tf.GradientTape() as tape:
            made = algorithm.generator([x, *drawn[0]], training=True)
            _, close = algorithm._compared(y, made, [measured])
        found.append(tape.gradient(close["cross_entropy"], made))
    np.testing.assert_array_equal(*found)
    assert not np.any(found[0][classes == VOID])
    assert np.all(np.any(found[0][classes != VOID], axis=-1))


def draws_of(algorithm):
    zero = tf.constant(0, tf.int64)
    return Draws(algorithm.config.seed, zero, tf.range(2, dtype=tf.int64), zero)


def test_rare_classes_weigh_more_and_all_pixels_together_what_they_did(folder):
    config, source = opened(folder)
    algorithm = Pix2Pix(resolved(config, source.spec), spec=source.spec)
    store = open_store(source, "train", size=36)
    algorithm.prepare(store)
    pixels = class_pixels(store)
    stored = np.stack([store.pair(i)[1][..., 0] for i in range(6)])
    by_hand = np.bincount(stored.ravel(), minlength=5) * [1, 1, 0, 1, 1]
    np.testing.assert_array_equal(pixels, by_hand)
    weights = algorithm._class_weights.numpy()
    assert np.average(weights, weights=pixels) == pytest.approx(1.0)
    there = pixels > 0
    share = pixels[there] / pixels.sum()
    ratio = weights[there] * np.sqrt(share)  # the same for all: the square root of 1 / share
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert not weights[~there].any()


def test_diffaugment_changes_the_place_of_classes_alone():
    y = tf.one_hot(np.random.default_rng(0).integers(0, 4, (2, 16, 16)), 4)
    numbers = tf.constant(np.random.default_rng(1).random((2, NUMBERS)), tf.float32)
    assert set(np.unique(augmented(y, numbers, colors=False))) == {0.0, 1.0}
    assert len(np.unique(augmented(y, numbers))) > 2


# === A run ===


def test_killed_and_resumed_it_ends_with_the_same_bits(run, folder, tmp_path):
    workdir, _, whole = run
    parts = shutil.copytree(workdir, tmp_path / "parts")
    shutil.rmtree(Checkpoints(parts).path(24))
    said: list[str] = []
    again = train(*opened_again(folder, parts), say=said.append)
    assert (again.steps_done, again.trained_now, again.best) == (24, 12, whole.best)
    assert not any("never learned" in text for text in said)  # the classes are counted once
    for one, other in zip(*(states_of(path) for path in (workdir, parts)), strict=True):
        np.testing.assert_array_equal(one, other)


def opened_again(folder, workdir):
    config, source = opened(folder)
    return config, workdir, source


def states_of(workdir):
    reader = tf.train.load_checkpoint(str(Checkpoints(workdir).path(24) / "state"))
    names = sorted(reader.get_variable_to_shape_map())
    assert any("class_pixels" in name for name in names)
    return [reader.get_tensor(name) for name in names]


def test_val_is_measured_in_classes_and_iou_chooses(run):
    workdir, _, outcome = run
    assert outcome.best["metric"] == "labels_iou"
    val = [record for record in read_history(workdir) if record["kind"] == "val"]
    assert {"labels_iou", "labels_per_class", "labels_per_pixel", "cross_entropy"} <= val[0].keys()
    declared = json.loads((workdir / "run.json").read_text())
    assert declared["measures"][0]["title"] == "IoU"
    page = (workdir / "report.html").read_text()
    assert "Validation: classes" in page
    assert "Validation: PSNR" not in page


def test_the_grids_show_the_colours_of_classes(run):
    workdir, _, _ = run
    (sheet,) = (workdir / "samples").glob("step_*.png")
    pixels = np.asarray(Image.open(sheet).convert("RGB")).reshape(-1, 3)
    assert {tuple(p) for p in pixels} <= {tuple(c) for c in COLORS}


def sklearn_scores(true, found):
    """Per-pixel accuracy and class IoU of class numbers, void left out."""
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = np.ravel(true), np.ravel(found)
    true, found = true[true != VOID], found[true != VOID]
    # scikit-learn has no word for a class that is neither there nor found: it is left out.
    labels = [c for c in (0, 1, 3, 4) if c in true or c in found]
    iou = metrics.jaccard_score(true, found, labels=labels, average="macro")
    return metrics.accuracy_score(true, found), iou


def test_evaluate_scores_classes_as_scikit_learn_does(run, tmp_path):
    workdir, _, _ = run
    numbers = tfpix2pix.evaluate(workdir, metrics=["labels"], output=str(tmp_path / "e")).numbers
    translator = tfpix2pix.load(workdir)
    source = open_dataset(translator.config)
    true, found = [], []
    for x, y, _ in evaluation_batches(open_store(source, "val", size=32), size=32):
        picture = translator.translate_x(x[0].numpy())
        true.append(y[0].numpy().argmax(-1))
        found.append(np.stack([(picture == c).all(-1) for c in COLORS], -1).argmax(-1))
    expected = sklearn_scores(true, found)
    assert numbers["labels_per_pixel"] == pytest.approx(expected[0])
    assert numbers["labels_iou"] == pytest.approx(expected[1])


def test_val_scores_and_cross_entropy_by_other_libraries():
    special = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(3)
    classes = random.integers(0, 4, (3, 8, 8))
    classes[2] = VOID  # of this image nothing counts
    logits = random.normal(size=(3, 8, 8, 5)).astype(np.float32) + 2 * np.eye(5)[classes]
    spec = dataclasses.replace(ImageSpec(5, palette=PALETTE, encoding="onehot"), ignore=("void",))
    y = tf.one_hot(classes, 5)
    batches = [
        (y[i : i + 1], y[i : i + 1], tf.constant(classes[i, None, ..., None] != VOID, tf.float32))
        for i in range(3)
    ]
    seen = []
    found = evaluate_logits(
        batches, lambda x, at: tf.constant(logits[at.numpy()], tf.float32), spec, seen.append
    )
    assert seen == [1, 2, 3]
    per_pixel, iou = sklearn_scores(classes, logits.argmax(-1))
    assert found["labels_per_pixel"] == pytest.approx(per_pixel)
    assert found["labels_iou"] == pytest.approx(iou)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    each = [
        special.log_loss(classes[i][classes[i] != VOID], p[i][classes[i] != VOID], labels=range(5))
        for i in range(2)
    ]
    assert found["cross_entropy"] == pytest.approx(np.mean(each), rel=1e-5)
    assert (found["classes"], found["images"]) == (3, 3)
    assert found["classes_found"] == len(np.unique(logits.argmax(-1)[classes != VOID]))
    assert found["left_out"] == pytest.approx(np.mean(classes == VOID))


# === What is said ===


def test_classes_that_never_occur_are_named_once(run):
    _, said, _ = run
    (note,) = [text for text in said if "never learned" in text]
    assert note.startswith("note: these classes of 'four' occur nowhere in the train split")
    assert note.endswith(": never")  # and not void


def test_one_class_alone_is_nothing_to_learn(folder):
    _, source = opened(folder)
    store = open_store(source, "train", size=36)
    with pytest.raises(UserError, match=r"in the train split's targets all pixels are 'green'"):
        remarks(np.array([0, 7, 0, 0, 0]), store)
    with pytest.raises(UserError, match=r"no pixel counts, so there is nothing to learn"):
        remarks(np.zeros(5, int), store)


def test_a_generator_that_gives_one_class_is_told_of_until_it_has_passed():
    watch = ClassesWatch()
    collapsed, well = {"classes": 11.0, "classes_found": 1.0}, {"classes": 11, "classes_found": 4}
    assert "is given one and the same class, and the labels have 11" in watch(collapsed)
    assert watch(collapsed) is None
    assert watch(well) is None
    assert watch(collapsed) is not None
    assert watch({"classes": 1, "classes_found": 1}) is None
    assert ClassesWatch()({"l1": 0.3}) is None  # of pictures


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            {"best_metric": "ssim"},
            "--best_metric=ssim: it is not measured with --target_encoding=onehot; use one of "
            "labels_iou, labels_per_class, labels_per_pixel, cross_entropy",
        ),
        ({"best_metric": "l1"}, "--best_metric=l1: it is not measured"),
        (
            {"best_metric": "labels_iou", "target_encoding": "image"},
            "it is not measured with --target_encoding=image; use one of l1, psnr, ssim, swd",
        ),
        ({"algorithm": "cyclegan"}, "the targets of --algorithm=cyclegan are pictures; leave"),
        ({"algorithm": "cut"}, "leave it out, or use --algorithm=pix2pix"),
    ],
)
def test_what_does_not_go_with_classes(flags, said):
    with pytest.raises(UserError) as caught:
        resolve({"target_encoding": "onehot", "label_palette": "facades", **flags})
    assert said in str(caught.value)


def test_the_best_checkpoint_is_that_of_classes_whatever_the_preset():
    for preset in ("quick", "best", "paper"):
        config = resolve({"target_encoding": "onehot", "preset": preset})
        assert config.best_measure.name == "labels_iou"
    other = resolve({"target_encoding": "onehot", "best_metric": "cross_entropy"})
    assert other.best_measure.better == "lower"
    assert Pix2PixConfig(target_encoding="onehot").best_metric == "labels_iou"
    assert Pix2PixConfig().measures == Pix2PixConfig.MEASURES
    # A run of an earlier version makes pictures.
    assert not config_of({"label_palette": "facades"}).labels_out
