"""Files of images: which there are, what their translations are called, and making them."""

from __future__ import annotations

import functools
import glob
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown
from tfpix2pix.base.memory import available_memory
from tfpix2pix.inference.labels import (
    Labels,
    check_labels,
    colours_of,
    nodata_of,
    result_bytes,
)
from tfpix2pix.inference.several import ANIMATIONS, AnimationFile, Answer, SheetFile, walk
from tfpix2pix.inference.sizes import TooLarge, gigabytes
from tfpix2pix.inference.translator import Tile, out_of_memory

if TYPE_CHECKING:
    from tfpix2pix.config import Config
    from tfpix2pix.data import Decoded, PairSpec
    from tfpix2pix.data.metadata import Metadata
    from tfpix2pix.inference.translator import Model, Translator

    Progress = Callable[[Path, float], None]

TIFF = (".tif", ".tiff")
JPEG = (".jpg", ".jpeg")
_LARGE = 1024  # pixels of the longer side, more than a sheet shows


@dataclass(frozen=True)
class Job:
    """One image to read, and the file its translation goes to.

    Attributes:
      source: the image's file.
      target: of its translation; several ones have a number behind its name, see `numbered`.
      more: files whose channels follow those of `source`.
      overview: of all of them in one, where there are several: a sheet or an animation.
    """

    source: Path
    target: Path
    more: tuple[Path, ...] = ()
    overview: Path | None = None

    @property
    def last(self) -> Path:
        """The file that is written when all others are there."""
        return self.overview or self.target

    def numbered(self, count: int) -> list[Path]:
        """The files of so many translations: ``a_01.png``, ``a_02.png``, ...; of a walk
        ``a_walk_01.png``, ..."""
        digits = max(2, len(str(count)))
        stem, suffix = self.target.stem, self.target.suffix
        numbers = range(1, count + 1)
        return [self.target.with_name(f"{stem}_{i:0{digits}}{suffix}") for i in numbers]


