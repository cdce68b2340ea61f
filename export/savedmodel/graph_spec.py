"""Pictures to x and y to pictures inside a TensorFlow graph.

The same arithmetic as `tfpix2pix.data.PairSpec` (`read_input`, `result`), `tfpix2pix.data.decode`
and `tfpix2pix.inference.pad`, in TensorFlow operations alone, so that an exported graph takes
pictures as a run takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfpix2pix.data import LabSpec, cielab
from tfpix2pix.export.savedmodel.graph_files import decode_rgba, orientation_of, size_of, upright
from tfpix2pix.export.wire import has_files, input_kind, output_kind

if TYPE_CHECKING:
    from tfpix2pix.data import PairSpec, Palette

# ITU-R 601 in 65536ths, as `tfpix2pix.data.images.convert_channels`.
_LUMA = (19595, 38470, 7471)


class GraphSpec:
    """A run's PairSpec, in the graph.

    Args:
      spec: of the run's pairs.

    Attributes:
      image_dtype: of input images: the run's depth; uint8 for labels and Lab.
      image_channels: of input images: the run's channels; 3 for labels and Lab.
      output_dtype, output_channels: of results, likewise.
      has_files: whether inputs and results can be PNG files.
    """

    def __init__(self, spec: PairSpec) -> None:
        self.spec = spec
        taken, given = input_kind(spec), output_kind(spec)
        self.image_dtype, self.image_channels = tf.as_dtype(taken.dtype), taken.channels
        self.output_dtype, self.output_channels = tf.as_dtype(given.dtype), given.channels
        self.has_files = has_files(spec)

    # === Images ===

    def to_x(self, image: tf.Tensor) -> tf.Tensor:
        """Images of the run's depth as x.

        Args:
          image: ``[..., H, W, image_channels]`` of type ``image_dtype``: pixels; for a run of
            labels RGB, snapped to the nearest colours of the palette; for Lab RGB.

        Returns:
          float32 ``[..., H, W, C_in]`` in [-1, 1].
        """
        side = self.spec.x
        values = tf.cast(image, tf.float32)
        if isinstance(self.spec, LabSpec):
            return side.to_network(cielab.lightness(values / 255.0))
        if side.is_classes:
            values = tf.cast(nearest_class(values, side.palette)[..., None], tf.float32)
        return side.to_network(values)

    def from_y(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Results as their files hold them.

        Args:
          x: float32 ``[..., C_in]`` in [-1, 1]; only Lab needs it.
          y: float32 ``[..., C_out]`` in [-1, 1]; of one-hot labels the probabilities of the
            classes, or their numbers ``[..., 1]``.

        Returns:
          ``[..., output_channels]`` of type ``output_dtype``, rounded half to even and clipped to
          the value range; RGB for Lab and for labels.
        """
        if self.spec.y.one_hot:
            one = y.shape[-1] == 1
            classes = y[..., 0] if one else tf.argmax(y, axis=-1, output_type=tf.int32)
            return tf.gather(tf.constant(self.spec.y.palette.colors), tf.cast(classes, tf.int32))
        if isinstance(self.spec, LabSpec):
            lab = tf.concat([_from_network(self.spec.x, x), _from_network(self.spec.y, y)], -1)
            rgb = tf.round(cielab.to_rgb(lab) * 255.0)
            return tf.cast(tf.clip_by_value(rgb, 0.0, 255.0), tf.uint8)
        return _from_network(self.spec.y, y)

    def pad(self, x: tf.Tensor, multiple: int) -> tf.Tensor:
        """``[B, H, W, C]`` padded by reflection, at the bottom and right, to multiples of a number.

        As `tfpix2pix.inference.pad`: reflected as often as it takes; where one side has a single
        pixel, there is nothing to reflect and both sides repeat their last.
        """
        height, width = tf.shape(x)[1], tf.shape(x)[2]
        single = tf.minimum(height, width) < 2

        def padded() -> tf.Tensor:
            wide = tf.gather(x, _reflected(width, multiple, single), axis=2)
            return tf.gather(wide, _reflected(height, multiple, single), axis=1)

        fits = tf.logical_and(tf.equal(height % multiple, 0), tf.equal(width % multiple, 0))
        result = tf.cond(fits, lambda: tf.identity(x), padded)
        sides = [None if n is None else n + -n % multiple for n in x.shape[1:3]]
        return tf.ensure_shape(result, [x.shape[0], *sides, x.shape[3]])

    # === Files ===

    def size(self, data: tf.Tensor) -> tf.Tensor:
        """Height and width of what `decode` will give, int64 ``[2]``, without decoding.

        Raises:
          tf.errors.InvalidArgumentError: when the graph runs, for what `size_of` refuses.
        """
        sides = size_of(data)
        return tf.where(orientation_of(data) >= 5, sides[::-1], sides)

    def decode(self, data: tf.Tensor) -> tf.Tensor:
        """One JPEG or PNG file as an image for `to_x`.

        As `tfpix2pix.data.decode` and the conversions of `tfpix2pix.data.images`, to the bit:
        turned upright, alpha on white where the run has none, grey and colour into each other, 8
        and 16 bits into each other. A grey file of a run of labels is an index map.

        Args:
          data: string scalar.

        Returns:
          ``[H, W, image_channels]`` of type ``image_dtype``.

        Raises:
          tf.errors.InvalidArgumentError: when the graph runs, for a file that is none of the two,
            is damaged, or is an index map of values that stand for no class.
        """
        rgba, deep, grey = decode_rgba(data)
        rgba = upright(rgba, orientation_of(data))
        white = tf.where(deep, 65535, 255)
        colours, alpha = rgba[..., :3], rgba[..., 3:]
        side = self.spec.x
        if side.is_classes:
            return tf.cond(
                grey,
                lambda: _colours_of_indices(colours[..., 0], side.palette),
                lambda: _to_depth(_on_white(colours, alpha, white), deep, tf.uint8),
            )
        channels = self.image_channels
        keeps_alpha = channels in (2, 4)
        if not keeps_alpha:
            colours = _on_white(colours, alpha, white)
        if channels <= 2:
            colours = _luma(colours)
        values = tf.concat([colours, alpha], -1) if keeps_alpha else colours
        return _to_depth(values, deep, self.image_dtype)

    def encode(self, image: tf.Tensor) -> tf.Tensor:
        """A result ``[H, W, output_channels]`` as a PNG file of 8 or 16 bits, string scalar."""
        return tf.io.encode_png(image)


