"""`tfpix2pix export` and `verify` as functions: make, prove, and only then publish."""

from __future__ import annotations

import dataclasses
import functools
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import existing_place, write_text
from tfpix2pix.base.version import __version__
from tfpix2pix.config import Config, load_config, nearest
from tfpix2pix.config.dataset import spec_of
from tfpix2pix.data.config import DIRECTIONS
from tfpix2pix.demo.kinds import AUTO, DRAWS
from tfpix2pix.demo.models import check_spec
from tfpix2pix.demo.runtime import runtime_files
from tfpix2pix.export.contract import (
    INFERENCES,
    Contract,
    check_argmax,
    default_max_pixels,
    least_max_pixels,
)
from tfpix2pix.export.formats import (
    FORMATS,
    QUANTIZATIONS,
    USUAL,
    Artifact,
    Format,
    Job,
    load_format,
)
from tfpix2pix.export.manifest import FILE, REPORT, Index, Manifest, checksums
from tfpix2pix.export.onnx.opset import OLDEST, check_known
from tfpix2pix.export.publish import Staging, check_output, check_published

if TYPE_CHECKING:
    from tfpix2pix.data import PairArrays
    from tfpix2pix.export.pictures import CheckPicture
    from tfpix2pix.export.proof import Proof, Prover
    from tfpix2pix.inference import Translator

CHECK_COUNT = 12
MOST_EXAMPLES = 100
_PACKAGES = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "numpy")
_SPARE = 64 << 20  # bytes on the disk beyond what the weights will take
# Weights in the artefact by weights in float32, with room.
_SHARE = {"none": 1.1, "float16": 0.6, "dynamic": 0.4, "int8": 0.4}


class ExportMismatch(UserError):
    """An artefact differs from Keras by more than is allowed, so nothing was published.

    Attributes:
      proof: what was measured.
    """

    def __init__(self, message: str, proof: Proof) -> None:
        super().__init__(message)
        self.proof = proof