@dataclass(frozen=True)
class Manner:
    """How images are translated.

    Attributes:
      labels, seed, deterministic, fit, tile: as `Translator.translate` takes them.
      side_by_side: the images are pairs in the pix2pix layout; the half that the run takes as
        input is translated.
      samples: several answers to each image, of `seed` and those behind it, and a sheet of them: by
        their latents where there is one, else by their noise; 0: one.
      walk: likewise, on the way from one latent to that of the seed behind `seed`, and an
        animation; 0: none.
      latent: instead of that of `seed`; empty: none.
    """

    labels: Labels = "raw"
    side_by_side: bool = False
    seed: int = 0
    deterministic: bool = False
    fit: bool = False
    tile: Tile = "auto"
    samples: int = 0
    walk: int = 0
    latent: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """How many answers there are to an image."""
        return self.walk or self.samples or 1

    @property
    def overview(self) -> str:
        """What stands behind an image's name in that of its overview; empty where it has none."""
        return "_sheet.png" if self.samples else "_walk.webp" if self.walk else ""

    def answers(self, translator: Translator) -> list[Answer]:
        """What the pictures of an image are made with."""
        given = np.array(self.latent, np.float32) if self.latent else None
        if self.walk:
            start, end = translator.latent([self.seed, self.seed + 1])
            codes = walk(start if given is None else given, end, self.walk)
            return [Answer(self.seed, code) for code in codes]
        if not self.samples:
            return [Answer(self.seed, given)]
        seeds = range(self.seed, self.seed + self.samples)
        if not translator.latent_size:
            return [Answer(seed, None, f"seed {seed}") for seed in seeds]
        # The noise stays the same: what differs is what the latents choose.
        codes = translator.latent(seeds)
        named = zip(seeds, codes, strict=True)
        return [Answer(self.seed, code, f"seed {seed}") for seed, code in named]

    def check(self, config: Config, spec: PairSpec, output: str) -> None:
        """Refuses labels that a model does not make, or that the output's format does not keep.

        Raises:
          UserError: it is so.
        """
        check_labels(self.labels, config, spec)
        in_jpeg = Path(output).suffix.lower() in JPEG and not self.overview  # that is of colours
        if self.labels == "index" and in_jpeg:
            raise UserError(
                f"--output={output}: JPEG changes values, and those of --labels=index are classes; "
                "name it .png or .tif"
            )

    def suffix(self, spec: PairSpec) -> str:
        """Extension of result files in a folder."""
        return TIFF[0] if self.labels == "probabilities" else spec.suffix

    def check_latent(self, model: Model, style: str = "") -> None:
        """Raises UserError where a latent, or that of an image, is asked of a model that has none,
        or one of other numbers."""
        size = model.config.latent_size
        given = ",".join(f"{number:g}" for number in self.latent)
        for flag, value in {"walk": self.walk, "latent": given, "style": style}.items():
            if value and not size:
                raise UserError(
                    f"--{flag}={value}: {model.name} has no latent, so that there is one answer to "
                    f"an image; {train_a_latent(model.config)}"
                )
        if style and model.config.ENCODES and not model.encodes:
            raise UserError(
                f"--style={style}: {model.name} holds the generator without its encoder, as "
                "exports of earlier versions do; export the run again, or give it by --workdir"
            )
        if style and not model.encodes:
            from tfpix2pix.algorithms.registry import several_answers

            raise UserError(
                f"--style={style}: {model.name} has no encoder, which would say what latent an "
                "image stands for; train a run with "
                f"--algorithm={' or '.join(several_answers(style=True))}"
            )
        if self.latent and len(self.latent) != size:
            raise UserError(
                f"--latent={given}: {len(self.latent)} numbers, and the latent of {model.name} has "
                f"{size}"
            )

    def drawn(self, translator: Translator) -> str:
        """What the pictures are made with, in a few words: ``noise of seed 3``."""
        if not (self.samples or self.walk or self.latent):
            return translator.drawn_by(self.seed, self.deterministic)
        seed = seeds = f"seed {self.seed}"
        if self.samples > 1:
            seeds = f"seeds {self.seed} to {self.seed + self.samples - 1}"
        if not translator.latent_size:
            return f"noise of {seeds}"
        noisy = translator.takes_noise and not self.deterministic
        noise = f"noise of {seed}" if noisy else "without noise"
        if self.walk:
            start = "the one given" if self.latent else f"that of {seed}"
            return f"latents from {start} to that of seed {self.seed + 1}, {noise}"
        return f"{'the latent given' if self.latent else f'latents of {seeds}'}, {noise}"

    def notes(self, translator: Translator) -> list[str]:
        """What is to be known of several answers, in plain words.

        Raises:
          UserError: all of them would be the same.
        """
        if not self.samples or translator.latent_size:
            return []
        if translator.varies(self.deterministic):
            return [
                "without a latent the answers differ by dropout alone, which is little; "
                f"{train_a_latent(translator.config)}"
            ]
        if translator.varies():
            raise UserError(
                f"--samples={self.samples}: --deterministic leaves the noise out, so all answers "
                "would be the same; drop one of the two"
            )
        raise UserError(
            f"--samples={self.samples}: there is neither noise nor a latent, so all answers would "
            f"be the same; {train_a_latent(translator.config)}"
        )


def train_a_latent(config: Config) -> str:
    """What to do for several answers to an image, for a message on a run that has no latent."""
    from tfpix2pix.algorithms.registry import several_answers

    kinds = several_answers()
    of = "" if config.algorithm in kinds else f"--algorithm={kinds[0]} "
    return f"train a run with {of}--latent=8 --diversity=dsgan"


# === Making them ===


