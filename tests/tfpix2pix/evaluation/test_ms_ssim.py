"""MS-SSIM against an implementation in SciPy, and L2 by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation import Batch
from tfpix2pix.evaluation.pixels import L2
from tfpix2pix.evaluation.ssim import MSSSIM, POWERS, power_factors, scales


def pictures(height: int, width: int, channels: int, noise: float, count: int = 2):
    """Smooth uint8 pictures and noisy, darkened ones of them."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width] / 40
    waves = [
        120 + 90 * np.sin(5 * rows * (k + 1) + 3 * columns * (k + 2))
        for k in range(count * channels)
    ]
    y = np.stack(waves, axis=-1).reshape(height, width, count, channels).transpose(2, 0, 1, 3)
    fake = 0.9 * y + random.normal(0, noise, y.shape)
    return tuple(np.clip(np.rint(a), 0, 255).astype(np.uint8) for a in (y, fake))


# === An independent implementation ===


def blurred(image: np.ndarray) -> np.ndarray:
    """Where the whole Gaussian window of 11 pixels lies within ``[H, W]``."""
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    return correlate1d(correlate1d(image, window, axis=0), window, axis=1)[5:-5, 5:-5]


def luminance_and_structure(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = blurred(a), blurred(b)
    va, vb, cov = blurred(a * a) - ma**2, blurred(b * b) - mb**2, blurred(a * b) - ma * mb
    structure = (2 * cov + c2) / (va + vb + c2)
    luminance = (2 * ma * mb + c1) / (ma**2 + mb**2 + c1)
    return float((luminance * structure).mean()), float(structure.mean())


def halved(image: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels; an odd last row or column stands for two."""
    image = np.pad(image, [(0, n % 2) for n in image.shape], mode="edge")
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def reference(a: np.ndarray, b: np.ndarray, count: int) -> float:
    """MS-SSIM of two grey images of Wang et al. 2003, with `count` scales."""
    exponents = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:count])
    if count < 5:
        exponents /= exponents.sum()
    value = 1.0
    for scale in range(count):
        whole, structure = luminance_and_structure(a, b)
        value *= (whole if scale == count - 1 else structure) ** exponents[scale]
        a, b = halved(a), halved(b)
    return value


@pytest.mark.parametrize(
    ("height", "width", "channels", "count"),
    [(176, 192, 3, 5), (161, 180, 1, 5), (128, 96, 3, 4), (64, 64, 3, 3), (33, 47, 1, 2)],
)
def test_an_implementation_in_scipy_agrees(height, width, channels, count):
    y, fake = pictures(height, width, channels, noise=25)
    assert scales(height, width) == count
    expected = [
        np.mean([reference(a[..., c], b[..., c], count) for c in range(channels)])
        for a, b in zip(y.astype(float), fake.astype(float), strict=True)
    ]
    assert 0.3 < np.mean(expected) < 0.999
    evaluator = MSSSIM()
    evaluator.update(Batch(["a", "b"], y, fake))
    np.testing.assert_allclose(evaluator.statistics["ms_ssim"], expected, atol=2e-4)


def test_equal_pictures_get_one():
    y, _ = pictures(64, 64, 3, 0)
    evaluator = MSSSIM()
    evaluator.update(Batch(["a", "b"], y, y.copy()))
    assert evaluator.result()["ms_ssim"] == pytest.approx(1, abs=1e-6)


# === Scales ===


@pytest.mark.parametrize(
    ("size", "count"),
    [(10, 0), (11, 1), (16, 1), (20, 1), (21, 2), (32, 2), (64, 3), (128, 4), (160, 4), (161, 5),
     (256, 5), (1024, 5)],
)  # fmt: skip
def test_the_window_fits_into_the_smallest_scale(size, count):
    assert scales(size, size) == count
    assert scales(2000, size) == count


def test_fewer_exponents_sum_to_one_and_keep_their_ratios():
    assert power_factors(5) == POWERS  # as published
    for count in range(1, 5):
        factors = np.array(power_factors(count))
        assert factors.sum() == pytest.approx(1)
        np.testing.assert_allclose(factors / factors[0], np.array(POWERS[:count]) / POWERS[0])


def test_too_small_pictures_are_refused():
    y = np.zeros((1, 8, 16, 3), np.uint8)
    with pytest.raises(UserError, match=r"--metrics=ms_ssim: .*11 pixels.*16x8"):
        MSSSIM().update(Batch(["a"], y, y))


# === L2 ===


def l2(*levels: tuple[int, int]) -> float:
    y, fake = (np.array([np.full((4, 4, 3), p[k]) for p in levels], np.uint8) for k in (0, 1))
    evaluator = L2()
    evaluator.update(Batch([str(i) for i in range(len(levels))], y, fake))
    return evaluator.result()["l2"]


def test_l2_is_the_mean_square_on_the_scale_of_minus_one_to_one():
    assert l2((0, 255)) == pytest.approx(4)
    assert l2((255, 0), (50, 50), (9, 10)) == pytest.approx((4 + 0 + 1 / 127.5**2) / 3)


def test_l2_is_numpys():
    y, fake = pictures(16, 16, 3, 30)
    evaluator = L2()
    evaluator.update(Batch(["a", "b"], y, fake))
    expected = np.mean((y / 127.5 - fake / 127.5) ** 2)
    assert evaluator.result()["l2"] == pytest.approx(expected)
