"""Splits made by hash: an image's split follows from its name alone.

Adding, removing or sorting images never moves another one, so that a val image of yesterday is no
training image of today.
"""

from __future__ import annotations

import hashlib

from tfpix2pix.base.errors import DataError

DEFAULT_VAL_FRACTION = 0.1


def split_of(stem: str, val_fraction: float) -> str:
    """The split of an image of this name.

    The first 8 bytes of the SHA-256 of the stem (UTF-8), read as a big-endian fraction of 2**64,
    are uniform in [0, 1) over names; those below `val_fraction` are val.

    Args:
      stem: the file's name without folder and extension.
      val_fraction: the share of names that are val, 0 to 1.

    Returns:
      ``"train"`` or ``"val"``.
    """
    # surrogateescape: a name that is no UTF-8 is hashed by its bytes on the disk.
    digest = hashlib.sha256(stem.encode("utf-8", "surrogateescape")).digest()
    return "val" if int.from_bytes(digest[:8], "big") / 2**64 < val_fraction else "train"


def check_val_fraction(val_fraction: float) -> float:
    """Returns `val_fraction` if it is a share from 0 to less than 1.

    Raises:
      DataError: it is not; the message names the flag.
    """
    if not 0 <= val_fraction < 1:
        raise DataError(
            f"--val_fraction={val_fraction}: expected a share of the images from 0 (no val) to "
            "less than 1; 0.1 is usual."
        )
    return val_fraction
