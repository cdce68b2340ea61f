"""The objectives against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.algorithms import losses

LN2 = math.log(2)


def logits(*per_image: float) -> tf.Tensor:
    """One constant map ``[3, 2, 1]`` of logits per image."""
    return tf.constant(
        np.array(per_image, np.float32)[:, None, None, None] * np.ones((1, 3, 2, 1)), tf.float32
    )


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_l1_is_the_mean_absolute_difference_of_every_image():
    y = np.zeros((3, 2, 2, 1), np.float32)
    fake = y.copy()
    fake[1] = [[[1.0], [-1.0]], [[0.5], [0.0]]]
    fake[2] = 2.0
    np.testing.assert_allclose(losses.l1(y, fake).numpy(), [0, 2.5 / 4, 2], rtol=1e-6)


def test_a_discriminator_that_cannot_tell_scores_ln_2():
    # 0.5 * (ln 2 + ln 2): without the halving it would be 1.386.
    found = losses.discriminator(logits(0, 0), logits(0, 0)).numpy()
    np.testing.assert_allclose(found, [LN2, LN2], rtol=1e-6)


def test_real_and_fake_each_count_half():
    # Real at 2: -ln sigmoid(2) = softplus(-2). Fake at -1: -ln(1 - sigmoid(-1)) = softplus(-1).
    found = losses.discriminator(logits(2.0), logits(-1.0)).numpy()
    np.testing.assert_allclose(found, [0.5 * softplus(-2.0) + 0.5 * softplus(-1.0)], rtol=1e-6)


def test_a_perfect_discriminator_scores_0_and_a_fooled_one_its_logit():
    assert losses.discriminator(logits(60.0), logits(-60.0)).numpy()[0] < 1e-20
    assert losses.discriminator(logits(-60.0), logits(60.0)).numpy()[0] == pytest.approx(60)


def test_generators_loss_is_non_saturating():
    # -ln sigmoid(D): at -60 it is 60, with a gradient of full size (ln(1 - D) would have none).
    fake = logits(-60.0)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        loss = losses.generator_gan(fake)
    assert loss.numpy()[0] == pytest.approx(60)
    assert tape.gradient(loss, fake).numpy().sum() == pytest.approx(-1)


def test_generators_loss_at_no_difference_is_ln_2():
    np.testing.assert_allclose(losses.generator_gan(logits(0.0)).numpy(), [LN2], rtol=1e-6)


def test_every_image_has_its_own_value_over_its_own_patches():
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(2, 4, 5, 6, 1))
    log_sigmoid = lambda v: -np.log1p(np.exp(-v))  # noqa: E731
    d = -0.5 * (log_sigmoid(real) + log_sigmoid(-fake)).mean(axis=(1, 2, 3))
    g = -log_sigmoid(fake).mean(axis=(1, 2, 3))
    real, fake = tf.constant(real, tf.float32), tf.constant(fake, tf.float32)
    np.testing.assert_allclose(losses.discriminator(real, fake).numpy(), d, rtol=1e-5)
    np.testing.assert_allclose(losses.generator_gan(fake).numpy(), g, rtol=1e-5)


# === What came after the paper ===


@pytest.mark.parametrize("c", [0.0, 0.5, 1.0, -2.0])
def test_least_squares_of_a_constant(c):
    found = losses.discriminator(logits(c), logits(c), "lsgan").numpy()[0]
    assert found == pytest.approx(0.5 * ((c - 1) ** 2 + c**2))
    assert losses.generator_gan(logits(c), "lsgan").numpy()[0] == pytest.approx((c - 1) ** 2)


@pytest.mark.parametrize(
    ("real", "fake", "d"),
    [(0, 0, 1.0), (1, -1, 0.0), (3, -3, 0.0), (-1, 1, 2.0), (0.5, 0.25, 0.5 * (0.5 + 1.25))],
)
def test_hinge_stops_at_a_margin_of_1(real, fake, d):
    found = losses.discriminator(logits(real), logits(fake), "hinge").numpy()[0]
    assert found == pytest.approx(d)
    assert losses.generator_gan(logits(fake), "hinge").numpy()[0] == pytest.approx(-fake)


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="'wgan'"):
        losses.discriminator(logits(0.0), logits(0.0), "wgan")


def test_feature_matching_adds_up_layers_and_leaves_the_real_ones_alone():
    real = [tf.zeros([2, 3, 3, 4]), tf.ones([2, 2, 1, 1])]
    fake = [
        tf.ones([2, 3, 3, 4]) * tf.constant([1.0, -2.0])[:, None, None, None],
        tf.zeros([2, 2, 1, 1]),
    ]
    np.testing.assert_allclose(losses.feature_matching(real, fake).numpy(), [2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch([*real, *fake])
        value = losses.feature_matching(real, fake)
    gradients = tape.gradient(value, [*real, *fake])
    assert gradients[:2] == [None, None]
    assert all(gradient is not None for gradient in gradients[2:])


def test_r1_is_half_the_squared_norm():
    gradient = np.zeros((2, 2, 2, 1), np.float32)
    gradient[0, 0, 0], gradient[1] = 3.0, 1.0
    np.testing.assert_allclose(losses.r1(tf.constant(gradient)).numpy(), [4.5, 2.0])


@pytest.mark.parametrize("real", [True, False])
def test_gradients_are_no_sums_of_many_terms(real):
    # AddN of three and more starts with the term whose memory is free: the bits depend on timing.
    @tf.function
    def gradient(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            zero = tf.zeros_like(logits)
            loss = losses.generator_gan(logits) if real else losses.discriminator(zero, logits)
        return tape.gradient(loss, logits)

    graph = gradient.get_concrete_function(tf.TensorSpec([2, 30, 30, 1])).graph
    sums = [op for op in graph.get_operations() if op.type == "AddN"]
    assert all(len(op.inputs) < 3 for op in sums)


def test_l1_of_what_is_measured():
    y, fake = np.zeros((3, 1, 2, 2), np.float32), np.ones((3, 1, 2, 2), np.float32)
    fake[0, 0, 1] = 9.0
    measured = np.array([[[[1], [0]]], [[[1], [1]]], [[[0], [0]]]], np.float32)
    np.testing.assert_allclose(losses.l1(y, fake, measured).numpy(), [1.0, 1.0, 0.0])


# === PatchNCE ===


def unit(random: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = random.normal(size=shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def test_where_all_patches_are_alike_patch_nce_is_ln_256():
    same = np.zeros([2, 256, 8], np.float32)
    same[..., 0] = 1
    np.testing.assert_allclose(losses.patch_nce(same, same), [5.545177] * 2, atol=1e-6)


def test_where_every_patch_is_its_own_kind_it_is_nearly_0():
    # ln(1 + 255 exp(-1 / 0.07))
    eye = np.eye(256, dtype=np.float32)[None]
    np.testing.assert_allclose(losses.patch_nce(eye, eye), [1.5933e-4], rtol=1e-3)


def test_the_right_answer_is_the_same_place_of_the_same_image():
    random = np.random.default_rng(0)
    query, key = unit(random, 2, 5, 3), unit(random, 2, 5, 3)
    expected = np.empty([2, 5])
    for image in range(2):
        for place in range(5):
            odds = np.exp(key[image] @ query[image, place] / 0.2)
            expected[image, place] = -np.log(odds[place] / odds.sum())
    found = losses.patch_nce(query, key, 0.2)
    np.testing.assert_allclose(found, expected.mean(axis=1), rtol=1e-5)


def test_patch_nce_equals_pytorchs_with_the_diagonal_in_a_column_of_its_own():
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    random = np.random.default_rng(1)
    query, key = unit(random, 2, 6, 4), unit(random, 2, 6, 4)
    q, k = (torch.from_numpy(of).requires_grad_() for of in (query, key))
    alike = torch.bmm(q, k.detach().transpose(1, 2))
    right = torch.diagonal(alike, dim1=1, dim2=2)[..., None]
    wrong = alike.masked_fill(torch.eye(6, dtype=torch.bool), -10.0)
    columns = torch.cat([right, wrong], dim=2).flatten(0, 1) / 0.07
    loss = torch.nn.functional.cross_entropy(columns, torch.zeros(12, dtype=torch.long))
    loss.backward()
    query, key = tf.constant(query), tf.constant(key)
    with tf.GradientTape() as tape:
        tape.watch([query, key])
        found = tf.reduce_mean(losses.patch_nce(query, key))
    of_query, of_key = tape.gradient(found, [query, key])
    assert float(found) == pytest.approx(loss.item(), rel=1e-6)
    np.testing.assert_allclose(of_query, q.grad.numpy(), atol=1e-5)
    assert of_key is None  # the keys are constants


# === Of classes ===


def a_batch_of_classes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits ``[2, 3, 4, 5]``, classes ``[2, 3, 4]``, and which pixels count."""
    random = np.random.default_rng(1)
    values = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
    return values, random.integers(0, 5, (2, 3, 4)), random.random((2, 3, 4)) < 0.6


