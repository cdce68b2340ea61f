"""The paper's data sets by name: what they are, where they come from, and how they get here.

Facts are from the paper (Isola et al. 2017, section 4 and appendix 6.2) and from the download
script that its authors published.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.lock import locked
from tfpix2pix.base.progress import ProgressLine, say
from tfpix2pix.data.sources.archives import cannot_write, extract
from tfpix2pix.data.sources.download import LARGEST, fetch, forget_checksum, recorded_checksum

StageProgress = Callable[[str, int, int, str], None]
"""Called as ``progress(what, done, total, unit)``, e.g. ``("unpacking maps", 3, 9, "byte")``.

A total of 0 means that nothing can be counted: ``what`` is news in itself.
"""

_AUTHORS = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/"


@dataclasses.dataclass(frozen=True)
class PaperSet:
    """One data set of the paper.

    Attributes:
      name: as the user says it.
      about: what a pair shows, in a few words.
      direction: ``AtoB`` or ``BtoA``: which half the paper conditions on.
      counts: pairs by split, as far as they are certain.
      image_size: pixels on a side of each image; they are square.
      source: whose pictures they are.
      terms: what is known of the terms of use.
      url: the authors' archive; "" where it has to be downloaded by hand.
      archive_size: roughly, for people.
      sha256: the archive's checksum where we know it. The authors publish none, so that the first
        download records it; see `tfpix2pix.data.sources.download`.
    """

    name: str
    about: str
    direction: str
    counts: dict[str, int]
    image_size: int
    source: str
    terms: str
    url: str = ""
    archive_size: str = ""
    sha256: str | None = None

    @property
    def largest_archive(self) -> int:
        """Bytes that the archive has at most: twice of what is said, should it grow."""
        if not self.archive_size:
            return LARGEST
        number, unit = self.archive_size.split()
        return int(2 * float(number) * {"MB": 10**6, "GB": 10**9}[unit])

    @property
    def input_side(self) -> str:
        """``A`` (left) or ``B`` (right): the half that is the input."""
        return self.direction[0]


_SETS = (
    PaperSet(
        name="facades",
        about="label maps of facades to photographs",
        direction="BtoA",
        counts={"train": 400, "val": 100, "test": 106},
        image_size=256,
        source="CMP Facade Database (Tylecek and Sara, GCPR 2013)",
        terms="none published with the archive; see the database's own page",
        url=_AUTHORS + "facades.tar.gz",
        archive_size="29 MB",
    ),
    PaperSet(
        name="maps",
        about="aerial photographs to maps",
        direction="AtoB",
        counts={"train": 1096, "val": 1098},
        image_size=600,
        source="Google Maps, collected by the paper's authors",
        terms="Google's terms of service hold for the images",
        url=_AUTHORS + "maps.tar.gz",
        archive_size="239 MB",
    ),
    PaperSet(
        name="edges2shoes",
        about="edges of shoes to photographs",
        direction="AtoB",
        counts={},
        image_size=256,
        source="UT Zappos50K (Yu and Grauman, CVPR 2014), edges by HED (Xie and Tu, ICCV 2015)",
        terms="for academic, non-commercial use, says UT Zappos50K",
        url=_AUTHORS + "edges2shoes.tar.gz",
        archive_size="2.0 GB",
    ),
    PaperSet(
        name="edges2handbags",
        about="edges of handbags to photographs",
        direction="AtoB",
        counts={},
        image_size=256,
        source="Amazon handbags of iGAN (Zhu et al., ECCV 2016), edges by HED (Xie and Tu, 2015)",
        terms="none published with the set; the photographs are the sellers'",
        url=_AUTHORS + "edges2handbags.tar.gz",
        archive_size="8.0 GB",
    ),
    PaperSet(
        name="night2day",
        about="scenes by day to the same scenes by night",
        direction="BtoA",
        counts={"train": 17823, "test": 2287},
        image_size=256,
        source="Transient Attributes (Laffont et al., SIGGRAPH 2014)",
        terms="none published with the set; the photographs are the webcams' owners'",
        url=_AUTHORS + "night2day.tar.gz",
        archive_size="1.9 GB",
    ),
    PaperSet(
        name="cityscapes",
        about="label maps of street scenes to photographs",
        direction="BtoA",
        counts={"train": 2975, "val": 500},
        image_size=256,
        source="Cityscapes (Cordts et al., CVPR 2016)",
        terms="for non-commercial use after registration; passing the images on is not allowed",
    ),
)

PAPER_SETS: dict[str, PaperSet] = {entry.name: entry for entry in _SETS}
"""Every data set of the paper that can be had, by name."""


def default_data_dir() -> Path:
    """Where data sets are kept: $TFPIX2PIX_DATA_DIR, else tfpix2pix in the user's cache folder."""
    named = os.environ.get("TFPIX2PIX_DATA_DIR")
    if named:
        return Path(named).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "tfpix2pix"