def translate_files(
    translator: Translator,
    jobs: Sequence[Job],
    manner: Manner,
    progress: Progress | None = None,
) -> Iterator[list[str] | UserError]:
    """Translates files, several at a time where that is of use.

    Args:
      translator, manner: what translates, and how.
      jobs: the files.
      progress: told how far a picture is that is made in tiles.

    Yields:
      In the order of the jobs: the notes of an image (see `translate_file`), or why it failed.
    """

    def one(job: Job) -> list[str] | UserError:
        try:
            return translate_file(translator, job, manner, progress)
        except UserError as error:
            return error

    parallel = translator.parallel
    if parallel == 1:
        yield from map(one, jobs)
        return
    progress = None  # of which of them?
    with ThreadPoolExecutor(parallel) as pool:
        pending: deque[Future[list[str] | UserError]] = deque()
        for job in jobs:
            pending.append(pool.submit(one, job))
            # Not all at once: ten thousand results must not wait in memory.
            if len(pending) >= 2 * parallel:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def style_of(
    translator: Translator, path: str, manner: Manner
) -> tuple[tuple[float, ...], list[str]]:
    """The latent that an image stands for, and what had to be done to the image, in plain words.

    Args:
      translator: of a run with an encoder.
      path: the image, like the targets.
      manner: whether it is a pair.

    Raises:
      UserError: it cannot be read or is none like the targets, or the run has no encoder.
    """
    from tfpix2pix.data import decode, split_decoded

    side = translator.spec.y
    image = decode(Path(path).expanduser(), side.planes)
    notes = image.remarks
    try:
        if manner.side_by_side:
            _, image = split_decoded(image, translator.direction)
        code = translator.style(image, notes)
    except ValueError as error:
        raise UserError(
            f"--style={path}: {error}; expected an image like the targets that the run was trained "
            f"on ({translator.spec.result_image.describe()})"
        ) from None
    return tuple(map(float, code)), notes


def translate_file(
    translator: Translator, job: Job, manner: Manner, progress: Progress | None = None
) -> list[str]:
    """Translates one file; arguments as `translate_files`.

    Returns:
      What had to be done to the image, in plain words.

    Raises:
      UserError: it cannot be read, does not fit the run, or is too large for the memory.
    """
    from tfpix2pix.data import split_decoded
    from tfpix2pix.data.layouts.pair_files import read_stacked

    config = translator.config
    for source in (job.source, *job.more):
        _check_room(translator, source, result_bytes(translator.spec, manner.labels))
    image = read_stacked([(p, translator.spec.x.planes) for p in (job.source, *job.more)])
    channels = image.array.shape[-1]
    columns = input_column(config, translator.direction)
    if "," in columns and not job.more and channels != translator.spec.x.channels:
        raise UserError(
            f"{shown(job.source)}: {channels} of the {translator.spec.x.channels} channels that "
            f"the run was trained on, from the columns {columns}; give a manifest with these "
            "columns as --input"
        )
    notes = image.remarks
    if manner.side_by_side:
        try:
            image, _ = split_decoded(image, translator.direction)
        except ValueError as error:
            raise UserError(f"{shown(job.source)}: {error}; --side_by_side expects pairs") from None
    height, width = image.array.shape[:2]
    size = config.whole_size
    far = min(height, width) >= 2 * size.smaller or max(height, width) <= size.larger // 2
    if not manner.fit and far:
        trained = str(size) if size.is_square else size.shown
        notes.append(
            f"far from the {trained} pixels that the run was trained at; --fit resizes them to that"
        )
    answers = manner.answers(translator)
    targets = job.numbered(len(answers)) if job.overview else [job.target]
    overview: SheetFile | AnimationFile | None = None
    if job.overview is not None:
        kind = AnimationFile if manner.walk else SheetFile
        overview = kind((height, width), len(answers))
    for number, (answer, target) in enumerate(zip(answers, targets, strict=True)):
        told = notes if number == 0 else []  # the same of all
        share = None if progress is None else _Share(progress, job.source, number, len(answers))
        picture = _translated(translator, job, manner, image, answer, told, share)
        if overview is not None:
            if number == 0:
                overview.add_input(_seen_input(translator.spec, image))
            overview.add(answer, _seen(translator, picture, manner.labels))
        _write(translator, job, target, manner, image, picture, told)
    if overview is not None and job.overview is not None:
        overview.write(job.overview)
    return notes


