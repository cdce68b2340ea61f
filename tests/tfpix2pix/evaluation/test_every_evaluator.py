"""What every evaluator owes: independence of batch borders, names, a bootstrap, plain refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.data.label_classes import LabelClass, Palette
from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.base import MeanOverImages
from tfpix2pix.evaluation.bootstrap import resampled, standard_errors
from tfpix2pix.evaluation.registry import EVALUATORS
from tfpix2pix.evaluation.scorer_distance import ScorerFeatures

SIZE, IMAGES = 48, 7
PALETTE = Palette(
    "test",
    (
        LabelClass("sky", (120, 140, 200), (0,)),
        LabelClass("void", (0, 0, 0), (1,), void=True),
        LabelClass("road", (128, 64, 128), (2,)),
        LabelClass("tree", (107, 142, 35), (3,)),
    ),
)


class NearestColour:
    """A scorer that reads a photo as a label image."""

    palette = PALETTE
    size = SIZE

    def classes(self, photos):
        assert photos.dtype == np.uint8
        return PALETTE.to_classes(photos)

    def features(self, photos):
        assert photos.dtype == np.uint8
        return few_numbers(photos)

    def activations(self, photos):
        values = photos / np.float32(255)
        return [values, values[:, ::2, ::2] ** 2]


def few_numbers(pictures):
    """Features of a picture: the means of its quarters, ``[B, 12]``."""
    half = pictures.shape[1] // 2
    values = pictures.reshape(len(pictures), 2, half, 2, half, 3).mean(axis=(2, 4))
    return values.reshape(len(pictures), -1) / 255


def of_scorer(name):
    return EVALUATORS[name](ScorerFeatures(NearestColour()))


MAKE = EVALUATORS | {
    "fcn": lambda: EVALUATORS["fcn"](NearestColour()),
    "labels": lambda: EVALUATORS["labels"](PALETTE),
    "fid": lambda: EVALUATORS["fid"](few_numbers),
    "kid": lambda: EVALUATORS["kid"](few_numbers),
    "fcn_samples": lambda: EVALUATORS["fcn_samples"](NearestColour()),
    "scorer_diversity": lambda: EVALUATORS["scorer_diversity"](NearestColour()),
    "scorer_kid": lambda: of_scorer("scorer_kid"),
    "scorer_fid": lambda: of_scorer("scorer_fid"),
}


@pytest.fixture(scope="module")
def whole() -> Batch:
    """Label images of flat regions, and pictures that look like them, better from image to image;
    the first line of all is bright."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 4, (IMAGES, 3, 3)).astype(np.uint8)
    classes = blocks.repeat(16, axis=1).repeat(16, axis=2)
    y = PALETTE.to_colors(classes) // 2
    lines = random.integers(0, 60, (SIZE, 1, 1)) + random.integers(0, 60, (SIZE, 1))
    y = (y + lines * random.uniform(0.5, 1, (IMAGES, 1, 1, 1))).astype(np.uint8)
    noise = np.array([90, 70, 60, 40, 30, 20, 10])[:, None, None, None]
    samples = np.stack([y + random.normal(0, 1, y.shape) * noise for _ in range(3)])
    samples = np.clip(np.rint(samples), 0, 255).astype(np.uint8)
    return Batch([f"image {i}" for i in range(IMAGES)], y, samples[0], classes, samples)


def part(batch: Batch, start: int, stop: int) -> Batch:
    cut = slice(start, stop)
    return Batch(
        batch.names[cut], batch.y[cut], batch.fake[cut], batch.classes[cut], batch.samples[:, cut]
    )


@pytest.mark.parametrize("name", EVALUATORS)
def test_batch_borders_change_nothing(name, whole):
    once, parts = MAKE[name](), MAKE[name]()
    once.update(whole)
    for start in range(0, IMAGES, 3):  # 3, 3 and a last one of 1
        parts.update(part(whole, start, start + 3))
    assert once.count == parts.count == IMAGES
    expected = once.result()
    assert all(math.isfinite(value) for value in expected.values())
    assert parts.result() == pytest.approx(expected, rel=1e-6)
    for key, values in once.statistics.items():
        np.testing.assert_allclose(parts.statistics[key], values, rtol=1e-5)