@dataclass(frozen=True)
class Request:
    """What `export_run` is asked for; checked on construction.

    Attributes:
      formats: of `FORMATS`.
      quantize: of `QUANTIZATIONS`.
      inference: ``paper`` or ``deterministic``.
      image_size: ``(height, width)``, or None for any.
      opset: of ONNX files; None for the oldest that holds each.
      max_pixels: height times width that the SavedModel's signatures take at most, where the size
        is any; None for `contract.default_max_pixels`.
      direction: ``AtoB``, ``BtoA`` or ``both``; empty for all that the run has.
      argmax: of a run of one-hot targets: class numbers in the place of probabilities.
      examples: inputs of the run's val split that the page of the format web shows.
      draw: what one draws on that page, of `tfpix2pix.demo.kinds.DRAWS`.

    Raises:
      UserError: a value that is not known, or a limit beside a fixed size.
    """

    formats: tuple[str, ...] = USUAL
    quantize: tuple[str, ...] = ("none",)
    inference: str = "paper"
    image_size: tuple[int, int] | None = None
    opset: int | None = None
    max_pixels: int | None = None
    direction: str = ""
    argmax: bool = False
    examples: int = 0
    draw: str = AUTO

    def __post_init__(self) -> None:
        if self.max_pixels is not None and self.image_size is not None:
            raise UserError(
                f"--max_pixels={self.max_pixels}: an export of one --image_size takes no larger "
                "images anyway; give one of the two"
            )
        for flag, values, known in (
            ("formats", self.formats, FORMATS),
            ("quantize", self.quantize, QUANTIZATIONS),
            ("inference", (self.inference,), INFERENCES),
            ("direction", (self.direction or "both",), (*DIRECTIONS, "both")),
            ("draw", (self.draw,), DRAWS),
        ):
            if not values:
                raise UserError(f"--{flag} is empty; expected some of {', '.join(known)}")
            for value in values:
                if value not in known:
                    raise UserError(
                        f"--{flag}={value}: expected {', '.join(known)}{nearest(value, known)}"
                    )
        if not 0 <= self.examples <= MOST_EXAMPLES:
            raise UserError(f"--examples={self.examples}: expected 0 to {MOST_EXAMPLES}")
        for flag, asked in (("examples", self.examples != 0), ("draw", self.draw != AUTO)):
            if asked and "web" not in self.formats:
                raise UserError(
                    f"--{flag}={getattr(self, flag)} is of a page to draw on, and "
                    f"--formats={','.join(self.formats)} has none; add web to --formats, or leave "
                    f"--{flag} out"
                )
        if self.opset is None:
            return
        if not {"onnx", "web"} & {*self.formats}:
            raise UserError(
                f"--opset={self.opset} is of ONNX files, and --formats={','.join(self.formats)} "
                "has none; add onnx to --formats, or leave --opset out"
            )
        if self.opset < OLDEST:
            raise UserError(
                f"--opset={self.opset}: expected {OLDEST} or more, the oldest that onnxruntime "
                "runs; leave --opset out for the oldest that holds each file"
            )

    @classmethod
    def parse(
        cls,
        formats: str,
        quantize: str,
        inference: str,
        image_size: str,
        opset: str = "oldest",
        max_pixels: int | None = None,
        direction: str = "",
        argmax: bool = False,
        examples: int = 0,
        draw: str = AUTO,
    ) -> Request:
        """From the texts of the flags."""
        return cls(
            _words(formats),
            _words(quantize),
            inference,
            parse_size(image_size),
            parse_opset(opset),
            max_pixels,
            direction,
            argmax,
            examples,
            draw,
        )

    def directions(self, config: Config, workdir: str | os.PathLike[str]) -> tuple[str, ...]:
        """Those of a run that are asked for, its default first.

        Raises:
          UserError: it has not this one, or not both.
        """
        what = f"the run {workdir}"
        if self.direction in DIRECTIONS:
            return (config.direction_of(self.direction, what),)
        if self.direction and len(config.directions) == 1:
            raise UserError(
                f"--direction={self.direction}: {what} translates {config.direction} only; leave "
                "--direction out"
            )
        return config.directions

    def check_size(self, config: Config) -> None:
        """Refuses a size that the run's generator cannot have.

        Raises:
          UserError: it is no multiple of the network's, or the limit is below what the proof needs.
        """
        least = least_max_pixels(config)
        if self.max_pixels is not None and not least <= self.max_pixels < 2**31:
            raise UserError(
                f"--max_pixels={self.max_pixels}: expected {least:,} (twice the run's size a side, "
                f"at which the export is proved) to {2**31 - 1:,} pixels, height x width; without "
                f"it the limit is {default_max_pixels(config):,}"
            )
        if self.image_size is None:
            return
        step = config.size_multiple
        least = max(step, config.least_size)
        if any(side % step or side < least for side in self.image_size):
            height, width = (max(least, -(-side // step) * step) for side in self.image_size)
            from_on = f" from {least} on" if least > step else ""
            raise UserError(
                f"--image_size={self.image_size[1]}x{self.image_size[0]}: the generator takes "
                f"multiples of {step} pixels{from_on}; use --image_size={width}x{height}, or any"
            )


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def parse_size(text: str) -> tuple[int, int] | None:
    """``(height, width)`` of ``any`` (None), ``256`` or ``512x256`` (width x height).

    Raises:
      UserError: another text.
    """
    if text == "any":
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", text)
    if not match:
        raise UserError(
            f"--image_size={text}: expected any, a number of pixels such as 256, or WIDTHxHEIGHT "
            "such as 512x256"
        )
    width = int(match[1])
    return int(match[2] or width), width


def parse_opset(text: str) -> int | None:
    """A number, or None for ``oldest``.

    Raises:
      UserError: another text.
    """
    if text == "oldest":
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise UserError(f"--opset={text}: expected oldest, or a whole number such as 13")
    return int(text)


@dataclass(frozen=True)
class Exported:
    """What `export_run` made; what takes a path takes it for its folder.

    Attributes:
      output: the folder.
      manifest: the content of its ``export.json``; of both directions, that of the default one's.
      proof: what was measured, likewise.
      report: the page, likewise.
      parts: the export of each direction, the default one first: itself where it is of one.
    """

    output: Path
    manifest: Manifest
    proof: Proof
    report: Path
    both: tuple[Exported, ...] = ()

    @property
    def parts(self) -> tuple[Exported, ...]:
        return self.both or (self,)

    def paths(self) -> list[str]:
        """Of all artefacts, below `output`."""
        return [
            (part.output / artifact.path).relative_to(self.output).as_posix()
            for part in self.parts
            for artifact, _ in part.manifest.everything
        ]

    def __fspath__(self) -> str:
        return os.fspath(self.output)

    def __repr__(self) -> str:
        reports = "\n".join(f"report: {part.report}" for part in self.parts)
        return f"exported to {self.output}: {', '.join(self.paths())}\n{reports}"


class Reporter:
    """What a long export tells; the command line shows a progress line."""

    def say(self, text: str) -> None:
        """A sentence."""

    def start(self, steps: int) -> None:
        """There are so many steps."""

    def doing(self, what: str) -> None:
        """What is being done now, as far as it takes long."""

    def step(self, what: str, count: int = 1) -> None:
        """So many of them were done."""


def export_run(
    workdir: str | os.PathLike[str],
    output: str | os.PathLike[str],
    request: Request | None = None,
    *,
    checkpoint: str | int = "latest",
    weights: str = "average",
    dataset: str | PairArrays = "",
    check_images: str = "",
    check_count: int = CHECK_COUNT,
    name: str = "",
    reporter: Reporter | None = None,
) -> Exported:
    """Exports a run's generator, proves every artefact against Keras, and publishes them together.

    Args:
      workdir: the run.
      output: the folder of the export, made if it is missing. What an earlier export of the same
        checkpoint, weights and inference left there stays part of it; of another one, only older
        versions of the SavedModel stay, for a server to go back to.
      request: formats and the like; the default is every format in float32.
      checkpoint: ``latest``, ``best`` or a step.
      weights: ``average`` or ``raw``, as in `tfpix2pix.inference.load`.
      dataset: where the run's data set is now, if it was moved; its arrays, if it was these.
      check_images: an image or a folder to check on instead of the val split.
      check_count: images that the PSNR is taken on.
      name: of the model in server configurations; by default the workdir's.
      reporter: told what happens.

    Returns:
      What was published.

    Raises:
      UserError: it cannot be done; nothing was published.
      ExportMismatch: an artefact differs too much; nothing was published.
    """
    request, reporter = request or Request(), reporter or Reporter()
    config = check_request(workdir, output, request)
    formats = [load_format(each) for each in request.formats]
    directions = request.directions(config, workdir)
    import tensorflow as tf

    from tfpix2pix.export.core import encoder_of, export_generator, weights_of
    from tfpix2pix.export.pictures import TrainingInputs, stored_inputs
    from tfpix2pix.export.proof import Prover
    from tfpix2pix.inference import load

    name = _model_name(name or Path(os.path.abspath(workdir)).name)
    translators = [load(workdir, checkpoint, reporter.say, weights, each) for each in directions]
    if len({each.checkpoint for each in translators}) > 1:
        raise UserError(
            f"--workdir={workdir}: its training saved a checkpoint meanwhile; run the same command "
            "again, or name a step by --checkpoint"
        )
    values = [weights_of(each.generator) for each in translators]
    encoders = [encoder_of(each) for each in translators]
    stored = [*values, *(weights_of(each) for each in encoders if each is not None)]
    _check_space(output, sum(v.nbytes for of in stored for v in of.values()), request)
    try:
        with Staging(output) as staging:
            parts = []
            for translator, of, encoder in zip(translators, values, encoders, strict=True):
                contract = Contract.of(
                    translator,
                    request.inference,
                    request.image_size,
                    request.max_pixels,
                    request.argmax,
                )
                place = translator.direction if len(directions) > 1 else ""
                where = (config, workdir, dataset)
                examples = _examples(where, request.examples, translator.direction)
                job = Job(
                    contract=contract,
                    translator=translator,
                    generator=export_generator(translator.described, of, noise=contract.noise),
                    quantize=request.quantize,
                    output=staging.output / place,
                    name=f"{name}_{place}" if place else name,
                    training_inputs=TrainingInputs(*where, translator.direction),
                    say=reporter.say,
                    opset=request.opset,
                    stored_inputs=functools.partial(
                        stored_inputs, *where, direction=translator.direction
                    ),
                    examples=examples,
                    draw=request.draw,
                    encoder=encoder,
                )
                pictures, source = check_pictures(
                    *where, check_images, check_count, translator.direction
                )
                prover = Prover(translator, contract, pictures, source)
                parts.append(_Part(place, job, pictures, prover))
            return _make(parts, name, formats, staging, workdir, reporter)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"--output={output} could not be written ({_reason(error)}), so nothing was "
            "published; free space or give another folder, and run the same command again"
        ) from None


def check_request(
    workdir: str | os.PathLike[str], output: str | os.PathLike[str], request: Request
) -> Config:
    """What can be refused at once, before TensorFlow is imported; returns the run's config.

    Raises:
      UserError: no run, no checkpoint, a size that it cannot have, an output folder that cannot
        be written, or a package that is missing.
    """
    config = load_config(workdir)
    request.check_size(config)
    check_argmax(request.argmax, config)
    directions = request.directions(config, workdir)
    if not any(Path(workdir, "checkpoints").glob("step_*")):
        raise UserError(
            f"--workdir={workdir} has no checkpoint yet; train it first: "
            f"tfpix2pix train --workdir={workdir}"
        )
    _check_layout(check_output(output), config, directions)
    for name in request.formats:
        load_format(name).check()
    if "web" in request.formats:
        runtime_files()
        for direction in directions:
            check_spec(spec_of(config, workdir, direction), f"--workdir={workdir}")
    if request.opset is not None:
        check_known(request.opset)
    return config


def _check_layout(output: Path, config: Config, directions: tuple[str, ...]) -> None:
    """Refuses a folder that holds the export of other directions of such a run.

    Raises:
      UserError: it does; nothing was touched.
    """
    if len(config.directions) == 1:
        return
    index = Index.find(output)
    try:
        held = "" if index is not None else Manifest.load(output).contract.direction
    except UserError:
        return
    if index is not None and len(directions) == 1:
        raise UserError(
            f"--output={output} holds the exports of {' and '.join(index.directions)}, in folders "
            f"of their own, and --direction={directions[0]} makes one without; leave --direction "
            "out, or give another folder"
        )
    if index is None and (held,) != directions:
        raise UserError(
            f"--output={output} holds the export of {held} alone; give another folder, or "
            f"--direction={held}"
        )


@dataclass(frozen=True)
class _Part:
    """The export of one direction in the making.

    Attributes:
      place: its folder below that of the export; empty for this itself.
      job: what is to be written.
      pictures: what it is checked on.
      prover: with these.
    """

    place: str
    job: Job
    pictures: Sequence[CheckPicture]
    prover: Prover

    def below(self, name: str) -> str:
        """A path below `place` as one below the folder of the export."""
        return f"{self.place}/{name}" if self.place else name


def _make(
    parts: Sequence[_Part],
    name: str,
    formats: Sequence[Format],
    staging: Staging,
    workdir: str | os.PathLike[str],
    reporter: Reporter,
) -> Exported:
    """Writes, proves and publishes inside the staging folder, all directions or none."""
    from tfpix2pix.export.report import write_report

    expected = [
        sum(q in each.quantizations for q in parts[0].job.quantize)
        if len(each.quantizations) > 1
        else 1
        for each in formats
    ]
    # Writing one artefact takes about as long as proving it, so it counts as much.
    reporter.start(sum(1 + 2 * sum(expected) * part.prover.steps for part in parts))
    made, names, stale = [], [], []
    for part in parts:
        manifest, proof, results = _prove(part, formats, expected, staging, workdir, reporter)
        made.append((manifest, proof, results))
    extras = [
        extra
        for each in formats
        for extra in each.extras({part.place: part.job for part in parts}, name, staging.folder)
    ]
    exported = []
    for part, (manifest, proof, results) in zip(parts, made, strict=True):
        folder, output = staging.folder / part.place, part.job.output
        own = [*_moved(manifest.everything), REPORT, FILE]
        manifest.files = [*([] if part.place else extras), REPORT]
        stale += [part.below(each) for each in _merge(manifest, output)]
        write_report(folder / REPORT, part.job.contract, manifest, proof, part.pictures, results)
        write_text(folder / FILE, manifest.to_json())
        # The manifest comes last: what it names is in place when it appears.
        names += [part.below(each) for each in own]
        exported.append(Exported(output, manifest, proof, output / REPORT))
    if parts[0].place:
        before = Index.find(staging.output)
        files = dict.fromkeys([*(before.files if before else []), *extras])
        places = tuple(part.place for part in parts)
        index = Index(places, os.path.abspath(workdir), _facts(), list(files))
        write_text(staging.folder / FILE, index.to_json())
        names += [*extras, FILE]
    else:
        names[-2:-2] = extras
    staging.publish([(each, each) for each in names], stale)
    if not parts[0].place:
        return exported[0]
    first = exported[0]
    return Exported(staging.output, first.manifest, first.proof, first.report, tuple(exported))


def _prove(
    part: _Part,
    formats: Sequence[Format],
    expected: Sequence[int],
    staging: Staging,
    workdir: str | os.PathLike[str],
    reporter: Reporter,
) -> tuple[Manifest, Proof, dict[str, list[np.ndarray]]]:
    """Writes and proves one direction; returns what it is and the pictures for its page.

    Raises:
      ExportMismatch: an artefact differs too much.
    """
    job, prover, folder = part.job, part.prover, staging.folder / part.place
    folder.mkdir(exist_ok=True)
    artifacts, encoders = [], []
    for each, count in zip(formats, expected, strict=True):
        reporter.doing(f"writing {part.below(each.name)}")
        made = each.write(job, folder)
        artifacts += made
        encoder = each.write_encoder(job, folder) if made and job.contract.encodes else None
        encoders += [] if encoder is None else [encoder]
        reporter.step(f"wrote {part.below(each.name)}", count * prover.steps)
    if not artifacts:
        raise UserError(
            f"--quantize={','.join(job.quantize)}: none of the formats "
            f"{', '.join(each.name for each in formats)} knows it; add none"
        )
    for artifact in artifacts:
        for note in artifact.notes:
            reporter.say(f"note: {part.below(artifact.path)}: {note}")
    shown: dict[str, list[np.ndarray]] = {"Keras": prover.keras_results()}
    proof = prover.prove(
        artifacts,
        folder,
        reporter.step,
        lambda artifact, results: shown.update({artifact.path: results}),
        encoders,
    )
    if proof.faults:
        faults = "; ".join(part.below(fault) for fault in proof.faults)
        raise ExportMismatch(f"nothing was published: {faults}", proof)
    manifest = Manifest(
        job.contract,
        [(artifact, checksums(folder / artifact.path)) for artifact in artifacts],
        os.path.abspath(workdir),
        proof.to_dict(),
        _facts(),
        encoders=[(encoder, checksums(folder / encoder.path)) for encoder in encoders],
    )
    return manifest, proof, shown


def _moved(artifacts: Sequence[tuple[Artifact, dict[str, str]]]) -> list[str]:
    """What to move for artefacts: a version as a whole, to a name that is free; files elsewhere,
    since a folder cannot take another one's place."""
    found = []
    for artifact, sums in artifacts:
        parent = PurePosixPath(artifact.path).parent
        versioned = artifact.format == "savedmodel"
        found += [artifact.path] if versioned else [str(parent / name) for name in sums]
    return found


def _merge(manifest: Manifest, output: Path) -> list[str]:
    """Takes over what an earlier export of the same contract left; returns what has to go."""
    try:
        old = Manifest.load(output)
    except UserError:
        return []
    # The limit of pixels is the SavedModel's alone, and in its own contract.
    same = dataclasses.replace(old.contract, max_pixels=manifest.contract.max_pixels) == (
        manifest.contract
    )
    written = {artifact.path for artifact, _ in manifest.everything} | set(manifest.files)
    moved, stale = set(_moved(manifest.everything)), []
    is_encoder = {artifact.path for artifact, _ in old.encoders}
    for artifact, sums in old.everything:
        if artifact.path in written:
            stale += [name for name in _moved([(artifact, sums)]) if name not in moved]
            continue
        replaced = artifact.format == "savedmodel" and any(
            a.format == "savedmodel" for a, _ in manifest.artifacts
        )
        if same and not replaced and (output / artifact.path).exists():
            kept = manifest.encoders if artifact.path in is_encoder else manifest.artifacts
            kept.append((artifact, sums))
            for what in ("rows", "encoders"):
                if rows := [r for r in old.proof.get(what, []) if r["path"] == artifact.path]:
                    manifest.proof.setdefault(what, []).extend(rows)
        elif artifact.format != "savedmodel":
            stale += [name for name in _moved([(artifact, sums)]) if (output / name).is_file()]
    for name in old.files:
        if name not in written:
            if same:
                manifest.files.append(name)
            elif (output / name).is_file():
                stale.append(name)
    return stale


def check_pictures(
    config: Config,
    workdir: str | os.PathLike[str],
    dataset: str | PairArrays,
    check_images: str,
    count: int,
    direction: str = "",
) -> tuple[list[CheckPicture], str]:
    """What to compare on, and where it is from, in words.

    Raises:
      UserError: there is nothing.
    """
    from tfpix2pix.export.pictures import given_pictures, val_pictures

    if check_images:
        spec = spec_of(config, workdir, direction)
        found = given_pictures(check_images, spec, config.whole_size, count)
        return found, f"{len(found)} images of {check_images}"
    try:
        found, split = val_pictures(config, workdir, dataset, count, direction)
    except UserError as error:
        raise UserError(
            f"the export is checked on val images, which cannot be had: {str(error).rstrip('.')}; "
            "say with --dataset=FOLDER where the data set is now, or give --check_images=FOLDER"
        ) from None
    what = "images" if found[0].y is None else "pairs"
    return found, f"{len(found)} {split} {what} of {config.dataset or config.input_dir}"


def _examples(
    where: tuple[Config, str | os.PathLike[str], str | PairArrays], count: int, direction: str
) -> list[np.ndarray]:
    """So many inputs of the val split, for a page.

    Raises:
      UserError: they cannot be had.
    """
    from tfpix2pix.export.pictures import val_pictures

    if not count:
        return []
    try:
        found, _ = val_pictures(*where, count, direction)
    except UserError as error:
        raise UserError(
            f"--examples={count}: the run's val images cannot be had: {str(error).rstrip('.')}; "
            "say with --dataset=FOLDER where the data set is now, or leave --examples out"
        ) from None
    return [picture.x for picture in found]


# === Verify ===


@dataclass(frozen=True)
class Verified:
    """What `verify` found.

    Attributes:
      proof: what was measured; None where files are damaged, and of the export of both directions.
      damaged: files that are not what was exported, a sentence for each.
      reference: where Keras's weights came from, in words.
      both: what was found of each direction, by its folder, where there are two.
    """

    proof: Proof | None
    damaged: list[str]
    reference: str
    both: dict[str, Verified] = dataclasses.field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.faults and (self.proof is not None or bool(self.both))

    @property
    def faults(self) -> list[str]:
        """Why it is not what it should be, a sentence for each reason."""
        own = [*self.damaged, *(self.proof.faults if self.proof is not None else [])]
        return own + [
            f"{name}: {fault}" for name, each in self.both.items() for fault in each.faults
        ]


def verify(
    folder: str | os.PathLike[str],
    *,
    workdir: str = "",
    dataset: str = "",
    check_images: str = "",
    check_count: int = CHECK_COUNT,
    reporter: Reporter | None = None,
) -> Verified:
    """Repeats the proof of an export: checksums first, then every artefact beside Keras.

    Args:
      folder: the export.
      workdir: the run that it was made from, where it stands elsewhere now. Without it, or when
        it has no such checkpoint any more, Keras gets the weights from the export's SavedModel.
      dataset, check_images, check_count, reporter: as in `export_run`.

    Raises:
      UserError: it is no export, or there is nothing to compare with.
    """
    reporter, place = reporter or Reporter(), Path(folder).expanduser()
    check_published(place)
    index = Index.find(place)
    if index is not None:
        found = {
            name: verify(
                place / name,
                workdir=workdir,
                dataset=dataset,
                check_images=check_images,
                check_count=check_count,
                reporter=reporter,
            )
            for name in index.directions
        }
        return Verified(None, [], "", found)
    manifest = Manifest.load(place)
    artifacts = [artifact for artifact, _ in manifest.artifacts]
    encoders = [encoder for encoder, _ in manifest.encoders]
    for each in {artifact.format for artifact in artifacts}:
        load_format(each).check()
    damaged = _damaged(place, manifest)
    if damaged:
        return Verified(None, damaged, "")
    translator, run, reference = _reference(place, manifest, workdir)
    contract = manifest.contract
    pictures, source = check_pictures(
        contract.config, run, dataset, check_images, check_count, contract.direction
    )

    from tfpix2pix.export.proof import Prover

    prover = Prover(translator, contract, pictures, source)
    reporter.start(1 + len(artifacts) * prover.steps)
    proof = prover.prove(artifacts, place, reporter.step, encoders=encoders)
    return Verified(proof, [], reference)


def _damaged(folder: Path, manifest: Manifest) -> list[str]:
    faults = []
    for artifact, expected in manifest.everything:
        path = folder / artifact.path
        if not path.exists():
            faults.append(f"{path} is missing")
            continue
        try:
            found = checksums(path)
        except OSError as error:
            faults.append(f"{path} cannot be read ({error.strerror})")
            continue
        for name in sorted(set(expected) | set(found)):
            if expected.get(name) != found.get(name):
                what = "is missing" if name not in found else "is not what was exported"
                faults.append(f"{path.parent / name} {what}")
    return faults


def _reference(folder: Path, manifest: Manifest, workdir: str) -> tuple[Translator, str, str]:
    """The run in Keras, its workdir, and where the weights are from, in words."""
    from tfpix2pix.inference import load

    contract, run = manifest.contract, workdir or manifest.run
    try:
        translator = load(
            run, contract.step, weights=contract.weights, direction=contract.direction
        )
        if translator.checkpoint == contract.checkpoint:
            average = ", moving averages" if contract.weights == "average" else ""
            return translator, run, f"{run}, step {contract.step:,}{average}"
        reason = f"the checkpoint of step {contract.step} in {run} is another one"
    except UserError as error:
        reason = str(error)
    if workdir:
        raise UserError(f"--workdir={workdir} is not the run of this export: {reason}")
    saved = [a for a, _ in manifest.artifacts if a.format in ("savedmodel", "network")]
    if not saved:
        raise UserError(
            f"{folder} cannot be compared with Keras: {reason}; say with --workdir=RUN where the "
            "run is now"
        )
    from tfpix2pix.export.core import export_encoder, export_generator
    from tfpix2pix.export.savedmodel.format import ENCODER, saved_weights
    from tfpix2pix.inference import KerasEncoder, KerasNetwork, Translator

    path, encoder = folder / saved[0].path, None
    try:
        generator = export_generator(contract.generator, saved_weights(path), noise=True)
        if contract.encodes:
            alone = saved[0].format == "network"
            where = (path.with_name(ENCODER), "") if alone else (path, "encoder/")
            encoder = KerasEncoder(export_encoder(contract.encoder, saved_weights(*where)))
    except ValueError as error:
        raise UserError(
            f"{path} does not fit the contract of {folder} ({error}); export again"
        ) from None
    translator = Translator(
        contract.config,
        KerasNetwork(generator, contract.spec.y if contract.labels_out else None),
        contract.step,
        contract.spec,
        contract.checkpoint,
        contract.weights,
        contract.direction,
        (lambda: encoder) if encoder else None,
    )
    return translator, run, f"the weights in {path} ({reason})"


# === Small things ===


def _check_space(output: str | os.PathLike[str], weights: int, request: Request) -> None:
    """Refuses a disk that is too full before anything is written."""
    needed = _SPARE
    for name in request.formats:
        known = load_format(name).quantizations
        # What a format does not know it leaves out; the intermediate model is counted besides.
        needed += sum(int(_SHARE[q] * weights) for q in request.quantize if q in known) + weights
        if name == "web":  # as text, and what runs them
            needed += _SPARE + weights // 2
    free = shutil.disk_usage(existing_place(output)).free
    if free < needed:
        raise UserError(
            f"--output={output}: {needed / 2**20:,.0f} MiB are needed and {free / 2**20:,.0f} MiB "
            "are free; free space or give another folder"
        )


def _model_name(name: str) -> str:
    """A name that server configurations and URLs take as it is."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "tfpix2pix"


def _facts() -> dict[str, Any]:
    versions = {"tfpix2pix": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions,
    }


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(getattr(error, "message", None) or error).split())
    return text if len(text) < 200 else text[:200] + "…"