class _Share:
    """Tells how far an image is, of which several pictures are made."""

    def __init__(self, progress: Progress, source: Path, number: int, count: int) -> None:
        self._progress, self._source, self._number, self._count = progress, source, number, count
        if count > 1:
            self(0.0)

    def __call__(self, share: float) -> None:
        """`share` of the picture that is being made, 0 to 1."""
        self._progress(self._source, (self._number + share) / self._count)


def _translated(
    translator: Translator,
    job: Job,
    manner: Manner,
    image: Decoded,
    answer: Answer,
    notes: list[str],
    progress: Callable[[float], None] | None,
) -> np.ndarray:
    """`Translator.translate`, whose refusals name the file."""
    try:
        return translator.translate(
            image,
            seed=answer.seed,
            latent=answer.latent,
            deterministic=manner.deterministic,
            fit=manner.fit,
            notes=notes,
            tile=manner.tile,
            progress=progress,
            labels=manner.labels,
        )
    except ValueError as error:
        raise UserError(
            f"{shown(job.source)}: {error}; expected an input as the run was trained on "
            f"({translator.spec.x.describe()})"
        ) from None
    except TooLarge as error:
        raise UserError(f"{shown(job.source)}: {error}") from None
    except Exception as error:
        if not out_of_memory(error):
            raise
        height, width = image.array.shape[:2]
        raise UserError(
            f"{shown(job.source)}: {width}x{height} pixels do not fit into memory; "
            + ("cut it" if manner.fit else "use --fit, or cut it")
        ) from None


def _write(
    translator: Translator,
    job: Job,
    target: Path,
    manner: Manner,
    image: Decoded,
    picture: np.ndarray,
    notes: list[str],
) -> None:
    """Writes a picture that was made of an image."""
    from tfpix2pix.data import write_image

    metadata = _metadata(job, manner, picture, notes)
    spec = translator.spec
    if spec.missing(image).any():
        nodata = _nodata(spec, manner.labels, image.nodata, notes)
        metadata = replace(metadata, nodata=nodata)
    if manner.labels == "probabilities":
        metadata = replace(metadata, bands=tuple(spec.y.channel_names))
    write_image(target, picture, alpha=spec.result_image.alpha, metadata=metadata)


