"""Faster ways to compute a convolution on a CPU, with nothing but matrix products.

TensorFlow's own kernels are near the machine's ceiling where an image is large, and far from it
where it is a few pixels wide and the weights are what is large. Two other ways, which give the
plain layer's result up to rounding (``benchmarks/kernels.py`` measures them layer by layer):

* ``matmul``: every window of the image becomes a row of one matrix; the other one is the weights as
  they lie in memory. For the deep layers, a few pixels wide.
* ``winograd``: Cook and Toom's algorithm on tiles, as Lavin and Gray use it ("Fast Algorithms for
  Convolutional Neural Networks", arXiv 1509.09308): instead of products of polynomials, products
  of their values at ``n = m + r - 1`` points, so ``m`` outputs of ``r`` weights cost ``n``
  multiplications along an axis, not ``m r``. For wide layers of stride 1, of 4x4 or 3x3 weights.

And for the other layers of a ResNet, with TensorFlow's own operations: `halved`, `doubled` and
`by_columns`.

The first two are linear maps along each axis of the image around one matrix product over the
channels; a transposed convolution is the same with every map transposed. Sizes must be known when
the graph is made; images are ``[B, H, W, C]``.
"""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import tensorflow as tf

FEW = 4  # channels of a picture: as a convolution's results they leave most of a register empty
# Channels below which Cook-Toom's maps cost more than its products save, by the weights' size.
NARROWEST = {3: 64, 4: 128}

# Where the polynomials are evaluated, besides infinity: small numbers of few bits. With one more a
# 4x4 convolution is a little faster, but 1e-5 off.
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
    if not _eligible(x, weights, 4):
        return None
    batch, height, width, channels = x.shape
    outputs = batch * _outputs(height, 4, stride, padding) * _outputs(width, 4, stride, padding)
    narrower = min(channels, weights.shape[3])
    if 2 * outputs <= narrower:
        return functools.partial(matmul, x, weights, stride, padding)
    if stride == 1 and narrower >= NARROWEST[4]:
        return functools.partial(winograd, x, weights, padding)
    return None


def transposed_convolution(x: tf.Tensor, weights: tf.Tensor) -> functools.partial | None:
    """Likewise for a transposed convolution of stride 2 to twice the size, ``[4, 4, O, C]``."""
    if not _eligible(x, weights, 4):
        return None
    batch, height, width, channels = x.shape
    if 2 * batch * height * width <= min(channels, weights.shape[2]):
        return functools.partial(matmul_transposed, x, weights)
    return None


def padded_convolution(x: tf.Tensor, weights: tf.Tensor, stride: int) -> functools.partial | None:
    """Likewise for a convolution of a ResNet, ``[3, 3, C, O]`` or ``[7, 7, C, O]``, of what is
    padded already: where the stride is 2, by one pixel of zeros on every side."""
    narrower = min(x.shape[-1], weights.shape[3])
    if _eligible(x, weights, 3) and stride == 2:
        return functools.partial(halved, x, weights)
    if _eligible(x, weights, 3) and stride == 1 and narrower >= NARROWEST[3]:
        return functools.partial(winograd, x, weights, 0)
    if _eligible(x, weights, 7) and stride == 1 and weights.shape[3] <= FEW:
        return functools.partial(by_columns, x, weights)
    return None


def doubling_convolution(x: tf.Tensor, weights: tf.Tensor) -> functools.partial | None:
    """Likewise for the transposed one of a ResNet, see `doubled`."""
    return functools.partial(doubled, x, weights) if _eligible(x, weights, 3) else None


def _eligible(x: tf.Tensor, weights: tf.Tensor, r: int) -> bool:
    known = x.shape.is_fully_defined() and weights.shape[:2] == (r, r)
    return known and x.dtype == weights.dtype == tf.float32 and not accelerators()


def accelerators() -> bool:
    """Whether something else than CPUs computes here: their libraries choose kernels themselves."""
    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())


def _outputs(size: int, r: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - r) // stride + 1


