"""What a run's images are on the way to a server and back; needs no TensorFlow."""

from __future__ import annotations

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

    return imagecodecs.png_encode(np.ascontiguousarray(_flat(image)), level=1)


def from_png(data: bytes, kind: ImageKind) -> np.ndarray:
    """A PNG file as an image of that kind.

    Raises:
      ValueError: it is none, or holds another kind.
    """
    import imagecodecs

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
