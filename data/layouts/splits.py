"""Splits: by the names that people give them, or by hash from an image's name alone.

Adding, removing or sorting images never moves another one of a split made by hash, so that a val
image of yesterday is no training image of today.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

from tfpix2pix.base.errors import DataError

DEFAULT_VAL_FRACTION = 0.1

# "eval" and "holdout" are left out: some mean val by them and some test.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}


def split_named(word: str) -> str | None:
    """The split that a word stands for in any case (``Validation``: val), or None."""
    return SPLIT_WORDS.get(word.strip().casefold())


def share_of(stem: str) -> float:
    """Where a name stands in [0, 1): the first 8 bytes of the SHA-256 of the stem (UTF-8), read as
    a big-endian fraction of 2**64, which are uniform over names."""
    # surrogateescape: a name that is no UTF-8 is hashed by its bytes on the disk.
    digest = hashlib.sha256(stem.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_of(stem: str, val_fraction: float) -> str:
    """The split of an image of this name: val, if its `share_of` is below `val_fraction`.

    Args:
      stem: the file's name without folder and extension.
      val_fraction: the share of names that are val, 0 to 1.

    Returns:
      ``"train"`` or ``"val"``.
    """
    return "val" if share_of(stem) < val_fraction else "train"


def fraction_for_both(*sets: Iterable[str]) -> tuple[float, int] | None:
    """The ``--val_fraction`` nearest to its default by which some of these names are val and some
    train, of each set, with the number of all in val; None if no such fraction has two digits.
    """
    shares = [[share_of(stem) for stem in stems] for stems in sets]
    if not all(shares):
        return None
    # Below 0.9, as the flag; just above the lowest share, and not above the highest.
    lowest = math.floor(max(map(min, shares)) * 100 + 1) / 100
    highest = min(math.floor(min(map(max, shares)) * 100) / 100, 0.9)
    if lowest > highest:
        return None
    fraction = min(max(DEFAULT_VAL_FRACTION, lowest), highest)
    return fraction, sum(share < fraction for some in shares for share in some)


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
