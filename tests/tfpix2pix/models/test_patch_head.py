"""The MLPs of PatchNCE."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfpix2pix.models.patch_head import UnitLength, build_patch_head


def test_the_papers_has_560384_weights():
    # For each layer C * 256 + 256 and 256 * 256 + 256, C = 3, 128, 256, 256, 256.
    assert build_patch_head([3, 128, 256, 256, 256]).count_params() == 560_384


def test_it_is_two_dense_layers_with_a_relu_between_and_unit_length():
    head = build_patch_head([2, 3], width=4)
    random = np.random.default_rng(0)
    for weight in head.weights:
        weight.assign(random.normal(size=weight.shape))
    features = [random.normal(size=[2, 5, of]).astype(np.float32) for of in (2, 3)]
    for i, (of, found) in enumerate(zip(features, head(features), strict=True), start=1):
        (w1, b1), (w2, b2) = (head.get_layer(f"mlp{i}_{k}").get_weights() for k in (1, 2))
        expected = np.maximum(of @ w1 + b1, 0) @ w2 + b2
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_vectors_of_length_0_stay_so_and_have_a_gradient():
    vectors = tf.constant([[0.0, 0.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        found = UnitLength()(vectors)
    np.testing.assert_allclose(found, [[0, 0], [0.6, 0.8]], atol=1e-6)
    assert np.isfinite(tape.gradient(found, vectors).numpy()).all()
