"""ImageNet's weights, with a stand-in for Keras's download."""

from __future__ import annotations

import time

import pytest
import tensorflow as tf

from tfpix2pix.base.errors import UserError
from tfpix2pix.models.weights import named_weights
from tfpix2pix.scorer import pretrained
from tfpix2pix.scorer.fcn import fcn8s


@pytest.fixture
def keras_gives(monkeypatch, tmp_path):
    """`keras_gives(function)` in place of `tf.keras.applications.VGG16`."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return lambda function: monkeypatch.setattr(tf.keras.applications, "VGG16", function)


def unreachable(**kwargs):
    raise OSError("URL fetch failure on https://example.org/vgg16.h5: None -- no such host")


def test_weights_are_those_of_keras_by_our_names(keras_gives):
    vgg = tf.keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    asked = {}

    def given(**kwargs):
        asked.update(kwargs)
        return vgg

    keras_gives(given)
    found = pretrained.vgg_weights(required=True, say=lambda text: None)
    assert asked == {"include_top": False, "weights": "imagenet"}
    assert len(found) == 26
    assert set(found) < set(named_weights(fcn8s(3, 2, vgg=True).model))
    expected = vgg.get_layer("block3_conv2").get_weights()[0]
    assert (found["block3_conv2/kernel"] == expected).all()


def test_without_them_a_sentence_says_so(keras_gives):
    keras_gives(unreachable)
    said = []
    assert pretrained.vgg_weights(required=False, say=said.append) == {}
    assert "learns from scratch" in said[-1]
    assert "no such host" in said[-1]
    with pytest.raises(UserError, match="--init=scratch") as caught:
        pretrained.vgg_weights(required=True, say=said.append)
    assert "://" not in str(caught.value)


def test_a_download_that_drips_is_given_up(keras_gives, monkeypatch):
    monkeypatch.setattr(pretrained, "LONGEST", 0.05)
    keras_gives(lambda **kwargs: time.sleep(1))
    said = []
    assert pretrained.vgg_weights(required=False, say=said.append) == {}
    assert "not there within" in said[-1]