@pytest.mark.parametrize("name", EVALUATORS)
def test_the_numbers_of_each_image_are_those_of_it_alone(name, whole):
    evaluator = MAKE[name]()
    if not evaluator.scores_each:
        return
    evaluator.update(whole)
    each = evaluator.of_each(evaluator.statistics)
    for i in range(IMAGES):
        alone = MAKE[name]()
        alone.update(part(whole, i, i + 1))
        found = {number: values[i] for number, values in each.items()}
        assert found == pytest.approx(alone.result(), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", EVALUATORS)
def test_numbers_are_those_that_tables_are_told_of(name, whole):
    evaluator = MAKE[name]()
    assert evaluator.name == name
    declared = [number.name for number in evaluator.numbers_of]
    before = evaluator.result()
    assert list(before) == declared
    assert all(math.isnan(value) for value in before.values())
    evaluator.update(whole)
    assert sorted(evaluator.result()) == sorted(declared)


def test_names_of_numbers_are_unique():
    names = [n.name for evaluator in EVALUATORS.values() for n in evaluator.numbers_of]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", EVALUATORS)
def test_the_bootstrap_spreads_around_the_number(name, whole):
    evaluator = MAKE[name]()
    evaluator.update(whole)
    statistics = evaluator.statistics
    errors = standard_errors(type(evaluator), statistics, count=20)
    assert set(errors) == set(evaluator.result())
    for number, error in errors.items():
        assert error > 0, number
    drawn = resampled(type(evaluator), statistics, count=20)
    assert all(values.shape == (20,) for values in drawn.values())


# `grid` looks at pairs of images: one that counts twice is no two images.
@pytest.mark.parametrize(
    "name", [n for n, e in EVALUATORS.items() if e.additive and e.of_one_image]
)
def test_images_that_count_twice_count_as_two_images(name, whole):
    evaluator, twice = MAKE[name](), MAKE[name]()
    evaluator.update(whole)
    for batch in (part(whole, 0, 2), part(whole, 0, 2), part(whole, 5, 6)):
        twice.update(batch)
    weights = np.array([[2, 2, 0, 0, 0, 1, 0]])
    found = type(evaluator).measure(evaluator.statistics, weights)
    assert {k: float(v[0]) for k, v in found.items()} == pytest.approx(twice.result(), rel=1e-9)


@pytest.mark.parametrize("name", [n for n, e in EVALUATORS.items() if e.needs])
def test_what_is_missing_is_said_in_a_sentence(name, whole):
    needs = EVALUATORS[name].needs
    grey, pictures = whole.y[..., :1], (whole.names, whole.y, whole.fake)
    lacking = {
        "classes": (Batch(*pictures, None, whole.samples), "--label_palette"),
        "samples": (Batch(*pictures, whole.classes, whole.samples[:1]), "--samples"),
        "rgb": (
            Batch(whole.names, grey, grey, whole.classes, whole.samples[..., :1]),
            "these have 1 channel;",
        ),
    }
    for need in needs:
        batch, hint = lacking[need]
        evaluator = MAKE[name]()
        with pytest.raises(UserError, match=f"--metrics={name}: .*{hint}"):
            evaluator.update(batch)
        assert evaluator.count == 0


@pytest.mark.parametrize("name", [n for n, e in EVALUATORS.items() if "rgb" not in e.needs])
def test_grey_pictures_and_those_of_finer_steps_are_measured(name, whole):
    def fine(pictures):
        return pictures[..., :1] / 257.0 * 257.0

    evaluator = MAKE[name]()
    evaluator.update(
        Batch(
            whole.names,
            fine(whole.y),
            fine(whole.fake),
            None,
            fine(whole.samples),
            (whole.classes[..., None] - 1.5) / 1.5,
        )
    )
    assert all(math.isfinite(value) for value in evaluator.result().values())


def test_one_number_per_image_is_kept_by_the_plain_means():
    for name, evaluator in EVALUATORS.items():
        if issubclass(evaluator, MeanOverImages):
            assert [n.name for n in evaluator.numbers_of] == [name]
