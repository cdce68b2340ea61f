"""``tfpix2pix translate --beam``: very many images, by any runner of Apache Beam.

The pictures are made by the very function of the plain command and go to the very files, so they
are the same bit for bit. Every process of the runner must see the same folders under the same
names, as by a network file system, and have tfpix2pix installed.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown, write_json, write_text
from tfpix2pix.base.progress import say
from tfpix2pix.cli.flags import fail
from tfpix2pix.cli.translate import Job, _open, _translate

if TYPE_CHECKING:
    from tfpix2pix.inference import Translator

RECORD = "translation.json"  # in the output folder: of what its pictures are
FAILURES = "failures.txt"  # there too: one line for each image that failed, and why
_DECIDES = ("labels", "side_by_side", "seed", "deterministic", "fit")

# Of this process: a translator takes seconds to load and memory to keep.
_opened: dict[tuple[Any, ...], Translator] = {}


def run(args: argparse.Namespace, translator: Translator, jobs: list[Job], flags: list[str]) -> int:
    """Translates with Beam; the messages and the exit code are those of the plain command.

    Args:
      args: of `tfpix2pix translate`; ``runner`` names Beam's runner.
      translator: already loaded.
      jobs: every image; their folders are made.
      flags: for the runner.

    Returns:
      0, or 1 when images or the runner failed.

    Raises:
      UserError: no folder to write to, one with pictures of something else, or flags that the
        runner does not take.
    """
    folder = Path(os.path.expanduser(args.output))
    if not folder.is_dir():
        raise UserError(f"--output={args.output} is one file; --beam fills a folder, so give one")
    again = _is_continued(folder, _record(args, translator))
    waiting = [
        (number, os.fspath(job.source), os.fspath(job.target))
        for number, job in enumerate(jobs)
        if not (again and _is_done(job))
    ]
    done = len(jobs) - len(waiting)
    if done:
        say(f"{done:,} of {len(jobs):,} images are translated already")
    if args.workdir:
        # The step, and not its name: a training that goes on must not change what is meant.
        args = argparse.Namespace(**{**vars(args), "checkpoint": str(translator.step)})
    _opened[_key(args)] = translator
    scratch = folder / f".beam_{secrets.token_hex(4)}"
    try:
        scratch.mkdir()
        outcomes = _outcomes(args, waiting, scratch, flags) if waiting else []
    except UserError:
        raise
    except Exception as error:  # whatever a runner raises
        text = " ".join(str(error).split())[:300]
        return fail(
            "tfpix2pix translate",
            f"--runner={args.runner} failed ({type(error).__name__}: {text}); what is translated "
            "is whole; run the same command again to go on from there",
            1,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _tell(folder, jobs, outcomes)


# === The pipeline ===


class _Translate(beam.DoFn):
    """(number, source, target) to the notes of an image, or to ``failed``: (number, why)."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args

    def setup(self) -> None:
        key = _key(self._args)
        if key not in _opened:
            _opened[key] = _translator(self._args)
        self._translator = _opened[key]

    def process(self, element: tuple[int, str, str]) -> Iterator[Any]:
        number, source, target = element
        try:
            notes = _translate(self._translator, Job(Path(source), Path(target)), self._args)
        except UserError as error:
            yield beam.pvalue.TaggedOutput("failed", (number, str(error)))
        else:
            yield from notes


def _outcomes(
    args: argparse.Namespace, waiting: list[tuple[int, str, str]], scratch: Path, flags: list[str]
) -> list[Any]:
    """Runs the pipeline: ``[number, why]`` of each failure and ``[note, count]`` of each note."""
    try:
        options = PipelineOptions([f"--runner={args.runner}", *flags])
        pipeline = beam.Pipeline(options=options)
    except (ValueError, SystemExit) as error:
        text = " ".join(str(error).split())[:200]
        raise UserError(
            f"--runner={args.runner} cannot be used ({text}); its own flags come after --"
        ) from None
    handed = argparse.Namespace(
        **{name: getattr(args, name) for name in ("workdir", "model", "checkpoint", *_DECIDES)}
    )
    # Read from a file: a million names do not fit into the message that carries a pipeline.
    listed = scratch / "images"
    write_text(listed, "".join(json.dumps(image) + "\n" for image in waiting))
    made = (
        pipeline
        | beam.io.ReadFromText(str(listed))
        | beam.Map(json.loads)
        # Else the images would stay with the one worker that read the list.
        | beam.Reshuffle()
        | beam.ParDo(_Translate(handed)).with_outputs("failed", main="notes")
    )
    lines = made.failed, made.notes | beam.combiners.Count.PerElement()
    lines | beam.Flatten() | beam.Map(json.dumps) | beam.io.WriteToText(str(scratch / "outcomes"))
    pipeline.run().wait_until_finish()
    return [
        json.loads(line)
        for part in sorted(scratch.glob("outcomes-*"))
        for line in part.read_text(encoding="utf-8").splitlines()
    ]


def _translator(args: argparse.Namespace) -> Translator:
    """The launcher's translator, loaded anew in a process of the runner."""
    if args.model:
        return _open(args.model)
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    from tfpix2pix.inference import load

    return load(args.workdir, args.checkpoint)


def _key(args: argparse.Namespace) -> tuple[Any, ...]:
    return args.workdir, args.model, args.checkpoint


# === What is there already ===


def _record(args: argparse.Namespace, translator: Translator) -> dict[str, Any]:
    return {
        "checkpoint": translator.checkpoint,
        "model": Path(args.model).name if args.model else None,
        **{name: getattr(args, name) for name in _DECIDES},
    }


def _is_continued(folder: Path, record: dict[str, Any]) -> bool:
    """Whether the folder's pictures are of this very translation; then it is told so from now."""
    path = folder / RECORD
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        write_json(path, record)
        return False
    except ValueError:
        before = None
    if before != record:
        changed = sorted(k for k in record if not before or before.get(k) != record[k])
        raise UserError(
            f"--output={folder} holds pictures of another translation ({', '.join(changed)} "
            f"differ; see {RECORD}), so nothing was changed; give another folder, or remove it"
        )
    return True


def _is_done(job: Job) -> bool:
    """A result is whole if it is there; one that is older than its image is of another image."""
    try:
        return job.target.stat().st_mtime_ns >= job.source.stat().st_mtime_ns
    except OSError:
        return False


# === Messages ===


def _tell(folder: Path, jobs: list[Job], outcomes: list[Any]) -> int:
    failed = sorted((one, other) for one, other in outcomes if isinstance(one, int))
    notes = Counter({one: other for one, other in outcomes if isinstance(one, str)})
    sys.stdout.flush()
    for _, why in failed:
        print(f"tfpix2pix translate: skipped: {why}", file=sys.stderr)
    sys.stderr.flush()
    lines = [f"{shown(jobs[number].source)}\t{why}\n" for number, why in failed]
    if lines:
        write_text(folder / FAILURES, "".join(lines))
    else:
        (folder / FAILURES).unlink(missing_ok=True)
    for note, count in sorted(notes.items()):
        say(f"note: {note} ({count:,} of {len(jobs):,} images)")
    good = len(jobs) - len(failed)
    say(f"translated {good:,} of {len(jobs):,} images" + (f": {shown(folder)}" if good else ""))
    if failed:
        text = f"{len(failed):,} of {len(jobs):,} images failed (see {shown(folder / FAILURES)})"
        return fail("tfpix2pix translate", text, 1)
    return 0
