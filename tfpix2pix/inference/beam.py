"""Very many images, by any runner of Apache Beam (``tfpix2pix translate --beam``).

The pictures are made by `translate_file`, as those of the plain command, and go to the same files,
so they are the same bit for bit. Every process of the runner must see the same folders under the
same names, as by a network file system, and have tfpix2pix installed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown, write_json, write_text
from tfpix2pix.inference.files import Job, Manner, translate_file
from tfpix2pix.inference.translator import Translator

RECORD = "translation.json"  # in the output folder: of what its pictures are
FAILURES = "failures.txt"  # there too: one line for each image that failed, and why

# Of this process: a translator takes seconds to load and memory to keep.
_opened: dict[tuple[Any, ...], Translator] = {}


class RunnerFailed(Exception):
    """The runner gave up; what is translated is whole. The message says how to go on."""


@dataclass(frozen=True)
class Outcome:
    """What came of all images.

    Attributes:
      failed: why images failed, a sentence each, in the order of the jobs.
      notes: how often each note of `translate_file` was given.
      folder: where the pictures are, and ``failures.txt`` where images failed.
    """

    failed: list[str]
    notes: Counter[str]
    folder: Path


def translate_with_beam(
    translator: Translator,
    jobs: Sequence[Job],
    manner: Manner,
    output: str,
    reopen: functools.partial[Translator],
    *,
    export: str = "",
    runner: str = "DirectRunner",
    flags: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Translates with Beam; what an earlier call has translated is kept.

    Args:
      translator: loaded already, for this process.
      jobs: every image; their folders are made.
      manner: how.
      output: the folder that they go to.
      reopen: loads the same translator in another process: a function of a module with its
        arguments, which can be pickled and compared.
      export: the export's name, where it is one; pictures of two exports do not go together.
      runner: Beam's name of it.
      flags: for the runner.
      say: told how many images are done already.

    Raises:
      UserError: no folder to write to, one with pictures of something else, or flags that the
        runner does not take.
      RunnerFailed: the runner gave up.
    """
    folder = Path(os.path.expanduser(output))
    if not folder.is_dir():
        raise UserError(f"--output={output} is one file; --beam fills a folder, so give one")
    record = {
        "checkpoint": translator.checkpoint,
        "model": Path(export).name if export else None,
        "weights": translator.weights,
        "direction": translator.direction,
        **dataclasses.asdict(manner),
    }
    del record["tile"]  # they give the same pictures
    record = json.loads(json.dumps(record))  # as it will be read
    again = _is_continued(folder, record)
    waiting = [
        (number, os.fspath(job.source), os.fspath(job.target), os.fspath(job.overview or ""))
        for number, job in enumerate(jobs)
        if not (again and _is_done(job))
    ]
    done = len(jobs) - len(waiting)
    if done:
        say(f"{done:,} of {len(jobs):,} images are translated already")
    _opened[_key(reopen)] = translator
    scratch = folder / f".beam_{secrets.token_hex(4)}"
    lines: list[Any] = []
    try:
        scratch.mkdir()
        if waiting:
            lines = _run(_Translate(reopen, manner), waiting, scratch, runner, flags)
    except UserError:
        raise
    except Exception as error:  # whatever a runner raises
        text = " ".join(str(error).split())[:300]
        raise RunnerFailed(
            f"--runner={runner} failed ({type(error).__name__}: {text}); what is translated "
            "is whole; run the same command again to go on from there"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    failed = sorted((one, other) for one, other in lines if isinstance(one, int))
    _write_failures(folder / FAILURES, jobs, failed)
    notes = Counter({one: other for one, other in lines if isinstance(one, str)})
    return Outcome([why for _, why in failed], notes, folder)


# === The pipeline ===


class _Translate(beam.DoFn):
    """(number, source, target, overview or "") to the notes of an image, or to ``failed``:
    (number, why)."""

    def __init__(self, reopen: functools.partial[Translator], manner: Manner) -> None:
        self._reopen, self._manner = reopen, manner

    def setup(self) -> None:
        key = _key(self._reopen)
        if key not in _opened:
            _opened[key] = self._reopen()
        self._translator = _opened[key]

    def process(self, element: tuple[int, str, str, str]) -> Iterator[Any]:
        number, source, target, overview = element
        job = Job(Path(source), Path(target), overview=Path(overview) if overview else None)
        try:
            notes = translate_file(self._translator, job, self._manner)
        except UserError as error:
            yield beam.pvalue.TaggedOutput("failed", (number, str(error)))
        else:
            yield from notes


def _run(
    translate: _Translate,
    waiting: Sequence[tuple[int, str, str, str]],
    scratch: Path,
    runner: str,
    flags: Sequence[str],
) -> list[Any]:
    """Runs the pipeline: ``[number, why]`` of each failure and ``[note, count]`` of each note."""
    try:
        options = PipelineOptions([f"--runner={runner}", *flags])
        pipeline = beam.Pipeline(options=options)
    except (ValueError, SystemExit) as error:
        text = " ".join(str(error).split())[:200]
        raise UserError(
            f"--runner={runner} cannot be used ({text}); its own flags come after --"
        ) from None
    # Read from a file: a million names do not fit into the message that carries a pipeline.
    listed = scratch / "images"
    write_text(listed, "".join(json.dumps(image) + "\n" for image in waiting))
    made = (
        pipeline
        | beam.io.ReadFromText(str(listed))
        | beam.Map(json.loads)
        # Else the images would stay with the one worker that read the list.
        | beam.Reshuffle()
        | beam.ParDo(translate).with_outputs("failed", main="notes")
    )
    lines = made.failed, made.notes | beam.combiners.Count.PerElement()
    lines | beam.Flatten() | beam.Map(json.dumps) | beam.io.WriteToText(str(scratch / "outcomes"))
    pipeline.run().wait_until_finish()
    return [
        json.loads(line)
        for part in sorted(scratch.glob("outcomes-*"))
        for line in part.read_text(encoding="utf-8").splitlines()
    ]


def _key(reopen: functools.partial[Translator]) -> tuple[Any, ...]:
    return reopen.func, reopen.args, *sorted(reopen.keywords.items())


# === What is there already ===


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
    if before:
        # Those of versions that knew no others.
        several = {"samples": 0, "walk": 0, "latent": []}
        before = {"weights": "raw", "direction": record["direction"], **several, **before}
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
        return job.last.stat().st_mtime_ns >= job.source.stat().st_mtime_ns
    except OSError:
        return False


def _write_failures(path: Path, jobs: Sequence[Job], failed: list[tuple[int, str]]) -> None:
    if failed:
        write_text(path, "".join(f"{shown(jobs[at].source)}\t{why}\n" for at, why in failed))
    else:
        path.unlink(missing_ok=True)
