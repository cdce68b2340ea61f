"""Training a scorer: it learns, it resumes bit for bit, and void has no say."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from tfpix2pix.algorithms.classes import class_weights
from tfpix2pix.algorithms.scorer import PixelLoss
from tfpix2pix.data import open_store
from tfpix2pix.scorer import load_scorer
from tfpix2pix.scorer.scores import scores_of
from tfpix2pix.scorer.settings import Settings
from tfpix2pix.scorer.training import train_scorer

# Pairs of 48 px become 32 px by cropping alone, so that edges stay sharp.
SMALL = {"size": 32, "load_size": 48, "init": "scratch"}


class Interrupted:
    """A stop request that comes after some steps."""

    exit_code = 143

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def signal(self):
        if self.left == 0:
            return signal.SIGTERM
        self.left -= 1
        return None


def quiet(text: str) -> None:
    pass


# === Loss ===


def test_the_loss_is_the_weighted_mean_over_what_is_not_void():
    random = np.random.default_rng(0)
    classes = random.integers(0, 4, (2, 5, 6))
    scores = random.normal(size=(2, 5, 6, 3)).astype(np.float32)
    weights = np.array([1.0, 2.0, 0.5])
    counted = np.array([0, 2, 3])  # class 1 is void
    total, weight = 0.0, 0.0
    for pixel in np.ndindex(classes.shape):
        if classes[pixel] != 1:
            place = [0, None, 1, 2][classes[pixel]]
            odds = np.exp(scores[pixel] - scores[pixel].max())
            total -= weights[place] * np.log(odds[place] / odds.sum())
            weight += weights[place]
    loss = PixelLoss(counted, 4, weights)
    assert float(loss(classes, scores)) == pytest.approx(total / weight, rel=1e-5)
    scores[classes == 1] = 1000 * random.normal(size=(np.sum(classes == 1), 3))
    assert float(loss(classes, scores)) == pytest.approx(total / weight, rel=1e-5)
    assert float(loss(np.ones_like(classes), scores)) == 0.0


def test_rare_classes_weigh_more():
    pixels = np.array([100, 400, 0, 25])
    np.testing.assert_array_equal(class_weights(pixels, 0.0), [1, 1, 1, 1])
    # Shares of 1/5.25, 4/5.25 and 1/21: the median is the first.
    np.testing.assert_allclose(class_weights(pixels, 1.0), [1, 0.25, 0, 4], rtol=1e-6)
    np.testing.assert_allclose(class_weights(pixels, 0.5), [1, 0.5, 0, 2], rtol=1e-6)


# === Scores ===


def test_scores_of_a_perfect_and_of_a_constant_reader(drawn_source):
    val = open_store(drawn_source, "val", size=48, cache="memory")
    truth = {val.pair(i)[0].tobytes(): val.pair(i)[1][..., 0] for i in range(val.count)}
    perfect = scores_of(lambda photos: np.stack([truth[p.tobytes()] for p in photos]), val, 48)
    assert (perfect["per_pixel"], perfect["per_class"], perfect["iou"]) == (1, 1, 1)
    assert perfect["images"] == 4
    assert set(perfect["classes"]) == {"sky", "ground", "box"}
    constant = scores_of(lambda photos: np.full(photos.shape[:3], 2, np.uint8), val, 48)
    pixels = np.bincount(np.concatenate([t.ravel() for t in truth.values()]), minlength=4)[1:]
    share = pixels[1] / pixels.sum()
    assert constant["per_pixel"] == pytest.approx(share)
    assert constant["per_class"] == pytest.approx(1 / 3)
    assert constant["iou"] == pytest.approx(share / 3)
    assert constant["commonest"] == pytest.approx(pixels.max() / pixels.sum())
    assert constant["classes"]["ground"]["share"] == pytest.approx(share)


# === Training ===


def test_it_learns_what_is_plain_to_see(drawn_source, tmp_path, unseen):
    settings = Settings({}, **SMALL, width=4, steps=110, batch_size=8, learning_rate=3e-3)
    outcome = train_scorer(settings, tmp_path / "scorer", drawn_source, say=quiet)
    assert (outcome.steps_done, outcome.trained_now, outcome.exit_code) == (110, 110, 0)
    scorer = load_scorer(tmp_path / "scorer")
    assert scorer.identity == outcome.scorer.identity
    photos, classes = unseen
    counted = classes > 0
    found = scorer.classes(photos)
    assert (found == classes)[counted].mean() > 0.85
    assert scorer.val["iou"] > 0.7
    # What is left is the scorer, not what training needed.
    assert not (tmp_path / "scorer" / "checkpoints").exists()


@pytest.mark.usefixtures("eagerly")
def test_interrupted_it_ends_with_the_same_weights(drawn_source, tmp_path):
    settings = Settings(
        {}, **SMALL, width=2, steps=5, batch_size=2, val_every=2, checkpoint_every=2
    )
    whole = train_scorer(settings, tmp_path / "whole", drawn_source, say=quiet)
    folder = tmp_path / "parts"
    said: list[str] = []
    outcome = train_scorer(settings, folder, drawn_source, stop=Interrupted(3), say=quiet)
    assert (outcome.steps_done, outcome.exit_code, outcome.stopped_by) == (3, 143, "SIGTERM")
    assert outcome.scorer is None
    assert not (folder / "scorer.json").exists()
    outcome = train_scorer(settings, folder, drawn_source, say=said.append)
    assert "continuing from step 3 of 5" in said[0]
    assert outcome.trained_now == 2
    assert outcome.scorer.identity == whole.scorer.identity
    assert outcome.scorer.facts == whole.scorer.facts
    again = train_scorer(settings, folder, drawn_source, say=quiet)
    assert (again.trained_now, again.scorer.identity) == (0, whole.scorer.identity)