@pytest.mark.parametrize("weights", [None, np.array([1, 2, 0.5, 0, 3], np.float32)])
def test_cross_entropy_is_that_of_pytorch_over_the_pixels_that_count(weights):
    torch = pytest.importorskip("torch")
    values, classes, counts = a_batch_of_classes()
    y = np.eye(5, dtype=np.float32)[classes]
    found = losses.cross_entropy(y, values, counts[..., None].astype(np.float32), weights)
    for image in range(2):
        each = torch.nn.functional.cross_entropy(
            torch.tensor(values[image].reshape(-1, 5)),
            torch.tensor(np.where(counts[image], classes[image], -1).ravel()),
            weight=None if weights is None else torch.tensor(weights),
            ignore_index=-1,
            reduction="sum",
        )
        assert found[image].numpy() == pytest.approx(float(each) / counts[image].sum(), rel=1e-5)


def test_cross_entropy_of_nothing_is_0_and_of_ignorance_ln_of_the_classes():
    y = np.eye(5, dtype=np.float32)[np.zeros((2, 3, 4), int)]
    flat = np.zeros_like(y)
    np.testing.assert_allclose(losses.cross_entropy(y, flat), [math.log(5)] * 2, rtol=1e-6)
    nothing = np.zeros((2, 3, 4, 1), np.float32)
    np.testing.assert_array_equal(losses.cross_entropy(y, flat, nothing), [0, 0])


