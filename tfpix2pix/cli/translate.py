"""``tfpix2pix translate``: use what a run learned on images, one or ten thousand."""

from __future__ import annotations

import argparse
import glob
import importlib.util
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown
from tfpix2pix.cli.flags import Parser, add_boolean, fail, number
from tfpix2pix.config import load_config
from tfpix2pix.pair_form import form_of

if TYPE_CHECKING:
    import numpy as np

    from tfpix2pix.data import PairForm
    from tfpix2pix.inference import Translator

USAGE = "tfpix2pix translate --workdir=RUN|--model=EXPORT --input=IMAGES --output=IMAGE|FOLDER"
DESCRIPTION = """\
Translates images with a trained run, with what `tfpix2pix export` made of it, or on a server; the
same flags give the same pictures. They need no target and may have any size: each is padded to
what the network needs and the result cropped back. Results are named after the input, and have the
depth of the run's targets: PNG of 8 or 16 bits, TIFF for floats and more than four channels.

A file that cannot be read is reported and skipped, the rest is done, and the exit code is 1."""


@dataclass(frozen=True)
class Job:
    """One image to read, and the file its translation goes to."""

    source: Path
    target: Path


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to translate")
    group.add_argument(
        "--workdir", metavar="RUN", help="the run's folder (this or --model is required)"
    )
    group.add_argument(
        "--model",
        metavar="EXPORT|URL",
        help="instead of a run: the folder of an export, one of its .tflite or .onnx files, or a "
        "TensorFlow Serving server, http://HOST:8501/v1/models/NAME or grpc://HOST:8500/NAME",
    )
    group.add_argument(
        "--input",
        metavar="PATH",
        help="an image, a folder of images, or a quoted pattern such as 'photos/**/*.jpg' "
        "(required)",
    )
    group.add_argument(
        "--output",
        metavar="PATH",
        help="a file for one image (.png, .jpg, .tif, .webp, .bmp or .npy), else a folder, made if "
        "it is missing (required)",
    )
    add_boolean(
        group,
        "side_by_side",
        "the images are pairs in the pix2pix layout: translate the half that the run takes as "
        "input [false]",
    )
    group.add_argument(
        "--labels",
        default="raw",
        metavar="raw|color|index",
        help="for a run that makes label images: as the network painted them, snapped to the "
        "palette's colours, or index maps [raw]",
    )
    group = parser.add_argument_group("How")
    group.add_argument(
        "--checkpoint",
        default="latest",
        metavar="latest|best|STEP",
        help="which weights: the newest, the best by the run's val measure, or a step's [latest]",
    )
    group.add_argument(
        "--seed",
        type=number(int),
        default=0,
        metavar="INT",
        help="seed of the noise z; the same seed gives the same pictures [0]",
    )
    add_boolean(group, "deterministic", "no dropout: leave the noise z out [false]")
    add_boolean(
        group,
        "fit",
        "resize each image to the size that the run was trained at, and the result back; for "
        "images at another scale than the training's [false]",
    )
    group = parser.add_argument_group("Very many images (the extra `beam`)")
    add_boolean(
        group,
        "beam",
        "translate with Apache Beam: on many processes or machines that share the folders. Results "
        "that are there already are kept, so that it can be started again; what failed stands in "
        "failures.txt [false]",
    )
    group.add_argument(
        "--runner",
        metavar="NAME",
        default="",
        help="the Beam runner, and --beam; its own flags follow after --, as in "
        "`--runner=FlinkRunner -- --flink_master=HOST:8081` [DirectRunner]",
    )
    parser.add_argument("runner_flags", nargs="*", help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> int:
    args.beam = args.beam or bool(args.runner)
    if args.runner_flags and not args.beam:
        raise UserError(
            f"unexpected argument {args.runner_flags[0]!r}; flags look like --name=value, and "
            "those of a Beam runner come after --beam --"
        )
    for flag in ("input", "output"):
        if not getattr(args, flag):
            raise UserError(f"--{flag} is missing; see `tfpix2pix translate --help`")
    if not args.workdir and not args.model:
        raise UserError("--workdir or --model is missing; see `tfpix2pix translate --help`")
    if args.workdir and args.model:
        raise UserError("--workdir and --model were given; give the one that is meant")
    if not -(2**63) <= args.seed < 2**63:
        raise UserError(f"--seed={args.seed} does not fit in 64 bits; give a smaller number")
    if args.labels not in ("raw", "color", "index"):
        raise UserError(f"--labels={args.labels}: expected raw, color or index")
    if args.model and args.checkpoint != "latest":
        raise UserError(
            f"--checkpoint={args.checkpoint} is for --workdir; an export holds the weights of one "
            "step"
        )

    if args.beam:
        args.runner = args.runner or "DirectRunner"
        _check_beam()

    from tfpix2pix.base.progress import ProgressLine, say
    from tfpix2pix.base.quiet import import_tensorflow

    if args.model:
        translator = _open(args.model)
        _check_labels(args.labels, translator.form)
        jobs = _jobs(args.input, args.output, translator.form.suffix)
    else:
        form = form_of(load_config(args.workdir), args.workdir)
        _check_labels(args.labels, form)
        jobs = _jobs(args.input, args.output, form.suffix)
        import_tensorflow()
        from tfpix2pix.inference import load

        translator = load(args.workdir, args.checkpoint, say)
    noisy = translator.takes_noise and not args.deterministic
    say(
        f"{args.workdir or args.model} at step {translator.step:,}, "
        + (f"noise of seed {args.seed}" if noisy else "without noise")
    )
    folder = jobs[0].target.parent
    try:
        for target in {job.target.parent for job in jobs}:
            target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output={args.output}: {error.filename} cannot be made ({error.strerror}); give a "
            "folder that you may write to"
        ) from None

    if args.beam:
        from tfpix2pix.cli.translate_beam import run

        return run(args, translator, jobs, args.runner_flags)

    notes: Counter[str] = Counter()
    failed = 0
    with ProgressLine("translating", len(jobs), "image") as line:
        results = _results(translator, jobs, args)
        for done, result in enumerate(results, start=1):
            if isinstance(result, UserError):
                failed += 1
                sys.stdout.flush()
                print(f"tfpix2pix translate: skipped: {result}", file=sys.stderr, flush=True)
            else:
                notes.update(result)
            line.show(done, f"{failed:,} failed" if failed else "")
    for note, count in sorted(notes.items()):
        say(f"note: {note} ({count:,} of {len(jobs):,} images)")
    good = len(jobs) - failed
    where = shown(jobs[0].target if len(jobs) == 1 else folder)
    say(f"translated {good:,} of {len(jobs):,} images" + (f": {where}" if good else ""))
    if failed:
        return fail("tfpix2pix translate", f"{failed:,} of {len(jobs):,} images failed", 1)
    return 0


