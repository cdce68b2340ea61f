"""Faster ways to compute a 4x4 convolution on a CPU, with nothing but matrix products.

TensorFlow's own kernels are near the machine's ceiling where an image is large, and far from it
where it is a few pixels wide and the weights are what is large. Two other ways, which give the
plain layer's result up to rounding (``benchmarks/kernels.py`` measures them layer by layer):

* ``matmul``: every window of the image becomes a row of one matrix; the other one is the weights as
  they lie in memory. For the deep layers, a few pixels wide.
* ``winograd``: Cook and Toom's algorithm on tiles, as Lavin and Gray use it ("Fast Algorithms for
  Convolutional Neural Networks", arXiv 1509.09308): instead of products of polynomials, products
  of their values at ``n = m + r - 1`` points, so ``m`` outputs of ``r`` weights cost ``n``
  multiplications along an axis, not ``m r``. For wide layers of stride 1.

Both are linear maps along each axis of the image around one matrix product over the channels; a
transposed convolution is the same with every map transposed. Sizes must be known when the graph is
made; images are ``[B, H, W, C]``.
"""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import tensorflow as tf

KERNEL = 4
TILE = (
    3  # outputs along an axis that Cook-Toom computes at once; 4 is a little faster, but 1e-5 off
)
NARROWEST = 128  # channels below which Cook-Toom's maps cost more than its products save

# Where the polynomials are evaluated, besides infinity: small numbers of few bits.
_POINTS = [Fraction(point) for point in ("0", "1", "-1", "2", "-1/2")]


def convolution(
    x: tf.Tensor, weights: tf.Tensor, stride: int, padding: int
) -> functools.partial | None:
    """The way that is faster than TensorFlow's for a convolution of these shapes, if any.

    Args:
      x: ``[B, H, W, C]``.
      weights: ``[4, 4, C, O]``.
      stride: along both axes.
      padding: zeros on every side.

    Returns:
      A call that gives the result, or None where TensorFlow's kernel is to be taken.
    """
    if not _eligible(x, weights):
        return None
    batch, height, width, channels = x.shape
    outputs = batch * _outputs(height, stride, padding) * _outputs(width, stride, padding)
    narrower = min(channels, weights.shape[3])
    if 2 * outputs <= narrower:
        return functools.partial(matmul, x, weights, stride, padding)
    if stride == 1 and narrower >= NARROWEST:
        return functools.partial(winograd, x, weights, padding)
    return None


def transposed_convolution(x: tf.Tensor, weights: tf.Tensor) -> functools.partial | None:
    """Likewise for a transposed convolution of stride 2 to twice the size, ``[4, 4, O, C]``."""
    if not _eligible(x, weights):
        return None
    batch, height, width, channels = x.shape
    if 2 * batch * height * width <= min(channels, weights.shape[2]):
        return functools.partial(matmul_transposed, x, weights)
    return None


def _eligible(x: tf.Tensor, weights: tf.Tensor) -> bool:
    known = x.shape.is_fully_defined() and weights.shape[:2] == (KERNEL, KERNEL)
    return known and x.dtype == weights.dtype == tf.float32 and not _accelerators()


def _accelerators() -> bool:
    """Whether something else than CPUs computes here: their libraries choose kernels themselves."""
    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())


def _outputs(size: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - KERNEL) // stride + 1


# === One product of matrices ===


def matmul(x: tf.Tensor, weights: tf.Tensor, stride: int, padding: int) -> tf.Tensor:
    """A convolution, all windows by all weights; arguments as of ``convolution``."""
    _, height, width, channels = x.shape
    rows, columns = _windows(height, stride, padding), _windows(width, stride, padding)
    windows = tf.transpose(_spread(x, rows, columns), [2, 3, 4, 0, 1, 5])  # [B, h, w, 4, 4, C]
    y = _product(
        tf.reshape(windows, [-1, KERNEL**2 * channels]),
        tf.reshape(weights, [KERNEL**2 * channels, -1]),
    )
    return tf.reshape(y, [*windows.shape[:3], weights.shape[3]])