def test_straight_through_is_one_hot_and_has_the_gradient_of_the_softmax():
    values, _, _ = a_batch_of_classes()
    along = np.random.default_rng(2).normal(size=values.shape).astype(np.float32)
    logits_in = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(logits_in)
        made = losses.straight_through(logits_in)
        total = tf.reduce_sum(made * along)
    np.testing.assert_array_equal(made, np.eye(5, dtype=np.float32)[values.argmax(-1)])
    p = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    by_hand = p * (along - (p * along).sum(-1, keepdims=True))
    np.testing.assert_allclose(tape.gradient(total, logits_in), by_hand, atol=1e-5)


# === Latents ===


def test_kl_is_the_sum_over_the_numbers():
    # Half of 1 + 1 - 1 - 0 for each of 8; BicycleGAN's weight 0.01 makes 0.04 of it.
    mean = tf.constant(np.stack([np.ones(8), np.zeros(8), np.arange(8)]), tf.float32)
    log_variance = tf.constant(np.stack([np.zeros(8), np.zeros(8), np.full(8, -2)]), tf.float32)
    last = 0.5 * sum(k**2 + math.exp(-2) - 1 + 2 for k in range(8))
    np.testing.assert_allclose(losses.kl(mean, log_variance), [4, 0, last], rtol=1e-6)


def test_a_latent_that_is_not_found_is_off_by_what_normal_numbers_are():
    latent = tf.random.stateless_normal([4, 20_000], [1, 2])
    found = losses.latent_l1(latent, tf.zeros_like(latent)).numpy()
    np.testing.assert_allclose(found, [losses.UNTOLD] * 4, atol=4 * 0.6 / 20_000**0.5)
    np.testing.assert_allclose(losses.latent_l1(latent, latent - 0.25), [0.25] * 4, rtol=1e-3)
