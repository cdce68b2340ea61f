"""Pictures that somebody made already: a folder whose files are named as the pairs of a split."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size

if TYPE_CHECKING:
    from tfpix2pix.data import Decoded, PairSource

_NAMED = 3  # names in a refusal


class Predictions:
    """A folder of pictures, one for each pair of a split, of the pair's name.

    Label images may be colours or index maps. Nothing is decoded before a picture is asked for.

    Args:
      folder: the folder; pairs whose names hold a slash are looked for in its subfolders.
      source: the data set.
      split: of it.
      size: that the pictures are resized to; None for their own, which must be one for all.
      limit: only the first `limit` pairs need pictures; 0 for all.

    Raises:
      UserError: no such folder, pictures that are missing or belong to no pair, several sizes.
    """

    samples = 1

    def __init__(
        self,
        folder: str | os.PathLike[str],
        source: PairSource,
        split: str,
        size: Size | int | None = None,
        limit: int = 0,
    ) -> None:
        self.folder, self.spec = Path(folder).expanduser(), source.spec
        names = [source.pair_name(split, i) for i in range(source.count(split))]
        self.files = _matched(self.folder, names, split, limit or len(names))
        self.size = Size.of(size or _one_size(self.folder, list(self.files.values())))

    def of(self, name: str, x: np.ndarray) -> list[np.ndarray]:
        from tfpix2pix.data import decode

        path = self.files[name]
        try:
            picture = self._result(decode(path))
        except ValueError as error:
            raise UserError(
                f"{path}: {error}; expected a prediction like the targets ({self.spec.describe()})"
            ) from None
        if Size(*picture.shape[:2]) != self.size:
            from tfpix2pix.data.resize import resize

            picture = resize(picture, self.size, nearest=self.spec.y.is_classes).numpy()
        return [picture]

    def _result(self, picture: Decoded) -> np.ndarray:
        """A decoded file as `PairSpec.result` would have it."""
        from tfpix2pix.data import fit_channels, fit_depth
        from tfpix2pix.data.spec import classes_of

        side = self.spec.y
        if side.is_classes:
            colours = picture.array.shape[-1] - picture.has_alpha
            if picture.indices is not None or colours == 1:
                return side.palette.to_colors(classes_of(picture, side.palette))
        result = self.spec.result_image
        array = fit_channels(picture.array, picture.has_alpha, result.channels)
        return fit_depth(array, result.dtype)

    def facts(self) -> dict[str, Any]:
        return {"samples": 1, "seed": None, "deterministic": None, "step": None, "checkpoint": None}


def _matched(folder: Path, names: Sequence[str], split: str, needed: int) -> dict[str, Path]:
    """The file of each of the first `needed` pairs."""
    flag = f"--predictions={folder}"
    if not folder.is_dir():
        raise UserError(f"{flag}: no such folder; give one with a picture for each {split} pair")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(
            f"{flag}: {len(twice):,} names of {split} pairs stand for several pairs (such as "
            f"{twice[0]}), so that no picture can be told by its name; rename them"
        )
    found = _images(folder, deep=any("/" in name for name in names))
    stems = Counter(stem for stem, _ in found)
    double = [stem for stem, count in stems.items() if count > 1]
    if double:
        raise UserError(
            f"{flag} holds several pictures for {_listed(double)}; keep one for each {split} pair"
        )
    missing = [name for name in names[:needed] if name not in stems]
    foreign = sorted(set(stems) - set(names))
    if missing or foreign:
        faults = []
        if missing:
            faults.append(
                f"{len(missing):,} of {needed:,} {split} pairs have no picture ({_listed(missing)})"
            )
        if foreign:
            faults.append(
                f"{len(foreign):,} of {len(found):,} pictures belong to no {split} pair "
                f"({_listed(foreign)})"
            )
        raise UserError(
            f"{flag}: {' and '.join(faults)}; name each picture after its pair, as `tfpix2pix "
            "translate` does, and give the --split that they are of"
        )
    files = dict(found)
    return {name: files[name] for name in names[:needed]}


def _images(folder: Path, deep: bool) -> list[tuple[str, Path]]:
    """(name without extension, path) of each image, sorted."""
    from tfpix2pix.data import is_image_name

    paths = sorted(folder.rglob("*") if deep else folder.iterdir())
    return [
        (path.relative_to(folder).with_suffix("").as_posix(), path)
        for path in paths
        if is_image_name(path.name) and not path.name.startswith(".") and path.is_file()
    ]


def size_of_first(folder: str | os.PathLike[str]) -> Size | None:
    """The size of the first picture in a folder; None where there is none."""
    from tfpix2pix.data import UnreadableImage
    from tfpix2pix.data.images import image_size

    folder = Path(folder).expanduser()
    if not folder.is_dir():
        return None
    for _, path in _images(folder, deep=True)[:1]:
        try:
            return Size(*image_size(path))
        except UnreadableImage:
            return None
    return None


def _one_size(folder: Path, paths: list[Path]) -> Size:
    from tfpix2pix.data.images import image_size

    sizes = Counter(image_size(path) for path in paths)
    if len(sizes) > 1:
        shown = ", ".join(Size(*size).shown for size, _ in sizes.most_common(_NAMED))
        raise UserError(
            f"--predictions={folder}: pictures of {len(sizes):,} sizes ({shown}, ...); make them "
            "of one size, or give --size, to which they and the targets are resized"
        )
    return Size(*next(iter(sizes)))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
