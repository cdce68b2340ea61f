"""The term on colours: CIELAB, the way from one distribution to another, what it makes of greys."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from skimage.color import rgb2lab

from tfpix2pix.algorithms.chroma import (
    BINS,
    DIRECTIONS,
    MEMORY,
    REACH,
    ColourTransport,
    histogram,
    lab,
    projected,
    transport,
)
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.color import Chroma, Color

ROOT_HALF = np.sqrt(0.5)
LINES = np.array([[1, ROOT_HALF, 0, -ROOT_HALF], [0, ROOT_HALF, 1, ROOT_HALF]])


def photos(seed: int, spread: float, images: int = 2, side: int = 24) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, spread, (images, side, side, 3))
    return np.clip(noise, -1, 1).astype(np.float32)


def flat(*colors: tuple[int, int, int]) -> np.ndarray:
    """Images ``[B, 4, 4, 3]`` of one colour each."""
    return np.array([np.full((4, 4, 3), color) for color in colors], np.float32) / 127.5 - 1


def by_numpy(rgb: np.ndarray) -> np.ndarray:
    """``[B, pixels, DIRECTIONS]``: the colours on the four lines."""
    ab = rgb2lab(rgb.astype(np.float64) / 2 + 0.5)[..., 1:]
    return (ab @ LINES).reshape(len(rgb), -1, DIRECTIONS)


def test_cielab_is_that_of_scikit_image():
    cube = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3), -1).reshape(1, 27, 27, 3)
    np.testing.assert_allclose(
        lab(tf.constant(cube, tf.float32)), rgb2lab(cube / 2 + 0.5), atol=0.02
    )
    np.testing.assert_allclose(
        tf.reshape(projected(tf.constant(cube, tf.float32)), [1, -1, DIRECTIONS]),
        by_numpy(cube),
        atol=0.02,
    )


def test_gradients_are_finite_everywhere():
    edges = tf.constant(flat((0, 0, 0), (255, 255, 255), (10, 10, 10), (0, 255, 0)) * 1.2)
    with tf.GradientTape() as tape:
        tape.watch(edges)
        value = tf.reduce_sum(tf.square(lab(edges)))
    assert np.isfinite(tape.gradient(value, edges)).all()


def test_histograms_are_numpys():
    images = photos(0, 0.5)
    weights = np.random.default_rng(1).integers(0, 2, (2, 24, 24, 1)).astype(np.float32)
    values = projected(tf.constant(images))
    found = histogram(values, tf.constant(weights))
    for line in range(DIRECTIONS):
        kept = values.numpy()[..., line][weights[..., 0] > 0]
        expected = np.histogram(kept, np.arange(-REACH, REACH + 1))[0]
        np.testing.assert_array_equal(found[line], expected)


def spread_over(shares: dict[int, float]) -> tf.Tensor:
    row = np.zeros(BINS, np.float32)
    for place, share in shares.items():
        row[place] = share
    return tf.constant(np.tile(row, (DIRECTIONS, 1)))


def test_the_way_from_one_distribution_to_another_by_hand():
    fake, truth = spread_over({100: 0.5, 101: 0.5}), spread_over({90: 0.5, 120: 0.5})
    moves = transport(fake, truth).numpy()
    # The lower half goes to the lower bin, the upper half to the upper one, middle to middle.
    assert moves[:, 100] == pytest.approx(-10)
    assert moves[:, 101] == pytest.approx(19)
    # One bin over four: the middle of its mass meets the middle of theirs.
    even = spread_over(dict.fromkeys(range(50, 54), 0.25))
    assert transport(spread_over({10: 1.0}), even).numpy()[:, 10] == pytest.approx(52 - 10.5)
    for alike in (fake, truth, even):
        assert np.all(transport(alike, alike).numpy()[alike > 0] == 0)


def test_the_value_is_the_distance_of_sorted_colours():
    fake, y = photos(2, 0.2), photos(3, 0.6)
    value = ColourTransport(2)(tf.constant(y), tf.constant(fake))
    assert value.shape == (2,)
    ordered = [np.sort(by_numpy(of).reshape(-1, DIRECTIONS), axis=0) for of in (fake, y)]
    expected = np.abs(ordered[0] - ordered[1]).mean() / 100
    assert float(tf.reduce_mean(value)) == pytest.approx(expected, rel=0.01)
    assert expected > 0.1


def test_pictures_that_have_the_colours_of_other_targets_cost_nothing():
    """Red where the target is blue and blue where it is red: of which is which nobody knows."""
    red, blue = (250, 30, 20), (20, 30, 250)
    y, swapped = tf.constant(flat(red, blue)), tf.constant(flat(blue, red))
    assert ColourTransport(2)(y, swapped).numpy().tolist() == [0, 0]
    grey = tf.constant(flat((110, 110, 110), (110, 110, 110)))
    assert np.all(ColourTransport(2)(y, grey).numpy() > 0.2)


def test_earlier_images_are_remembered():
    red, blue = (tf.constant(flat(color)) for color in ((250, 30, 20), (20, 30, 250)))
    term = ColourTransport(1)
    term(red, blue)
    assert term(blue, red).numpy().tolist() == [0]  # both have been on both sides by now
    shares = term.shares["fake"].numpy()
    assert sorted(shares[0][shares[0] > 0]) == pytest.approx([0.5, 0.5])
    again = tf.function(term, autograph=False)
    for _ in range(2 * MEMORY):
        again(red, red)
    shares = term.shares["truth"].numpy()
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert shares[0].max() > 1 - 0.5 * np.exp(-1.9)


def test_what_is_not_measured_does_not_count():
    y, fake = photos(4, 0.6), photos(5, 0.2)
    half = np.zeros((2, 24, 24, 1), np.float32)
    half[:, :12] = 1
    changed = np.where(half > 0, fake, 1.0).astype(np.float32)
    one, other = (
        ColourTransport(2)(tf.constant(y), tf.constant(of), tf.constant(half))
        for of in (fake, changed)
    )
    np.testing.assert_array_equal(one, other)
    alone = ColourTransport(2)(tf.constant(y[:, :12]), tf.constant(fake[:, :12]))
    np.testing.assert_allclose(one, alone, rtol=1e-5)
    nothing = ColourTransport(2)(tf.constant(y), tf.constant(fake), tf.zeros([2, 24, 24, 1]))
    assert nothing.numpy().tolist() == [0, 0]


def test_following_it_gives_dull_pictures_the_colours_of_the_targets():
    y, picture = photos(6, 0.5), tf.Variable(photos(7, 0.1))

    def shared() -> dict[str, float]:
        found: dict[str, float] = {}
        for evaluator in (Color(), Chroma()):
            fake, true = ((np.asarray(of) + 1) * 127.5 for of in (picture, y))
            evaluator.update(Batch(["a", "b"], true, np.clip(fake, 0, 255)))
            found |= evaluator.result()
        return found

    term = ColourTransport(MEMORY)  # which remembers nothing but the last step

    @tf.function(autograph=False)
    def follow() -> None:
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(term(tf.constant(y), picture))
        picture.assign_sub(tape.gradient(value, picture) * 40.0)

    before = shared()
    for _ in range(150):
        follow()
    after = shared()
    assert before["chroma"] < 0.5
    assert before["chroma_ratio"] < 0.5
    assert after["chroma"] > 0.85
    assert after["chroma_ratio"] == pytest.approx(1, abs=0.05)
    assert min(after["color_a"], after["color_b"]) > 0.85


# === In pix2pix ===

SMALL = {"crop_size": 32, "load_size": 32, "ngf": 4, "ndf": 4, "receptive_field": 16}


def test_a_step_has_it_with_its_weight_and_a_checkpoint_holds_it():
    weighted = Pix2Pix(Pix2PixConfig(**SMALL, loss="l1", lambda_chroma=7.0))
    x, y = photos(8, 0.5, 1, 32), photos(9, 0.5, 1, 32)
    losses = {key: float(value) for key, value in weighted.train_step(x, y).items()}
    assert losses["chroma"] > 0
    expected = 100 * losses["l1"] + 7 * losses["chroma"]
    assert losses["generator"] == pytest.approx(expected, rel=1e-5)
    assert set(weighted.state()["chroma"]) == {"fake", "truth", "count"}
    assert int(weighted.state()["chroma"]["count"]) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"target_channels": 1}, "targets are of 1 channels; leave it out"),
        ({"target_encoding": "onehot", "label_palette": "facades"}, "targets are classes"),
    ],
)
def test_targets_without_colours_are_refused(fields, words):
    with pytest.raises(UserError, match=f"--lambda_chroma=5.0: .*{words}"):
        Pix2PixConfig(lambda_chroma=5.0, **fields)
