"""What a run's images are on the way to a server and back; needs no TensorFlow."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tfpix2pix.data import PairSpec


class ImageKind(NamedTuple):
    """Images ``[H, W, channels]`` of type ``dtype`` (uint8, uint16 or float32)."""

    dtype: str
    channels: int

    @property
    def is_png(self) -> bool:
        """Whether PNG files hold them: 8 or 16 bits, 1 to 4 channels."""
        return self.dtype in ("uint8", "uint16") and self.channels <= 4


class Expected(NamedTuple):
    """What a request's answer is to hold, and so how large it can be.

    Attributes:
      shape: of the array.
      item: bytes of each of its files or texts, at most; 0 for an array of numbers.
    """

    shape: tuple[int, ...]
    item: int = 0

    def limit(self, number: int, byte: int) -> int:
        """Bytes of an answer, at most.

        Args:
          number: bytes that one number takes on the way, at most.
          byte: bytes that one byte of a file or text takes, at most.
        """
        # Room for what stands around it: names, model and version, HTTP's chunks.
        return math.prod(self.shape) * (self.item * byte or number) + (1 << 16)


def signature_name(source: str = "", way: str = "") -> str:
    """The signature of a served export for pictures.

    Args:
      source: ``encoded`` for files; empty for arrays.
      way: what is sent besides: ``seeded``, ``latent``, or nothing.
    """
    return "_".join(filter(None, (source, way))) or "serving_default"


def input_kind(spec: PairSpec) -> ImageKind:
    """The images that an export takes: the run's depth and channels; RGB for labels and Lab."""
    return ImageKind(spec.input_image.dtype, spec.input_image.channels)


def output_kind(spec: PairSpec) -> ImageKind:
    """The images that it gives: the depth and channels of the run's targets; RGB for Lab."""
    return ImageKind(spec.result_image.dtype, spec.result_image.channels)


def has_files(spec: PairSpec) -> bool:
    """Whether inputs and results are PNG files as well, so that the signatures of files exist."""
    return input_kind(spec).is_png and output_kind(spec).is_png


def to_png(image: np.ndarray) -> bytes:
    """``[H, W, 1 to 4]`` of 8 or 16 bits as a PNG file, quickly rather than small."""
    import imagecodecs

    return bytes(imagecodecs.png_encode(np.ascontiguousarray(_flat(image)), level=1))


def longest_png(height: int, width: int, kind: ImageKind) -> int:
    """Bytes that a PNG file of such an image has at most, whatever it shows."""
    pixels = height * (1 + width * kind.channels * np.dtype(kind.dtype).itemsize)
    # What does not compress grows by less than a hundredth; then room for what describes it.
    return pixels + pixels // 64 + (1 << 16)


def from_png(data: bytes, kind: ImageKind, size: tuple[int, int]) -> np.ndarray:
    """A PNG file as an image of that kind and of that height and width.

    Raises:
      ValueError: it is none, or holds another kind or size by its header: a few kilobytes may
        claim, and decode to, gigabytes.
    """
    import imagecodecs

    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[8:16] != b"\0\0\0\rIHDR" or len(data) < 33:
        raise ValueError("no PNG file")
    width, height, bits, colours = struct.unpack(">IIBB", data[16:26])
    expected = (*size, 8 * np.dtype(kind.dtype).itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[kind.channels])
    if (height, width, bits, colours) != expected:
        raise ValueError(
            f"a PNG of {width}x{height} pixels (width x height) of {bits} bits and colour type "
            f"{colours}"
        )
    try:
        image = imagecodecs.png_decode(data)
    except Exception as error:  # the codec has its own errors
        raise ValueError(f"no PNG file ({error})") from None
    if image.ndim == 2:
        image = image[..., None]
    if (image.dtype.name, image.shape[-1]) != kind:
        raise ValueError(f"a PNG of {image.dtype} {list(image.shape)}")
    return image


def _flat(image: np.ndarray) -> np.ndarray:
    return image[..., 0] if image.shape[-1] == 1 else image