def _seen_input(spec: PairSpec, image: Decoded) -> np.ndarray:
    """What the network sees of an image, as a person sees it: uint8 ``[h, w, 1 or 3]``; of a large
    one, some of its rows and columns."""
    step = max(1, max(image.array.shape[:2]) // _LARGE)
    indices = None if image.indices is None else image.indices[::step, ::step]
    small = replace(image, array=image.array[::step, ::step], indices=indices)
    return spec.picture_of_x(spec.read_input(small))


def _seen(translator: Translator, picture: np.ndarray, labels: str) -> np.ndarray:
    """A result as a person sees it: uint8 ``[H, W, C]``."""
    image = translator.spec.result_image
    if labels != "raw":
        return colours_of(translator.spec, picture, labels)
    if image.is_classes or (picture.dtype == np.uint8 and image.whole_scale):
        return picture
    levels = (picture.astype(np.float32) - image.low) * (255.0 / (image.high - image.low))
    return np.clip(np.rint(np.nan_to_num(levels)), 0, 255).astype(np.uint8)


def _metadata(job: Job, manner: Manner, picture: np.ndarray, notes: list[str]) -> Metadata:
    """What the input says of its pixels' size and place, as far as it is true of the result."""
    from tfpix2pix.data.metadata import read_metadata

    metadata = read_metadata(job.source)
    in_tiff = job.target.suffix.lower() in TIFF
    if manner.side_by_side and metadata.geo:
        notes.append("geographic tags left out: they are of both halves")
        metadata = replace(metadata, geo={})
    elif metadata.geo and not in_tiff:
        notes.append("geographic tags left out: a result named .tif would have them")
    if metadata.nodata and in_tiff and not metadata.nodata_fits(picture.dtype):
        notes.append(
            f"the input's nodata value ({metadata.nodata}) left out: a result of "
            f"{picture.dtype} cannot hold it"
        )
    return metadata


def _check_room(translator: Translator, source: Path, result: int) -> None:
    """Refuses an image whose pixels alone do not fit into memory: it would end the process.

    `result`: bytes of a pixel of the result.
    """
    from tfpix2pix.data.formats import UnreadableImage, read_header

    try:
        header = read_header(source)
    except UnreadableImage:
        return  # `decode` says more, and reads some whose header tells nothing
    channels = header.channels + header.has_alpha
    # As it is decoded and as x has it, and the result twice: as it is and in its file.
    each = 2 * channels * np.dtype(header.dtype).itemsize
    each += 2 * result
    needed, there = each * header.height * header.width, available_memory()
    if needed > there:
        raise UserError(
            f"{shown(source)}: {header.width}x{header.height} pixels need {gigabytes(needed)} of "
            f"memory to be read and written, and {gigabytes(there)} are free; cut it"
        )


def _nodata(spec: PairSpec, labels: str, of_input: float | None, notes: list[str]) -> str:
    """The value that stands where the input has nothing measured as GDAL's tag says it; empty where
    no single one does."""
    nodata, palette = nodata_of(spec, labels, of_input), spec.y.palette
    what = "the input has nothing measured"
    if nodata is not None:
        notes.append(f"{nodata:.9g} stands where {what}")
        return f"{nodata:.9g}"
    if palette is not None and not palette.void.any():
        notes.append(f"where {what}, the result is a guess: no class of the palette is void")
    return ""


# === What goes where ===


def input_column(config: Config, direction: str) -> str:
    """The column of a manifest that holds a direction's inputs, or several; empty: the usual."""
    if direction == config.direction:
        return config.input_key
    return config.target_key or "target"


def find_jobs(
    source: str,
    output: str,
    suffix: str,
    input_key: str = "",
    manner: Manner = Manner(),
) -> list[Job]:
    """The images that a path names, each with the file that its translation becomes.

    Args:
      source: an image, a folder of images, a manifest, or a pattern such as ``photos/**/*.jpg``.
      output: a file for one image, else a folder, which need not exist.
      suffix: of results in a folder, with the dot; of images with geographic tags they are TIFFs.
      input_key: the column of a manifest, or several whose images are the channels of one.
      manner: of several answers to an image, a file as `output` becomes the overview.

    Raises:
      UserError: nothing there, no images, or an output that cannot be meant.
    """
    from tfpix2pix.data.images import WRITABLE

    base, names, more = _table_inputs(source, input_key) or (*_inputs(source), {})
    target = Path(os.path.expanduser(output))
    known = {*WRITABLE, *(ANIMATIONS if manner.walk else ())}
    is_file_name = target.suffix.lower() in known and not target.is_dir()
    single = base / names[0] if len(names) == 1 else None
    if is_file_name:
        if single is None:
            raise UserError(
                f"--output={output} is one file, --input={source} are {len(names):,} images; give "
                "a folder"
            )
        jobs = [Job(single, target, more.get(names[0], ()))]
        if manner.overview:
            ((_, result),) = _result_names(base, names, suffix)
            pictures = target.with_suffix(Path(result).suffix)
            jobs = [replace(jobs[0], target=pictures, overview=_checked(target, output, manner))]
    else:
        if target.exists() and not target.is_dir():
            raise UserError(
                f"--output={output} is a file of no image format; give a folder or a name that "
                "ends in .png, .jpg, .tif or the like"
            )
        jobs = [
            Job(base / name, target / result, more.get(name, ()))
            for name, result in _result_names(base, names, suffix)
        ]
        if manner.overview:
            jobs = [_with_overview(job, manner) for job in jobs]
    _check_apart(jobs, output, manner)
    return jobs


def _check_apart(jobs: Sequence[Job], output: str, manner: Manner) -> None:
    """Refuses results that would be written over images that are to be translated."""
    place = functools.cache(os.path.realpath)
    sources = {(place(p.parent), p.name) for job in jobs for p in (job.source, *job.more)}
    for job in jobs:
        if job.overview is not None:
            results = (*job.numbered(manner.count), job.overview)
            taken = [path for path in results if (place(path.parent), path.name) in sources]
        else:
            path = job.target
            taken = [path] if path.exists() and os.path.samefile(job.source, path) else []
        if taken:
            raise UserError(
                f"--output={output} would overwrite the input {shown(taken[0])}; give another "
                "folder"
            )


def _with_overview(job: Job, manner: Manner) -> Job:
    """A job of a folder, of several answers."""
    stem, suffix = job.target.stem, job.target.suffix
    # A walk's pictures and a sheet's may be in one folder.
    target = job.target.with_name(f"{stem}_walk{suffix}") if manner.walk else job.target
    return replace(job, target=target, overview=job.target.with_name(stem + manner.overview))


def _checked(target: Path, output: str, manner: Manner) -> Path:
    """A file that was named, if an overview can go there."""
    if manner.walk and target.suffix.lower() not in ANIMATIONS:
        raise UserError(
            f"--output={output}: an animation (--walk) is a file {', '.join(ANIMATIONS)}; name it "
            "so, or give a folder"
        )
    return target


def make_folders(jobs: Sequence[Job], output: str) -> None:
    """Makes the folders that the results go to.

    Raises:
      UserError: one cannot be made.
    """
    try:
        for target in {job.target.parent for job in jobs}:
            target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output={output}: {error.filename} cannot be made ({error.strerror}); give a "
            "folder that you may write to"
        ) from None