def _check_beam() -> None:
    if importlib.util.find_spec("apache_beam") is None:
        raise UserError(
            "--beam needs Apache Beam, which is not installed; install it by "
            "`python -m pip install apache-beam` (or tfpix2pix with its extra `beam`)"
        )


def _open(model: str) -> Translator:
    """What ``--model`` names: a server, a file or a folder."""
    from tfpix2pix.base.quiet import import_tensorflow

    if "://" in model:
        from tfpix2pix.export.remote import open_remote

        return open_remote(model)
    from tfpix2pix.export.opening import find_artifact, open_model

    find_artifact(model)  # refused before TensorFlow takes its seconds
    import_tensorflow()
    return open_model(model)


def _check_labels(labels: str, form: PairForm) -> None:
    if labels != "raw" and not form.y.is_classes:
        raise UserError(
            f"--labels={labels} is for runs whose target shows labels (--label_palette), and "
            "this one's does not; drop it"
        )


def _results(
    translator: Translator, jobs: list[Job], args: argparse.Namespace
) -> Iterator[list[str] | UserError]:
    """The notes of each image, or why it failed, in the order of the jobs."""

    def one(job: Job) -> list[str] | UserError:
        try:
            return _translate(translator, job, args)
        except UserError as error:
            return error

    # A server works on several requests at a time; an engine here uses all cores for one.
    parallel = getattr(translator, "parallel", 1)
    if parallel == 1:
        yield from map(one, jobs)
        return
    with ThreadPoolExecutor(parallel) as pool:
        pending: deque[Future] = deque()
        for job in jobs:
            pending.append(pool.submit(one, job))
            # Not all at once: ten thousand results must not wait in memory.
            if len(pending) >= 2 * parallel:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _translate(translator: Translator, job: Job, args: argparse.Namespace) -> list[str]:
    """Translates one file; returns what had to be done to it, in plain words."""
    from tfpix2pix.data import decode, split_decoded, write_image

    config = translator.config
    image = decode(job.source)
    notes = list(image.notes)
    if args.side_by_side:
        try:
            image, _ = split_decoded(image, config.direction)
        except ValueError as error:
            raise UserError(f"{shown(job.source)}: {error}; --side_by_side expects pairs") from None
    height, width = image.array.shape[:2]
    size = config.crop_size
    if not args.fit and (min(height, width) >= 2 * size or max(height, width) <= size // 2):
        notes.append(
            f"far from the {size} pixels that the run was trained at; --fit resizes them to that"
        )
    try:
        picture = translator.translate(
            image, seed=args.seed, deterministic=args.deterministic, fit=args.fit, notes=notes
        )
    except ValueError as error:
        raise UserError(
            f"{shown(job.source)}: {error}; expected an input as the run was trained on "
            f"({translator.form.x.describe()})"
        ) from None
    except Exception as error:
        if not _out_of_memory(error):
            raise
        raise UserError(
            f"{shown(job.source)}: {width}x{height} pixels do not fit into memory; use --fit, or "
            "cut it"
        ) from None
    write_image(job.target, _labelled(picture, translator, args.labels))
    return notes


def _out_of_memory(error: Exception) -> bool:
    # By name: a server's client needs no TensorFlow.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _labelled(picture: np.ndarray, translator: Translator, labels: str) -> np.ndarray:
    """The picture, or what ``--labels`` makes of it."""
    if labels == "raw":
        return picture
    palette = translator.form.y.palette
    classes = palette.to_classes(picture)
    return palette.to_colors(classes) if labels == "color" else palette.to_indices(classes)


# === What goes where ===


def _jobs(source: str, output: str, suffix: str) -> list[Job]:
    """The images that ``--input`` names, each with the file it becomes.

    Raises:
      UserError: nothing there, no images, or an output that cannot be meant.
    """
    from tfpix2pix.data.images import WRITABLE

    base, names = _inputs(source)
    target = Path(os.path.expanduser(output))
    is_file_name = target.suffix.lower() in WRITABLE and not target.is_dir()
    single = base / names[0] if len(names) == 1 else None
    if is_file_name:
        if single is None:
            raise UserError(
                f"--output={output} is one file, --input={source} are {len(names):,} images; give "
                "a folder"
            )
        jobs = [Job(single, target)]
    else:
        if target.exists() and not target.is_dir():
            raise UserError(
                f"--output={output} is a file of no image format; give a folder or a name that "
                "ends in .png, .jpg, .tif or the like"
            )
        jobs = [Job(base / name, target / result) for name, result in _result_names(names, suffix)]
    for job in jobs:
        if job.target.exists() and os.path.samefile(job.source, job.target):
            raise UserError(
                f"--output={output} would overwrite the input {shown(job.source)}; give another "
                "folder"
            )
    return jobs


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


def _result_names(names: list[str], suffix: str) -> list[tuple[str, str]]:
    """Each name with that of its result; where two would meet, the old extension stays in it."""
    stems = Counter(os.path.splitext(name)[0].casefold() for name in names)

    def result(name: str) -> str:
        stem = os.path.splitext(name)[0]
        return (stem if stems[stem.casefold()] == 1 else name) + suffix

    return [(name, result(name)) for name in names]
