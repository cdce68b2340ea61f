"""L1, PSNR and SSIM against scikit-image and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tfpix2pix.evaluation import L1, PSNR, SSIM, Batch


def pictures(count: int, noise: float, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Smooth uint8 pictures ``[count, 40, 48, channels]`` and noisy ones of them."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :48] / 48
    waves = [
        127 + 100 * np.sin(6 * rows * (k + 1) + 4 * columns * (k + 2))
        for k in range(count * channels)
    ]
    y = np.stack(waves, axis=-1).reshape(40, 48, count, channels).transpose(2, 0, 1, 3)
    fake = y + random.normal(0, noise, y.shape) * np.arange(1, count + 1)[:, None, None, None]
    return tuple(np.clip(np.rint(a), 0, 255).astype(np.uint8) for a in (y, fake))


def measure(evaluator, y, fake) -> float:
    evaluator.update(batch(y, fake))
    return value(evaluator)


def batch(y, fake) -> Batch:
    return Batch([str(i) for i in range(len(y))], y, fake)


def value(evaluator) -> float:
    return evaluator.result()[evaluator.name]


def constant(*levels: int) -> np.ndarray:
    return np.stack([np.full((16, 16, 3), level, np.uint8) for level in levels])


# === Against scikit-image ===


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("noise", [2.0, 30.0])
def test_ssim_is_scikit_images(noise, channels):
    y, fake = pictures(3, noise, channels)
    expected = [
        structural_similarity(
            a,
            b,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        )
        for a, b in zip(y, fake, strict=True)
    ]
    assert 0.05 < np.mean(expected) < 0.999
    assert measure(SSIM(), y, fake) == pytest.approx(np.mean(expected), abs=1e-4)


@pytest.mark.parametrize("noise", [2.0, 30.0])
def test_psnr_is_scikit_images(noise):
    y, fake = pictures(3, noise)
    expected = [peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(y, fake, strict=True)]
    assert measure(PSNR(), y, fake) == pytest.approx(np.mean(expected), abs=1e-4)


# === By hand ===


def test_l1_is_on_the_scale_of_minus_one_to_one():
    # Black against white is 2, equal is 0, one level is 1 / 127.5; the mean of three images.
    found = measure(L1(), constant(0, 50, 9), constant(255, 50, 10))
    assert found == pytest.approx((2 + 0 + 1 / 127.5) / 3, rel=1e-9)


def test_differences_do_not_wrap_around():
    assert measure(L1(), constant(10), constant(250)) == pytest.approx(240 / 127.5)
    assert measure(L1(), constant(250), constant(10)) == pytest.approx(240 / 127.5)


def test_psnr_of_one_level_everywhere():
    expected = 10 * math.log10(255**2)
    assert measure(PSNR(), constant(100), constant(101)) == pytest.approx(expected)


def test_psnr_is_the_mean_of_the_images_and_not_that_of_their_mean_error():
    # Errors of 1 and 10 levels: 48.13 dB and 28.13 dB.
    found = measure(PSNR(), constant(100, 100), constant(101, 110))
    assert found == pytest.approx((48.1308 + 28.1308) / 2, abs=1e-3)


def test_psnr_of_black_against_white_is_zero():
    assert measure(PSNR(), constant(0), constant(255)) == pytest.approx(0)


def test_ssim_of_two_flat_pictures():
    # Without variance only the luminance term is left: (2ab + c1) / (a^2 + b^2 + c1).
    a, b, c1 = 100.0, 150.0, (0.01 * 255) ** 2
    found = measure(SSIM(), constant(100), constant(150))
    assert found == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), abs=1e-4)


@pytest.mark.parametrize(("evaluator", "best"), [(L1, 0), (PSNR, 100), (SSIM, 1)])
def test_equal_pictures_get_the_best_value(evaluator, best):
    y, _ = pictures(2, 0)
    assert measure(evaluator(), y, y.copy()) == pytest.approx(best, abs=1e-6)


# === Over batches ===


@pytest.mark.parametrize("evaluator", [L1, PSNR, SSIM])
def test_a_smaller_last_batch_changes_nothing(evaluator):
    y, fake = pictures(5, 10.0)
    whole, parts = evaluator(), evaluator()
    whole.update(batch(y, fake))
    for start in (0, 2, 4):
        parts.update(batch(y[start : start + 2], fake[start : start + 2]))
    single = [measure(evaluator(), y[i : i + 1], fake[i : i + 1]) for i in range(5)]
    assert value(parts) == pytest.approx(value(whole), rel=1e-6)
    assert value(parts) == pytest.approx(np.mean(single), rel=1e-6)
    # The mean of the batches' means would be another number.
    assert np.mean([np.mean(single[:2]), np.mean(single[2:4]), single[4]]) != pytest.approx(
        value(whole), rel=1e-3
    )


@pytest.mark.parametrize("evaluator", [L1, PSNR, SSIM])
def test_before_the_first_image_there_is_no_result(evaluator):
    assert math.isnan(value(evaluator()))


def test_names():
    assert [evaluator.name for evaluator in (L1, PSNR, SSIM)] == ["l1", "psnr", "ssim"]


def test_pixels_that_are_not_measured_do_not_count():
    y, fake = pictures(3, 20.0)
    measured = np.ones(y.shape[:3], bool)
    measured[0, :, 20:] = False
    measured[2] = False
    spoilt = np.where(measured[..., None], fake, 255)
    seen = Batch.of(["a", "b", "c"], y, spoilt[None], np.zeros((3, 1, 1, 1)), measured=measured)
    assert seen.names == ["a", "b"]
    off = y.astype(float) - fake
    parts = [off[0, :, :20], off[1]]
    np.testing.assert_allclose(L1().values(seen), [np.abs(p).mean() / 127.5 for p in parts])
    errors = np.array([np.square(part).mean() for part in parts])
    np.testing.assert_allclose(PSNR().values(seen), 10 * np.log10(255**2 / errors))
    # Windows that lie wholly in the measured part are those of the whole pictures.
    whole = SSIM().values(Batch.of(["b"], y[1:2], fake[None, 1:2], np.zeros((1, 1, 1, 1))))
    np.testing.assert_allclose(SSIM().values(seen)[1], whole[0], rtol=1e-5)
    left = SSIM().values(Batch(["a"], y[:1, :, :15], fake[:1, :, :15]))
    assert SSIM().values(seen)[0] == pytest.approx(left[0], abs=0.1)
