"""Measures of images that are no pairs: generated pictures and true ones as two sets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.config import config_of
from tfpix2pix.config.dataset import open_source, resolved, spec_of
from tfpix2pix.data import TurnedSource, write_image
from tfpix2pix.data.label_classes import LabelClass, Palette
from tfpix2pix.evaluation.base import Batch
from tfpix2pix.evaluation.bootstrap import resampled, standard_errors
from tfpix2pix.evaluation.color import Color
from tfpix2pix.evaluation.comparison import compare
from tfpix2pix.evaluation.fcn import FCNScore
from tfpix2pix.evaluation.fid import FID
from tfpix2pix.evaluation.kid import KID, kernel, mmd2
from tfpix2pix.evaluation.registry import (
    EVALUATORS,
    Kind,
    choose_evaluators,
    default_metrics,
    for_want_of_pairs,
)
from tfpix2pix.evaluation.results import Evaluation
from tfpix2pix.evaluation.session import evaluate_model
from tfpix2pix.evaluation.sharpness import Sharpness, gradient
from tfpix2pix.evaluation.swd import SWD
from tfpix2pix.evaluation.variety import Variety, thumbnails
from tfpix2pix.report.evaluation_page import render_evaluation

FAKES, TRUTHS = 3, 5
PALETTE = Palette("two", (LabelClass("sky", (0, 0, 0), (0,)), LabelClass("road", (9, 9, 9), (1,))))


def pictures(count: int, seed: int, low: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(low, 256, (count, 32, 48, 3)).astype(np.uint8)


def filled(evaluator, fake: np.ndarray, truth: np.ndarray):
    evaluator.update_set(fake, truth=False)
    for start in range(0, len(truth), 2):  # in batches
        evaluator.update_set(truth[start : start + 2], truth=True)
    return evaluator


def test_variety_is_the_mean_distance_of_two_different_pictures():
    fake, truth = pictures(4, 0, 200), pictures(TRUTHS, 1)
    blocks = fake.astype(float).reshape(4, 16, 2, 16, 3, 3).mean(axis=(2, 4)) / 127.5 - 1
    np.testing.assert_allclose(thumbnails(fake), blocks, atol=1e-6)
    distances = [np.abs(a - b).mean() for a, b in itertools.combinations(blocks, 2)]
    found = filled(Variety(), fake, truth).result()
    assert found["variety"] == pytest.approx(np.mean(distances), rel=1e-5)
    assert found["variety_ratio"] == pytest.approx(found["variety"] / found["variety_truth"])
    # The second picture twice: it makes no pair with itself.
    statistics = {"fake": blocks.reshape(4, -1), "truth": blocks.reshape(4, -1)}
    twice = Variety.measure(statistics, np.array([[1.0, 2, 0, 0]]))["variety"][0]
    assert twice == pytest.approx(distances[0])
    assert math.isnan(Variety.measure(statistics, np.array([[0, 3.0, 0, 0]]))["variety"][0])
    assert thumbnails(np.full((1, 7, 40, 1), 255, np.uint8)).tolist() == [[[[1.0]] * 16] * 7]


def test_sets_of_unlike_counts_are_compared_by_their_means():
    fake, truth = pictures(FAKES, 0, 128), pictures(TRUTHS, 1)
    found = filled(Sharpness(), fake, truth).result()
    expected = gradient(fake).mean(), gradient(truth).mean()
    assert found["sharpness"] == pytest.approx(expected[0])
    assert found["sharpness_truth"] == pytest.approx(expected[1])
    assert found["sharpness_ratio"] == pytest.approx(expected[0] / expected[1])
    for kind in (SWD, Color):  # each picture twice: the same distribution
        values = filled(kind(), fake, np.concatenate([fake, fake])).result()
        assert set(np.round(list(values.values()), 6)) == {0.0 if kind is SWD else 1.0}


def test_distances_of_features_of_unlike_counts():
    random = np.random.default_rng(2)
    fake, truth = random.normal(size=(40, 3)), random.normal(0.5, 2, size=(60, 3))
    statistics = {"fake": fake, "truth": truth}
    whole = np.ones((1, 40)), np.ones((1, 60))
    from scipy.linalg import sqrtm

    covariances = np.cov(fake.T), np.cov(truth.T)
    expected = np.square(fake.mean(0) - truth.mean(0)).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real
    )
    assert FID.measure(statistics, *whole)["fid"][0] == pytest.approx(expected)
    kernels = kernel(fake, fake), kernel(truth, truth), kernel(fake, truth)
    expected = mmd2(*kernels, np.arange(40), np.arange(60))
    assert KID.measure(statistics, *whole)["kid"][0] == pytest.approx(expected, rel=0.1)


def test_both_sets_are_drawn_by_themselves():
    random = np.random.default_rng(4)
    statistics = {"fake": random.normal(5, 1, 30), "truth": random.normal(9, 2, 50)}
    errors = standard_errors(Sharpness, statistics, count=2000, paired=False)
    assert errors["sharpness"] == pytest.approx(statistics["fake"].std() / 30**0.5, rel=0.06)
    assert errors["sharpness_truth"] == pytest.approx(statistics["truth"].std() / 50**0.5, rel=0.06)
    # As many of both: pairs would be drawn together, and the difference of equal ones be none.
    equal = {"fake": statistics["fake"], "truth": statistics["fake"]}
    drawn = [resampled(Sharpness, equal, 50, paired=paired) for paired in (True, False)]
    assert np.std(drawn[0]["sharpness_ratio"]) < 1e-12 < 1e-3 < np.std(drawn[1]["sharpness_ratio"])


def test_what_compares_a_picture_with_its_own_target_is_left_out():
    unpaired = Kind(3, paired=False)
    found = default_metrics(unpaired)
    assert found == ["color", "chroma", "sharpness", "swd", "variety"]
    assert "variety" not in default_metrics(Kind(3))
    assert not [name for name in found if EVALUATORS[name].of_pairs]
    for asked, rank in (("l1", None), ("ssim,swd", None), ("swd", "swd")):
        with pytest.raises(UserError, match=r"no pairs; leave"):
            choose_evaluators(unpaired, Size(32, 32), asked, rank_by=rank)


# === A whole evaluation ===


class Inverting:
    """What an inverting generator is to an evaluation."""

    step, checkpoint, weights, stride = 7, "cd" * 32, "raw", 1
    takes_noise, latent_size = False, 0

    class network:
        image_size = max_pixels = None

    def __init__(self, config, spec, sign: int = -1):
        self.config, self.spec, self.sign = config, spec, sign

    def varies(self, deterministic=False):
        return False

    def translate_x(self, x, *, seed=0, deterministic=False, **_):
        y = np.repeat(self.sign * x.mean(axis=-1, keepdims=True), self.spec.y.channels, axis=-1)
        return self.spec.result(x, y)


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """A source of 3 colour and 5 grey test images that are no pairs, and its config."""
    folder = tmp_path_factory.mktemp("sides")
    for side, count in (("A", FAKES), ("B", TRUTHS)):
        for split in ("train", "test"):
            (folder / f"{split}{side}").mkdir()
            for i, picture in enumerate(pictures(count, ord(side))):
                kept = picture if side == "A" else picture[..., :1]
                write_image(folder / f"{split}{side}" / f"{side.lower()}{i}.png", kept)
    values = {"algorithm": "cyclegan", "dataset": str(folder), "lambda_identity": 0.0}
    config = config_of({**values, "crop_size": 32, "load_size": "32x48", "ngf": 2, "ndf": 2})
    source = open_source(config)
    source.check()
    return resolved(config, source.spec), source


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_each_side_is_compared_with_all_images_of_the_other(sides, direction, tmp_path):
    config, source = sides
    spec = spec_of(config, "", direction)
    if direction == "BtoA":
        source = TurnedSource(source)
    evaluators = [Sharpness(), Variety()]
    size = Size(32, 48)
    made = evaluate_model(Inverting(config, spec), source, evaluators, split="test", size=size)
    a, b = pictures(FAKES, ord("A")), pictures(TRUTHS, ord("B"))[..., :1]
    x, y = (a, b) if direction == "AtoB" else (b, a)
    letters = "ab" if direction == "AtoB" else "ba"
    assert made.names == tuple(f"{letters[0]}{i}" for i in range(len(x)))
    assert made.truths == tuple(f"{letters[1]}{i}" for i in range(len(y)))
    assert made.numbers["sharpness_truth"] == pytest.approx(gradient(y).mean())
    grey = np.rint((1 - (x / 127.5 - 1).mean(axis=-1, keepdims=True)) * 127.5)
    assert made.numbers["sharpness"] == pytest.approx(
        gradient(np.repeat(grey, y.shape[-1], axis=-1)).mean(), rel=1e-3
    )
    assert (made.facts["targets"], made.facts["paired"]) == (len(y), False)
    assert len(made.examples) == len(x)
    loaded = Evaluation.load(made.save(tmp_path / "one"))
    assert (loaded.truths, loaded.names) == (made.truths, made.names)
    evaluators = [Sharpness(), Variety()]
    other = evaluate_model(Inverting(config, spec, 1), source, evaluators, split="test", size=size)
    found = {d.number.name: d for d in compare(loaded, other)}
    assert found["sharpness"].difference == pytest.approx(0, abs=0.02)  # an inverse is as sharp
    assert found["variety"].difference == pytest.approx(0, abs=0.01)  # and as varied


def test_the_page_shows_the_way_back(sides):
    config, source = sides
    model = Inverting(config, source.spec)
    back = Inverting(config, source.spec.turned())
    made = evaluate_model(model, source, [Sharpness()], split="test", size=32, back=back)
    page = render_evaluation(made)
    assert page.count('alt="The way back from a') == FAKES
    assert "Target of" not in page
    strip = made.examples[0]
    np.testing.assert_allclose(strip.again, 255.0 - np.repeat(strip.fake, 3, axis=-1), atol=1)


def test_a_scorer_reads_generated_photos_of_labels_whose_photos_nobody_knows():
    classes = np.zeros((2, 16, 16), np.uint8)
    classes[:, 8:] = 1

    class Halves:
        palette, size = PALETTE, Size(16, 16)

        def classes(self, photos):
            return (photos[..., 0] > 99).astype(np.uint8)

    fake = np.repeat(classes[..., None] * 200, 3, axis=-1).astype(np.uint8)
    evaluator = FCNScore(Halves())
    evaluator.update(Batch(["a", "b"], fake[::-1], fake, classes, paired=False))
    found = evaluator.result()
    assert found["fcn_iou"] == 1.0
    assert math.isnan(found["fcn_truth_iou"])
    kind = Kind(3, palette=PALETTE, scorer=Halves(), paired=False)
    assert "fcn" in default_metrics(kind)
    assert for_want_of_pairs(kind) == ["l1", "l2", "psnr", "ssim", "ms_ssim", "grid"]


def test_limit_is_of_each_side(sides):
    config, source = sides
    model = Inverting(config, source.spec)
    made = evaluate_model(model, source, [Sharpness()], split="test", limit=4, size=32)
    assert (made.images, len(made.truths)) == (FAKES, 4)
