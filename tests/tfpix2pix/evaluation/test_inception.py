"""InceptionV3's features, with random weights: no test downloads any."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation import inception
from tfpix2pix.evaluation.inception import InceptionFeatures, cache_folder, resized


@pytest.fixture(scope="module")
def features() -> InceptionFeatures:
    tf.keras.utils.set_random_seed(0)
    return InceptionFeatures(weights=None)


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3)).astype(np.uint8)


def test_a_picture_has_2048_features_whatever_stands_beside_it(features, photos):
    together = features(photos)
    assert together.shape == (3, inception.FEATURES)
    assert together.dtype == np.float32
    assert (together >= 0).all()
    assert together.std() > 0
    np.testing.assert_allclose(features(photos[2:]), together[2:], rtol=1e-3, atol=1e-5)


def test_they_are_the_averages_of_the_last_block_at_inputs_of_minus_one_to_one(features, photos):
    network = features._network
    block = tf.keras.Model(network.input, network.get_layer("mixed10").output)
    expected = np.asarray(block(resized(photos) / 127.5 - 1, training=False)).mean(axis=(1, 2))
    np.testing.assert_allclose(features(photos.copy()), expected, rtol=1e-4, atol=1e-6)


def test_two_evaluators_of_one_batch_share_the_work(features, photos, monkeypatch):
    calls = []
    network = features._network
    monkeypatch.setattr(
        features,
        "_network",
        lambda x, training: calls.append(len(x)) or network(x, training=training),
    )
    fake, y = photos.copy(), photos.copy()
    for pictures in (fake, y, fake, y):
        features(pictures)
    assert calls == [3, 3]
    features(fake[:2])
    assert calls == [3, 3, 2]


@pytest.mark.parametrize("size", [(128, 64), (299, 299), (400, 330)])
def test_pictures_are_resized_as_the_original_code_resizes_them(size):
    picture = np.random.default_rng(1).uniform(0, 255, (1, *size, 2))
    found = resized(picture)
    assert found.shape == (1, 299, 299, 2)
    # Output i lies at i * size / 299, between two neighbours.
    expected = picture[0]
    for axis, length in enumerate(size):
        places = np.arange(299) * (length / 299)
        low = places.astype(int)
        high = np.minimum(low + 1, length - 1)
        share = (places - low).reshape([-1 if a == axis else 1 for a in range(3)])
        expected = (
            np.take(expected, low, axis) * (1 - share) + np.take(expected, high, axis) * share
        )
    np.testing.assert_allclose(found[0], expected, atol=0.02)


def test_weights_that_cannot_be_had_are_said_in_a_sentence(monkeypatch):
    limits = []

    def offline(**kwargs):
        assert kwargs["weights"] == "imagenet"
        limits.append(socket.getdefaulttimeout())
        raise Exception("URL fetch failure on\nhttps://example.org/w.h5: None -- no route\nto host")

    monkeypatch.setattr(tf.keras.applications, "InceptionV3", offline)
    with pytest.raises(UserError) as refused:
        InceptionFeatures()
    message = str(refused.value)
    assert "--metrics=fid,kid" in message
    assert "(no route to host)" in message
    assert f"{inception.WEIGHTS_FILE} of Keras's applications into {cache_folder()}" in message
    assert "\n" not in message
    assert limits == [inception.TIMEOUT]
    assert socket.getdefaulttimeout() is None


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "broken.weights.h5"
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="ImageNet weights are not to be had"):
        InceptionFeatures(path)
