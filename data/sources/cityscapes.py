"""From Cityscapes as its authors give it out to the paper's pairs of 256x256 pixels."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.threads import threaded

SIZE = 256  # pixels on a side; appendix 6.2 of the paper: "trained at 256x256"
SPLITS = ("train", "val")  # the labels of the test split are not public
PHOTOS, LABELS = "leftImg8bit", "gtFine"
_PHOTO_END, _LABEL_END = "_leftImg8bit.png", "_gtFine_color.png"


@dataclasses.dataclass(frozen=True)
class RawPair:
    """A photograph and its label picture, still at 2048x1024 in their files.

    Attributes:
      stem: ``aachen_000000_000019``: city, sequence, frame.
      photo: reads the bytes of the photograph's PNG.
      labels: reads the bytes of the label picture's PNG (the colours of gtFine_color).
    """

    stem: str
    photo: Callable[[], bytes]
    labels: Callable[[], bytes]

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """Decodes and shrinks the pair.

        Returns:
          ``(photo, labels)``: uint8 ``[256, 256, 3]``. The photograph is resampled bicubically, the
          labels by their nearest pixel, which keeps their colours exact.

        Raises:
          DataError: a file is damaged.
        """
        try:
            return (
                _shrink(self.photo(), Image.Resampling.BICUBIC),
                _shrink(self.labels(), Image.Resampling.NEAREST),
            )
        except Exception as error:  # Pillow and zipfile raise nearly anything on damaged data.
            raise DataError(
                f"cityscapes: the images of {self.stem} cannot be read ({error}); download "
                "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip anew."
            ) from None


def _shrink(png: bytes, method: Image.Resampling) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB").resize((SIZE, SIZE), method))


@contextlib.contextmanager
def find_pairs(folder: str | os.PathLike[str]) -> Iterator[dict[str, list[RawPair]]]:
    """Finds the pairs below a folder, in the two zip files or in what was unpacked from them.

    Args:
      folder: holds ``leftImg8bit/`` and ``gtFine/``, or ``leftImg8bit_trainvaltest.zip`` and
        ``gtFine_trainvaltest.zip``, or a folder named like either zip.

    Yields:
      Pairs by split, sorted by stem; no entry for a split without pairs. They can be loaded while
      the context is open, by several threads.

    Raises:
      DataError: a zip file is damaged, or a photograph of a split has no labels.
    """
    folder = Path(folder)
    with contextlib.ExitStack() as stack:
        photos = _files(folder, PHOTOS, _PHOTO_END, stack)
        labels = _files(folder, LABELS, _LABEL_END, stack)
        pairs: dict[str, list[RawPair]] = {}
        lonely = sorted(photos.keys() ^ labels.keys()) if photos and labels else []
        if lonely:
            split, stem = lonely[0]
            raise DataError(
                f"{folder}: {len(lonely)} images have no partner, first {stem} of {split}; "
                "unpack both leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip completely."
            )
        for split, stem in sorted(photos.keys() & labels.keys()):
            pair = RawPair(stem, photos[split, stem], labels[split, stem])
            pairs.setdefault(split, []).append(pair)
        yield pairs


def _files(
    folder: Path, kind: str, end: str, stack: contextlib.ExitStack
) -> dict[tuple[str, str], Callable[[], bytes]]:
    """Readers of the files of one kind by (split, stem)."""
    archive_name = f"{kind}_trainvaltest"
    for root in (folder / kind, folder / archive_name / kind):
        if root.is_dir():
            return {
                (split, path.name[: -len(end)]): path.read_bytes
                for split in SPLITS
                for path in (root / split).glob(f"*/*{end}")
            }
    archive = folder / f"{archive_name}.zip"
    if not archive.is_file():
        return {}
    try:
        opened = stack.enter_context(zipfile.ZipFile(archive))
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{archive}: a damaged archive ({error}); download it anew.") from None
    found: dict[tuple[str, str], Callable[[], bytes]] = {}
    for name in opened.namelist():
        parts = name.split("/")
        if len(parts) == 4 and parts[:1] == [kind] and parts[1] in SPLITS and name.endswith(end):
            found[parts[1], parts[3][: -len(end)]] = _reader(opened, name)
    return found


def _reader(archive: zipfile.ZipFile, name: str) -> Callable[[], bytes]:
    return lambda: archive.read(name)


def write_pairs(
    pairs: dict[str, list[RawPair]],
    folder: str | os.PathLike[str],
    progress: Callable[[int, int], None],
) -> None:
    """Writes ``folder/SPLIT/STEM.png``: photograph left, labels right, as the authors' set had it.

    PNG, not their JPEG: the label colours stay exact.

    Args:
      pairs: as `find_pairs` yields them.
      folder: made if need be.
      progress: called as ``progress(done, total)``.
    """
    folder = Path(folder)
    jobs = [(folder / split, pair) for split, found in pairs.items() for pair in found]
    for split in pairs:
        (folder / split).mkdir(parents=True, exist_ok=True)

    def write(job: tuple[Path, RawPair]) -> None:
        target, pair = job
        both = np.concatenate(pair.load(), axis=1)
        Image.fromarray(both).save(target / f"{pair.stem}.png", "PNG")

    # Closed, for after an error the caller removes the folder: nothing may still be written then.
    with contextlib.closing(threaded(write, jobs, os.cpu_count() or 1)) as written:
        for done, _ in enumerate(written, 1):
            progress(done, len(jobs))