def paper_set(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    progress: StageProgress | None = None,
) -> Path:
    """The folder of a data set of the paper, downloaded or made the first time it is asked for.

    Its layout is the authors': ``train/``, ``val/``, ``test/`` with side-by-side images, A left.

    Args:
      name: a key of `PAPER_SETS`.
      data_dir: where data sets are kept; `default_data_dir` by default.
      progress: see `StageProgress`; `stage_lines` prints it.

    Returns:
      ``data_dir/name``. It is there whole or not at all, also when two processes ask at once.

    Raises:
      DataError: no such set, no network, or (cityscapes) nothing to make it from.
    """
    if name not in PAPER_SETS:
        raise DataError(f"{name}: no data set of the paper; expected {', '.join(PAPER_SETS)}.")
    entry = PAPER_SETS[name]
    data_dir = Path(data_dir) if data_dir is not None else default_data_dir()
    folder = data_dir / name
    progress = progress or _silent
    try:
        if _is_ready(folder):
            return folder
        news = f"another process is preparing {name}; waiting for it"
        lock = data_dir / "downloads" / f".{name}.set.lock"
        with locked(lock, waiting=lambda: progress(news, 0, 0, "")):
            if _is_ready(folder):
                return folder
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            elif folder.exists():
                raise DataError(
                    f"{folder}: it holds no train/, so it is not the data set {name}; move it "
                    "away, or name a folder of your own by its path (./...)."
                )
            if entry.url:
                _download_and_unpack(entry, folder, progress)
            else:
                _make_cityscapes(folder, data_dir / "manual" / "cityscapes", progress)
    except OSError as error:
        raise DataError(cannot_write(folder, error)) from None
    return folder


def _is_ready(folder: Path) -> bool:
    # A rename brings the folder into being, so that what is there is complete.
    return (folder / "train").is_dir()


def _download_and_unpack(entry: PaperSet, folder: Path, progress: StageProgress) -> None:
    downloads = folder.parent / "downloads"
    archive = downloads / f"{entry.name}.tar.gz"
    put_by_hand = archive.exists()
    known = entry.sha256 or recorded_checksum(downloads, entry.url)
    what = f"checking {archive.name}" if put_by_hand else f"downloading {archive.name}"
    fetch(
        entry.url,
        downloads,
        name=archive.name,
        sha256=entry.sha256,
        largest=entry.largest_archive,
        progress=lambda done, total: progress(what, done, total, "byte"),
    )
    try:
        extract(
            archive,
            folder,
            top=entry.name,
            progress=lambda done, total: progress(f"unpacking {entry.name}", done, total, "byte"),
        )
    except DataError:
        if not known:
            # What was recorded a moment ago is the sum of something else, such as the log-in page
            # of a hotel's network.
            forget_checksum(downloads, entry.url)
        raise
    if not put_by_hand:
        archive.unlink(missing_ok=True)


# === Cityscapes ===


CITYSCAPES_INSTRUCTIONS = (
    "the licence of Cityscapes allows nobody else to offer its images: register at "
    "https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and "
    "gtFine_trainvaltest.zip, and put them (or the folders leftImg8bit/ and gtFine/ out of them) "
    "into {folder}"
)


def _make_cityscapes(folder: Path, manual: Path, progress: StageProgress) -> None:
    from tfpix2pix.data.sources.cityscapes import find_pairs, write_pairs

    with find_pairs(manual) as pairs:
        if not pairs.get("train"):
            instructions = CITYSCAPES_INSTRUCTIONS.format(folder=manual)
            raise DataError(f"--dataset=cityscapes: {instructions}.")
        scratch = folder.with_name(folder.name + ".incomplete")
        shutil.rmtree(scratch, ignore_errors=True)
        what = "pairing cityscapes"
        try:
            write_pairs(pairs, scratch, lambda done, total: progress(what, done, total, "pair"))
            os.replace(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


# === Showing it ===


def _silent(what: str, done: int, total: int, unit: str) -> None:
    pass


@contextlib.contextmanager
def stage_lines() -> Iterator[StageProgress]:
    """Prints `StageProgress`: a line with an ETA for each thing that is done, one after another."""
    line: ProgressLine | None = None

    def close() -> None:
        nonlocal line
        if line:
            line.__exit__(None, None, None)
        line = None

    def progress(what: str, done: int, total: int, unit: str) -> None:
        nonlocal line
        if total <= 0 and unit != "byte":
            close()
            say(what)
            return
        if unit == "byte":
            unit, done, total = "MB", done // 10**6, max(1, total // 10**6)
        if line is None or (line.what, line.total) != (what, total):
            close()
            # What had arrived before does not count for the ETA.
            line = ProgressLine(what, total, unit, done).__enter__()
        line.show(done)

    try:
        yield progress
    finally:
        close()