def _table_inputs(
    source: str, input_key: str
) -> tuple[Path, list[str], dict[str, tuple[Path, ...]]] | None:
    """The inputs that a manifest names: base, names, and by name the files of more channels."""
    from tfpix2pix.data.layouts.manifest import EXTENSIONS, list_inputs

    path = Path(os.path.expanduser(source))
    if path.suffix.lower() not in EXTENSIONS or not path.is_file():
        return None
    rows = list_inputs(f"--input={source}", path, input_key)
    base = os.path.commonpath([os.path.abspath(first.parent) for first, *_ in rows])
    more = {os.path.relpath(first, base): tuple(others) for first, *others in rows}
    return Path(base), list(more), more


def _inputs(source: str) -> tuple[Path, list[str]]:
    """A base folder and the images below it, as relative names in order."""
    from tfpix2pix.data import is_image_name

    path = Path(os.path.expanduser(source))
    if path.is_file():
        return path.parent, [path.name]
    if path.is_dir():
        names = sorted(entry.name for entry in _files(path) if is_image_name(entry.name))
        if not names:
            raise UserError(
                f"--input={source} holds no image (.jpg, .png, .tif, ...); for images in its "
                f"subfolders give --input='{source.rstrip('/')}/**/*.png'"
            )
        return path, names
    if glob.has_magic(source):
        matches = glob.glob(str(path), recursive=True)
        files = sorted(m for m in matches if is_image_name(m) and os.path.isfile(m))
        if not files:
            raise UserError(
                f"--input={source} matches no image (.jpg, .png, .tif, ...); check the pattern, "
                "and quote it"
            )
        base = os.path.commonpath([os.path.dirname(os.path.abspath(f)) for f in files])
        return Path(base), [os.path.relpath(os.path.abspath(f), base) for f in files]
    raise UserError(
        f"--input={source}: no such file or folder; give an image, a folder or a quoted pattern"
    )


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_file())


def _result_names(base: Path, names: list[str], suffix: str) -> list[tuple[str, str]]:
    """Each name with that of its result; where two would meet, the old extension stays in it."""
    from tfpix2pix.data.metadata import read_metadata

    stems = Counter(os.path.splitext(name)[0].casefold() for name in names)

    def result(name: str) -> str:
        stem, extension = os.path.splitext(name)
        placed = extension.lower() in TIFF and read_metadata(base / name).geo
        return (stem if stems[stem.casefold()] == 1 else name) + (".tif" if placed else suffix)

    return [(name, result(name)) for name in names]
