"""Values that mean "nothing measured": NaN, what a file marks, what a user names, void classes.

`ImageSpec.ignore` holds them as words: ``nan`` (whatever is not finite), ``void`` (the palette's
void classes), and numbers. Such pixels are kept out of the value range, losses and measures.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.formats import Decoded

NAN, VOID, NONE = "nan", "void", "none"


def parse_ignore(text: str, flag: str) -> tuple[str, ...]:
    """The words of ``--input_ignore`` or ``--target_ignore``, each once.

    Args:
      text: ``none``, or ``nan``, ``void`` and numbers with commas between them; empty for none.
      flag: ``input`` or ``target``, for the message.

    Raises:
      DataError: something else.
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if words == [NONE]:
        return ()
    try:
        return tuple(dict.fromkeys(w if w == VOID else word_of(float(w)) for w in words))
    except ValueError:
        expected = "a value such as 255 or -9999, nan, void, several with commas, or none"
        raise DataError(f"--{flag}_ignore={text}: expected {expected}.") from None


def word_of(value: float) -> str:
    """A value as a word, to float32's last digit."""
    with np.errstate(over="ignore"):
        value = float(np.float32(value))
    return f"{value:.9g}" if np.isfinite(value) else NAN


def numbers_of(ignore: tuple[str, ...]) -> list[np.float32]:
    """The numbers among the words."""
    return [np.float32(word) for word in ignore if word not in (NAN, VOID)]


def missing_in(picture: Decoded, ignore: tuple[str, ...]) -> np.ndarray:
    """bool ``[H, W]``: where a decoded image has nothing measured.

    Of floats one channel is enough, of whole numbers all channels have the value: a pixel of pure
    green is no black one. Of a palette image its indices count.
    """
    array = picture.array[..., :-1] if picture.has_alpha else picture.array
    floats = array.dtype.kind == "f"
    if picture.indices is not None:
        array = picture.indices[..., None]
    missing = np.zeros(array.shape[:2], bool)
    if NAN in ignore and floats:
        missing |= ~np.isfinite(array).all(axis=-1)
    for number in numbers_of(ignore):
        hit = array == number
        missing |= hit.any(axis=-1) if floats else hit.all(axis=-1)
    return missing


def filled(picture: Decoded, missing: np.ndarray) -> Decoded:
    """The image with the nearest measured pixel wherever nothing is; 0 where there is none.

    So resizing mixes nothing but measurements.
    """
    if not missing.any():
        return picture
    places: tuple[np.ndarray, ...] | None = None
    if not missing.all():
        from scipy import ndimage

        places = tuple(
            ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
        )

    def fill(array: np.ndarray) -> np.ndarray:
        return np.zeros_like(array) if places is None else array[places]

    indices = None if picture.indices is None else fill(picture.indices)
    return dataclasses.replace(picture, array=fill(picture.array), indices=indices)