def of_targets(spec: PairSpec) -> GraphSpec:
    """What takes images like a run's targets, and makes y of them by its `to_x`."""
    # To all others they are inputs of the way back.
    return _LabTargets(spec) if isinstance(spec, LabSpec) else GraphSpec(spec.turned())


class _LabTargets(GraphSpec):
    """Photographs, of which y is the colours a and b."""

    def to_x(self, image: tf.Tensor) -> tf.Tensor:
        lab = cielab.from_rgb(tf.cast(image, tf.float32) / 255.0)
        return self.spec.y.to_network(lab[..., 1:])


# === Labels ===


def nearest_class(rgb: tf.Tensor, palette: Palette) -> tf.Tensor:
    """The class whose colour is nearest, of equals the lower one, as `Palette.to_classes`.

    Args:
      rgb: float32 ``[..., 3]``, whole numbers 0 to 255.

    Returns:
      int32 ``[...]``.
    """
    colours = tf.constant(palette.colors, tf.float32)

    # Class by class: all distances at once would take as much memory as there are classes.
    # Squares of whole numbers, far below 2^24: exact in float32 on every device.
    def step(k: tf.Tensor, best: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, ...]:
        distance = tf.reduce_sum(tf.square(rgb - colours[k]), axis=-1)
        nearer = distance < best
        return k + 1, tf.where(nearer, distance, best), tf.where(nearer, k, found)

    start = tf.fill(tf.shape(rgb)[:-1], np.float32(np.inf))
    none = tf.zeros_like(start, tf.int32)
    shape = rgb.shape[:-1]
    _, _, found = tf.while_loop(
        lambda k, *_: k < len(palette),
        step,
        [tf.constant(0), start, none],
        shape_invariants=[tf.TensorShape([]), shape, shape],
    )
    return found


def _colours_of_indices(values: tf.Tensor, palette: Palette) -> tf.Tensor:
    """The colours of an index map: int32 ``[H, W]`` to uint8 ``[H, W, 3]``."""
    known = {index: k for k, label in enumerate(palette.classes) for index in label.indices}
    table = np.full(65536, -1, np.int32)
    table[list(known)] = list(known.values())
    classes = tf.gather(tf.constant(table), values)
    check = tf.debugging.Assert(
        tf.reduce_all(classes >= 0),
        [
            "image_bytes: a grey image is read as an index map, and this one has values that "
            f"stand for no class of the palette {palette.name!r}; send the labels as colours"
        ],
    )
    with tf.control_dependencies([check]):
        return tf.gather(tf.constant(palette.colors), tf.maximum(classes, 0))


# === Values ===


def _from_network(side, y: tf.Tensor) -> tf.Tensor:
    """As `ImageSpec.from_network` of what is not one-hot."""
    if side.dtype == "float32":
        span = np.float32((side.high - side.low) / 2)
        return (y + np.float32(1)) * span + np.float32(side.low)
    kind: type[np.floating] = np.float32 if side.dtype == "uint8" else np.float64
    half = kind((side.high - side.low) / 2)
    values = tf.round((tf.cast(y, kind) + kind(1)) * half + kind(side.low))
    low, high = kind(np.ceil(side.low)), kind(np.floor(side.high))
    return tf.cast(tf.clip_by_value(values, low, high), side.dtype)


def _reflected(size: tf.Tensor, multiple: int, single: tf.Tensor) -> tf.Tensor:
    """For each place along a padded side, the place that it shows."""
    places = tf.range(size + -size % multiple)
    period = tf.maximum(2 * (size - 1), 1)
    there = places % period
    back = tf.minimum(there, period - there)
    return tf.where(single, tf.minimum(places, size - 1), back)


def _on_white(colours: tf.Tensor, alpha: tf.Tensor, white: tf.Tensor) -> tf.Tensor:
    """As `images._on_white`: int32 in and out; 16 bits need more on the way."""
    colours, alpha, white = (tf.cast(v, tf.int64) for v in (colours, alpha, white))
    total = colours * alpha + white * (white - alpha) + white // 2
    return tf.cast(total // white, tf.int32)


def _luma(colours: tf.Tensor) -> tf.Tensor:
    """Grey ``[..., 1]`` of RGB ``[..., 3]``, int32; equal colours give exactly themselves."""
    parts = tf.cast(colours, tf.int64) * tf.constant(_LUMA, tf.int64)
    total = tf.reduce_sum(parts, axis=-1, keepdims=True)
    return tf.cast((total + 0x8000) // 0x10000, tf.int32)


def _to_depth(values: tf.Tensor, deep: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """int32 values of 16 bits (deep) or 8 bits to those of a type, as `images.fit_depth`."""
    if dtype == tf.uint16:
        return tf.cast(tf.where(deep, values, values * 257), dtype)
    return tf.cast(tf.where(deep, (values + 128) // 257, values), dtype)
