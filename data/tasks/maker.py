"""Makes the pairs: several images at once, whole files only, continued where it stopped."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.images import (
    UnreadableImage,
    image_size,
    is_image_name,
    write_image,
)
from tfpix2pix.data.layouts.pair_files import PairFiles, count_text
from tfpix2pix.data.layouts.splits import DEFAULT_VAL_FRACTION, check_val_fraction
from tfpix2pix.data.sources.base import SPLITS
from tfpix2pix.data.tasks import preview, record
from tfpix2pix.data.tasks.forms import Kept, kept_as
from tfpix2pix.data.tasks.plan import (
    Job,
    partner_jobs,
    read_folder,
    shortened,
    single_jobs,
)
from tfpix2pix.data.tasks.simple import Combine
from tfpix2pix.data.tasks.task import Task, by_pillow
from tfpix2pix.data.threads import threaded

MIN_SIZE, MAX_SIZE = 8, 8192
# No more than 8: drawing edges takes a photo's memory many times over.
_THREADS = min(8, os.cpu_count() or 1)


@dataclasses.dataclass(frozen=True)
class Made:
    """What `make_pairs` did.

    Attributes:
      counts: pairs in the output folder by split, those of earlier calls included.
      new: pairs made by this call.
      skipped: what is wrong with each image that could not be used, one sentence each.
      notes: plain-word remarks on what was made.
      sizes: every ``(height, width)`` of the pairs' halves.
      train_command: the command that trains on them; empty where there is nothing in train/.
    """

    counts: dict[str, int]
    new: int
    skipped: list[str]
    notes: list[str]
    sizes: set[tuple[int, int]]
    train_command: str


def make_pairs(
    task: Task,
    input: str | os.PathLike[str] | None,
    output: str | os.PathLike[str],
    *,
    size: int = 0,
    val_fraction: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_skip: Callable[[str], None] | None = None,
) -> Made:
    """Makes a data set in the pix2pix layout from single images, or from two folders.

    Side-by-side images (A left, B right) go to ``output/train`` and ``output/val``; where the input
    has train/, val/ or test/ itself, those are kept. They have the channels and depth of the
    images: PNGs of 8 or 16 bits, TIFFs of floats and other channels. Where A and B differ in these,
    each goes to a folder of its own, ``output/A/train`` and ``output/B/train``. ``pairs.json``
    records the settings, ``preview.png`` shows a few pairs. A second call with the same settings
    makes what is missing.

    Args:
      task: what A is, with its settings: ``Edges(sigma=2)``.
      input: a folder of images; for `Combine` one that holds A/ and B/, or none.
      output: the folder to make, new or of an earlier call.
      size: side to which each picture is resized (its shorter side, Lanczos) and cropped (the
        centre), pixels; 0 keeps each as it is.
      val_fraction: the share of images that become val, 0 to less than 1, by a hash of their
        names (see `split_of`); 0.1 by default. Only where the input has no split folders.
      progress: called as ``progress(done, total)`` from this thread.
      on_skip: called with a sentence on each image that cannot be used, as it is met.

    Raises:
      DataError: nothing can be made of that; the message names the flag. No pair was made then,
        unless the output folder could not be written half way.
    """
    if size and not (isinstance(size, int) and MIN_SIZE <= size <= MAX_SIZE):
        raise DataError(
            f"--size={size}: expected {MIN_SIZE} to {MAX_SIZE} pixels, or 0 to keep each image's."
        )
    target = Path(os.path.expanduser(output))
    named = f"--output={output}"
    folders = _input_folders(task, input)
    _check_apart(folders, target, named)
    read = [read_folder(path, flag) for flag, path in folders.items()]
    if val_fraction is not None:
        check_val_fraction(val_fraction)
        if read[0].has_splits:
            raise DataError(
                f"--val_fraction={val_fraction}: {read[0].named} is divided into split folders "
                "already, which are kept; leave the flag out."
            )
    fraction = DEFAULT_VAL_FRACTION if val_fraction is None else val_fraction
    if len(read) == 2:
        jobs = partner_jobs(read[0], read[1], fraction)
    else:
        jobs = single_jobs(read[0], fraction)
    kept = kept_as(task, jobs)
    settings = {
        "task": task.name,
        **task.settings(),
        "size": size,
        "val_fraction": None if read[0].has_splits else fraction,
        "input": [record.place_from(target, path) for path in folders.values()],
        **kept.settings(),
    }
    record.check_output(target, named, settings)

    sizes = _sizes_there(target, jobs, kept)
    todo = [job for job in jobs if job.target not in sizes]
    if isinstance(task, Combine):
        _check_sizes(todo, size)
    _load_libraries(task)
    if todo:
        splits = {job.split for job in jobs}
        _make_folders(target, {name for split in splits for name in kept.folders(split)}, named)
        record.write_record(target, settings, None, [])

    there = len(sizes)
    skipped: list[str] = []
    remarks: Counter[str] = Counter()
    work = _Work(task, target, size, kept)
    if todo and progress:
        progress(0, len(todo))
    outcomes = threaded(work, todo, _THREADS)
    for done, (job, outcome) in enumerate(zip(todo, outcomes, strict=True), start=1):
        if outcome.size is None:
            skipped.append(outcome.fault)
            if on_skip:
                on_skip(outcome.fault)
        else:
            sizes[job.target] = outcome.size
            remarks.update(outcome.remarks)
        if progress:
            progress(done, len(todo))

    whole = [job for job in jobs if job.target in sizes]
    new = len(whole) - there
    counts = {split: sum(job.split == split for job in whole) for split in SPLITS}
    counts = {split: number for split, number in counts.items() if number}
    if whole and (new or not (target / preview.NAME).exists()):
        pairs = [PairFiles(job.stem, *kept.paths(target, job)) for job in whole]
        preview.write_preview(target, pairs, task.titles)
    # Names only, so that the file says the same wherever the folders are.
    failed = [f"{job.split}/{job.sources[0].name}" for job in jobs if job.target not in sizes]
    record.write_record(target, settings, counts, failed)
    return Made(
        counts,
        new,
        skipped,
        _notes(remarks, new, target, jobs, counts, kept),
        set(sizes.values()),
        _train_command(task, output, counts, set(sizes.values())),
    )


# === Before ===


def _input_folders(task: Task, input: str | os.PathLike[str] | None) -> dict[str, Path]:
    """Flag and path of each input folder."""
    if not isinstance(task, Combine):
        if not input:
            raise DataError("--input is missing; give a folder of images.")
        return {f"--input={input}": Path(os.path.expanduser(input))}
    sides = {"a": task.input_a, "b": task.input_b}
    if input and any(sides.values()):
        raise DataError(
            "--input and --input_a/--input_b name the same thing twice; give one folder that holds "
            "A/ and B/, or the two."
        )
    if input:
        base = Path(os.path.expanduser(input))
        missing = [side for side in ("A", "B") if not (base / side).is_dir()]
        if missing:
            raise DataError(
                f"--input={input} holds no {missing[0]}/; --task=combine expects A/ and B/ there, "
                "or --input_a=FOLDER and --input_b=FOLDER."
            )
        return {f"--input={os.path.join(input, side)}": base / side for side in ("A", "B")}
    if not all(sides.values()):
        raise DataError(
            "--task=combine needs --input=FOLDER, which holds A/ and B/, or both --input_a=FOLDER "
            "and --input_b=FOLDER."
        )
    return {
        f"--input_{side}={path}": Path(os.path.expanduser(path)) for side, path in sides.items()
    }


def _check_apart(folders: dict[str, Path], output: Path, named: str) -> None:
    """Input and output may not lie in one another: results would become inputs."""
    target = output.resolve()
    flags = list(folders)
    if len(folders) == 2 and len({path.resolve() for path in folders.values()}) == 1:
        raise DataError(f"{flags[0]} and {flags[1]} are the same folder; A and B must be two.")
    for flag, path in folders.items():
        place = path.resolve()
        if place == target:
            raise DataError(f"{named} is the input folder itself; give another one.")
        if place in target.parents:
            raise DataError(f"{named} lies inside {flag}; give a folder outside it.")
        if target in place.parents:
            raise DataError(f"{flag} lies inside {named}; give an output folder of its own.")


def _sizes_there(output: Path, jobs: list[Job], kept: Kept) -> dict[str, tuple[int, int]]:
    """Height and width of a half by target, for the pairs that an earlier call made.

    Files are written whole or not at all, so that a readable header is enough."""

    def look(job: Job) -> tuple[int, int] | None:
        try:
            found = [image_size(output / file) for file in kept.files(job)]
        except UnreadableImage:
            return None
        height, width = found[-1]
        return height, width if kept.apart else width // 2

    folders = [folder for split in SPLITS for folder in kept.folders(split)]
    names = {f"{folder}/{name}" for folder in folders for name in _names(output / folder)}
    there = [job for job in jobs if names.issuperset(kept.files(job))]
    found = zip(there, threaded(look, there, _THREADS), strict=True)
    return {job.target: size for job, size in found if size}


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def _check_sizes(jobs: list[Job], size: int) -> None:
    """Partners must show the same: the same size, or the same proportions where both are resized.

    Raises:
      DataError: some do not; the message lists the first.
    """

    def look(job: Job) -> str:
        try:
            (ha, wa), (hb, wb) = (image_size(source) for source in job.sources)
        except UnreadableImage:
            return ""  # It is reported when its turn comes.
        fits = (ha, wa) == (hb, wb)
        if size:
            # Reduced copies are rounded to whole pixels: one pixel of the smaller is let pass.
            small, large = sorted([(ha, wa), (hb, wb)])
            scale = max(small) / max(large)
            fits = all(abs(s - scale * g) <= 1 for s, g in zip(small, large, strict=True))
        return "" if fits else f"{job.stem} (A {wa}x{ha}, B {wb}x{hb})"

    faults = [fault for fault in threaded(look, jobs, _THREADS) if fault]
    if faults:
        wish = "proportions" if size else "size"
        remedy = "mend or remove them" if size else "mend them, or give --size=N to resize both"
        raise DataError(
            f"{count_text(len(faults), 'pair')} whose A and B differ in {wish} (width x height): "
            f"{shortened(faults)}; {remedy}."
        )


def _load_libraries(task: Task) -> None:
    for name in task.libraries:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise DataError(
                f"--task={task.name} needs scikit-image, which cannot be imported ({error}); "
                "install it: pip install scikit-image"
            ) from None


def _make_folders(output: Path, folders: set[str], named: str) -> None:
    try:
        for folder in folders:
            (output / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{named}: {error.filename} cannot be made ({error.strerror}); give a folder that you "
            "may write to."
        ) from None


# === The work ===


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """The size of the halves and what is to be said of them, or why there are none."""

    size: tuple[int, int] | None = None
    remarks: tuple[str, ...] = ()
    fault: str = ""


class _Work:
    """Makes one pair; called from several threads."""

    def __init__(self, task: Task, output: Path, size: int, kept: Kept):
        self._task, self._output, self._size, self._kept = task, output, size, kept

    def __call__(self, job: Job) -> _Outcome:
        try:
            a, b, remarks = self._pair(job)
        except DataError as error:
            return _Outcome(fault=str(error))
        except MemoryError:
            return _Outcome(
                fault=f"{job.sources[0]}: too large for the memory there is; give --size=N"
            )
        # A folder that cannot be written ends everything, unlike an image that cannot be read.
        pictures = [a, b] if self._kept.apart else [np.concatenate([a, b], axis=1)]
        for file, picture in zip(self._kept.files(job), pictures, strict=True):
            write_image(self._output / file, picture, alpha=False)
        return _Outcome(b.shape[:2], tuple(remarks))

    def _pair(self, job: Job) -> tuple[np.ndarray, np.ndarray, set[str]]:
        remarks: set[str] = set()
        pictures = [self._read(path, remarks, k) for k, path in enumerate(job.sources)]
        b = pictures[-1]
        a = pictures[0] if len(pictures) == 2 else self._task.make(b, job.stem)
        if a.shape[:2] != b.shape[:2]:
            raise DataError(
                f"{job.sources[0]}: {a.shape[1]}x{a.shape[0]} (width x height), its partner "
                f"{job.sources[1]} {b.shape[1]}x{b.shape[0]}; give --size=N to resize both."
            )
        remark = self._task.remark(a, b)
        return a, b, remarks | ({remark} if remark else set())

    def _read(self, path: Path, remarks: set[str], side: int) -> np.ndarray:
        picture = self._kept.forms[side].read(path, remarks)
        if not self._size:
            return picture
        if min(picture.shape[:2]) < self._size:
            remarks.add(f"smaller than --size={self._size}, enlarged")
        labels = isinstance(self._task, Combine) and self._task.labels in ("ab"[side], "both")
        return fit(picture, self._size, mix=not labels)


def fit(picture: np.ndarray, size: int, mix: bool = True) -> np.ndarray:
    """The largest centred square of a picture, resized.

    Args:
      picture: uint8, uint16 or float32 ``[H, W, C]``.
      size: side of the result, pixels.
      mix: Lanczos, widened against aliasing where it reduces; else nearest neighbour.

    Returns:
      ``[size, size, C]`` of the same type.
    """
    kernel = Image.Resampling.LANCZOS if mix else Image.Resampling.NEAREST
    return by_pillow(picture, lambda image: ImageOps.fit(image, (size, size), kernel))


# === After ===


def _notes(
    remarks: Counter[str],
    new: int,
    output: Path,
    jobs: list[Job],
    counts: dict[str, int],
    kept: Kept,
) -> list[str]:
    notes = [f"{text} ({number:,} of {new:,})" for text, number in sorted(remarks.items())]
    if kept.apart:
        a, b = (form.describe() for form in kept.forms)
        notes.append(f"A is {a}, B {b}: each in a folder of its own, A/ and B/")
    known = {kept.files(job)[0] for job in jobs}
    folders = [kept.folders(split)[0] for split in SPLITS]
    stale = [
        f"{folder}/{name}"
        for folder in folders
        for name in sorted(_names(output / folder))
        if is_image_name(name) and f"{folder}/{name}" not in known
    ]
    if stale:
        notes.append(
            f"{count_text(len(stale), 'pair')} there of no image that the input holds now "
            f"({shortened(stale)}); training would use them"
        )
    if counts and "train" not in counts:
        notes.append("nothing came into train/, so there is nothing to train on yet")
    return notes


def _train_command(
    task: Task,
    output: str | os.PathLike[str],
    counts: dict[str, int],
    sizes: set[tuple[int, int]],
) -> str:
    if "train" not in counts:
        return ""
    words = ["tfpix2pix", "train", f"--dataset={os.fspath(output)}", *task.train_flags]
    if len(sizes) > 1:
        words.append("--allow_mixed_sizes")
    return shlex.join(words)