# === One product of matrices ===


def matmul(x: tf.Tensor, weights: tf.Tensor, stride: int, padding: int) -> tf.Tensor:
    """A convolution, all windows by all weights; arguments as of ``convolution``."""
    _, height, width, channels = x.shape
    r = weights.shape[0]
    rows, columns = _windows(height, r, stride, padding), _windows(width, r, stride, padding)
    windows = tf.transpose(_spread(x, rows, columns), [2, 3, 4, 0, 1, 5])  # [B, h, w, r, r, C]
    y = _product(
        tf.reshape(windows, [-1, r * r * channels]), tf.reshape(weights, [r * r * channels, -1])
    )
    return tf.reshape(y, [*windows.shape[:3], weights.shape[3]])


def matmul_transposed(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """A transposed convolution: every pixel by all weights, then the windows added up."""
    batch, height, width, channels = x.shape
    r, _, out, _ = weights.shape
    windows = _product_transposed(
        tf.reshape(x, [-1, channels]), tf.reshape(weights, [r * r * out, channels])
    )
    windows = tf.reshape(windows, [batch, height, width, r, r, out])
    windows = tf.transpose(windows, [3, 4, 0, 1, 2, 5])
    return _gather(windows, _windows(2 * height, r, 2, 1), _windows(2 * width, r, 2, 1))


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
def _windows(size: int, r: int, stride: int, padding: int) -> np.ndarray:
    """``[r, outputs, size]``: one where the k-th weight of an output meets a pixel."""
    outputs = _outputs(size, r, stride, padding)
    found = np.zeros([r, outputs, size], np.float32)
    for k in range(r):
        for output in range(outputs):
            pixel = output * stride + k - padding
            if 0 <= pixel < size:
                found[k, output, pixel] = 1
    return found


# === Cook-Toom ===


def winograd(x: tf.Tensor, weights: tf.Tensor, padding: int) -> tf.Tensor:
    """A convolution of stride 1; arguments as of ``convolution``."""
    _, height, width, channels = x.shape
    r, out = weights.shape[0], weights.shape[3]
    (rows, rows_out), (columns, columns_out) = (_tiles(n, r, padding) for n in (height, width))
    _, at_points, _ = _cook_toom(_tile(r), r)
    both = np.kron(at_points, at_points).astype(np.float32)  # [n * n, r * r]
    filters = tf.matmul(both, tf.reshape(weights, [r * r, channels * out]))
    points = _spread(x, rows, columns)  # [n, n, B, tiles, tiles, C]
    n = len(at_points)
    products = tf.matmul(
        tf.reshape(points, [n * n, -1, channels]), tf.reshape(filters, [n * n, channels, out])
    )
    products = tf.reshape(products, [*points.shape[:5], out])
    return _gather(products, rows_out, columns_out)


def _tile(r: int) -> int:
    """Outputs along an axis that are computed at once: 3 of four weights, 4 of three."""
    return len(_POINTS) + 2 - r


@functools.lru_cache(maxsize=64)
def _tiles(size: int, r: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps along an axis: ``[n, tiles, size]`` from pixels to values at the points, tile by tile,
    and ``[n, tiles, outputs]``, transposed, from products to outputs."""
    tile = _tile(r)
    to_outputs, _, to_points = _cook_toom(tile, r)
    n = len(to_points)
    outputs = _outputs(size, r, 1, padding)
    tiles = -(-outputs // tile)
    first = np.zeros([n, tiles, size], np.float32)
    last = np.zeros([n, tiles, outputs], np.float32)
    for number in range(tiles):
        start = number * tile
        for offset in range(n):
            pixel = start + offset - padding
            if 0 <= pixel < size:
                first[:, number, pixel] = to_points[:, offset]
        for offset in range(min(tile, outputs - start)):
            last[:, number, start + offset] = to_outputs[offset]
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


# === By TensorFlow's own operations ===


@tf.custom_gradient
def halved(x: tf.Tensor, weights: tf.Tensor):
    """A 3x3 convolution of stride 2 on an image with one pixel of zeros on every side.

    Its padding said once more, TensorFlow finds the weights' gradient by a kernel of its own, which
    is up to four times as fast as oneDNN's.
    """
    along = {"strides": [1, 2, 2, 1]}

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        dx = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=weights, out_backprop=dy, padding="VALID", **along
        )
        dw = tf.raw_ops.Conv2DBackpropFilter(
            input=x[:, 1:-1, 1:-1],
            filter_sizes=tf.shape(weights),
            out_backprop=dy,
            padding="EXPLICIT",
            explicit_paddings=[0, 0, 1, 1, 1, 1, 0, 0],
            **along,
        )
        return dx, dw

    return tf.nn.conv2d(x, weights, 2, "VALID"), gradient


def doubled(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """A 3x3 transposed convolution of stride 2, ``[3, 3, O, C]``, without the first row and column
    of its result: as its padding, which spares their gradient too."""
    batch, height, width, _ = x.shape
    shape = [batch, 2 * height, 2 * width, weights.shape[2]]
    return tf.nn.conv2d_transpose(x, weights, shape, 2, [[0, 0], [1, 0], [1, 0], [0, 0]])


def by_columns(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """A convolution to few channels: one result for each column of the weights, then their sum,
    each moved by its place. ``x`` is padded already."""
    r, _, channels, out = weights.shape
    columns = tf.reshape(tf.transpose(weights, [0, 2, 1, 3]), [r, 1, channels, r * out])
    return _moved_sum(tf.nn.conv2d(x, columns, 1, "VALID"), r)


def _moved_sum(x: tf.Tensor, r: int) -> tf.Tensor:
    """``[B, H, W, r O]`` to ``[B, H, W - r + 1, O]``, the k-th from the k-th column on."""
    out, width = x.shape[3] // r, x.shape[2] - r + 1

    @tf.custom_gradient
    def moved_sum(x: tf.Tensor):
        def gradient(dy: tf.Tensor) -> tf.Tensor:
            # TensorFlow's would be r images of zeros, each of them as large as x.
            edges = [[[0, 0], [0, 0], [k, r - 1 - k], [0, 0]] for k in range(r)]
            return tf.concat([tf.pad(dy, edge) for edge in edges], axis=-1)

        total = x[:, :, :width, :out]
        for k in range(1, r):
            total += x[:, :, k : k + width, k * out : (k + 1) * out]
        return total, gradient

    return moved_sum(x)


def mirrored(x: tf.Tensor, pixels: int) -> tf.Tensor:
    """As many pixels more on every side, ``tf.pad``'s "REFLECT", with a gradient that is faster
    than its own. Sides must be known and ``2 pixels + 2`` at least."""

    def along(x: tf.Tensor, axis: int, start: int, stop: int) -> tf.Tensor:
        return x[:, start:stop] if axis == 1 else x[:, :, start:stop]

    @tf.custom_gradient
    def mirror(x: tf.Tensor):
        def gradient(dy: tf.Tensor) -> tf.Tensor:
            for axis in (2, 1):
                part = functools.partial(along, dy, axis)
                end = dy.shape[axis] - pixels  # of the image
                before = tf.reverse(part(0, pixels), [axis])
                behind = tf.reverse(part(end, end + pixels), [axis])
                pieces = [
                    part(pixels, pixels + 1),
                    part(pixels + 1, 2 * pixels + 1) + before,
                    part(2 * pixels + 1, end - pixels - 1),
                    part(end - pixels - 1, end - 1) + behind,
                    part(end - 1, end),
                ]
                dy = tf.concat(pieces, axis)
            return dy

        for axis in (1, 2):
            part, end = functools.partial(along, x, axis), x.shape[axis]
            before = tf.reverse(part(1, pixels + 1), [axis])
            behind = tf.reverse(part(end - pixels - 1, end - 1), [axis])
            x = tf.concat([before, x, behind], axis)
        return x, gradient

    return mirror(x)


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