def matmul_transposed(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """A transposed convolution: every pixel by all weights, then the windows added up."""
    batch, height, width, channels = x.shape
    out = weights.shape[2]
    windows = _product_transposed(
        tf.reshape(x, [-1, channels]), tf.reshape(weights, [KERNEL**2 * out, channels])
    )
    windows = tf.reshape(windows, [batch, height, width, KERNEL, KERNEL, out])
    windows = tf.transpose(windows, [3, 4, 0, 1, 2, 5])
    return _gather(windows, _windows(2 * height, 2, 1), _windows(2 * width, 2, 1))


@tf.custom_gradient
def _product(a: tf.Tensor, b: tf.Tensor):
    """``a b`` for a small ``a`` and a large ``b``; its gradients never need ``b`` transposed."""

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        da = tf.transpose(tf.matmul(b, dy, transpose_b=True))
        return da, tf.matmul(a, dy, transpose_a=True)

    return tf.matmul(a, b), gradient


@tf.custom_gradient
def _product_transposed(a: tf.Tensor, b: tf.Tensor):
    """``a b^T``, likewise."""

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.matmul(dy, b), tf.matmul(dy, a, transpose_a=True)

    return tf.transpose(tf.matmul(b, a, transpose_b=True)), gradient


@functools.lru_cache(maxsize=64)
def _windows(size: int, stride: int, padding: int) -> np.ndarray:
    """``[4, outputs, size]``: one where the k-th weight of an output meets a pixel."""
    outputs = _outputs(size, stride, padding)
    found = np.zeros([KERNEL, outputs, size], np.float32)
    for k in range(KERNEL):
        for output in range(outputs):
            pixel = output * stride + k - padding
            if 0 <= pixel < size:
                found[k, output, pixel] = 1
    return found


# === Cook-Toom ===


def winograd(x: tf.Tensor, weights: tf.Tensor, padding: int) -> tf.Tensor:
    """A convolution of stride 1; arguments as of ``convolution``."""
    _, height, width, channels = x.shape
    out = weights.shape[3]
    (rows, rows_out), (columns, columns_out) = (_tiles(n, padding) for n in (height, width))
    _, at_points, _ = _cook_toom(TILE, KERNEL)
    both = np.kron(at_points, at_points).astype(np.float32)  # [n * n, 16]
    filters = tf.matmul(both, tf.reshape(weights, [KERNEL**2, channels * out]))
    points = _spread(x, rows, columns)  # [n, n, B, tiles, tiles, C]
    n = len(at_points)
    products = tf.matmul(
        tf.reshape(points, [n * n, -1, channels]), tf.reshape(filters, [n * n, channels, out])
    )
    products = tf.reshape(products, [*points.shape[:5], out])
    return _gather(products, rows_out, columns_out)


@functools.lru_cache(maxsize=64)
def _tiles(size: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps along an axis: ``[n, tiles, size]`` from pixels to values at the points, tile by tile,
    and ``[n, tiles, outputs]``, transposed, from products to outputs."""
    to_outputs, _, to_points = _cook_toom(TILE, KERNEL)
    n = len(to_points)
    outputs = _outputs(size, 1, padding)
    tiles = -(-outputs // TILE)
    first = np.zeros([n, tiles, size], np.float32)
    last = np.zeros([n, tiles, outputs], np.float32)
    for tile in range(tiles):
        start = tile * TILE
        for offset in range(n):
            pixel = start + offset - padding
            if 0 <= pixel < size:
                first[:, tile, pixel] = to_points[:, offset]
        for offset in range(min(TILE, outputs - start)):
            last[:, tile, start + offset] = to_outputs[offset]
    return first, last


@functools.lru_cache(maxsize=64)
def _cook_toom(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices ``A [m, n], G [n, r], B [n, n]`` of m outputs of a correlation with r weights.

    ``out = A ((G weights) * (B pixels))``, n = m + r - 1 pixels. By the transposition principle
    from the product of two polynomials, of m and of r coefficients: their values at n points
    multiplied, and the coefficients got back by the inverse of the values' matrix. Computed in
    fractions; points are scaled so that G and B are of like size.
    """
    n = m + r - 1

    def values(coefficients: int) -> list[list[Fraction]]:
        finite = [[p**power for power in range(coefficients)] for p in _POINTS[: n - 1]]
        return [*finite, [Fraction(int(k == coefficients - 1)) for k in range(coefficients)]]

    def floats(rows: list[list[Fraction]]) -> np.ndarray:
        return np.array([[float(value) for value in row] for row in rows])

    a, g, b = floats(values(m)).T, floats(values(r)), floats(_inverse(values(n))).T
    scale = np.sqrt(np.abs(b).sum(1) / np.abs(g).sum(1))[:, None]
    return a, g * scale, b / scale


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """By Gauss and Jordan, exactly."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == k)) for k in range(n))] for i, row in enumerate(matrix)]
    for i in range(n):
        pivot = next(k for k in range(i, n) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(n):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[n:] for row in rows]


# === Linear maps along both axes ===


def _spread(x: tf.Tensor, rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
    """``x [B, H, W, C]`` by maps ``[p, t, H]`` and ``[q, u, W]`` to ``[p, q, B, t, u, C]``."""
    batch, height, width, channels = x.shape
    (p, t, _), (q, u, _) = rows.shape, columns.shape
    x = tf.matmul(rows.reshape(p * t, height), tf.reshape(x, [batch, height, width * channels]))
    x = tf.matmul(columns.reshape(q * u, width), tf.reshape(x, [-1, width, channels]))
    x = tf.transpose(tf.reshape(x, [batch, p, t, q, u * channels]), [1, 3, 0, 2, 4])
    return tf.reshape(x, [p, q, batch, t, u, channels])


def _gather(x: tf.Tensor, rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
    """The transposed of ``_spread``: ``[p, q, B, t, u, C]`` to ``[B, H, W, C]``."""
    p, q, batch, t, u, channels = x.shape
    height, width = rows.shape[2], columns.shape[2]
    x = tf.transpose(tf.reshape(x, [p, q, batch, t, u * channels]), [2, 0, 3, 1, 4])
    x = tf.reshape(x, [batch * p * t, q * u, channels])
    x = tf.matmul(columns.reshape(q * u, width), x, transpose_a=True)
    x = tf.reshape(x, [batch, p * t, width * channels])
    x = tf.matmul(rows.reshape(p * t, height), x, transpose_a=True)
    return tf.reshape(x, [batch, height, width, channels])
