"""The proof of an export: every artefact beside Keras, on the same x, z and latent.

Pictures: the run's val pairs (or images that were given). Each artefact is run on them one by one
and three at a time, at the size of the training, at a larger and at an odd one; the odd one is
padded and cropped as `translate` does. A SavedModel's image signature is compared besides, in
levels of the pictures' own depth. Of a run of one-hot targets the probabilities of the classes are
compared, and how many pixels have the class that they have in Keras.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.evaluation.pixels import PSNR
from tfpix2pix.export.engine import Engine
from tfpix2pix.export.formats import Artifact, load_format
from tfpix2pix.export.manifest import size_of
from tfpix2pix.export.pictures import CheckPicture, tiled
from tfpix2pix.inference import Translator, pad

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract

# The bounds of the project: float32 artefacts equal Keras to this, on y in [-1, 1].
FLOAT_TOLERANCE = 1e-4
# A quantised artefact may lose this much against the targets, dB.
QUANTIZED_LOSS = 1.5
# Latents of images, whose Lab and resizing are TensorFlow's here and other libraries' there.
STYLE_TOLERANCE = 1e-3
# Where there is no target to judge by, what is asked of the PSNR to Keras's pictures, dB.
LEAST_WITHOUT_TARGET = {"float16": 40.0, "dynamic": 20.0, "int8": 20.0}
# Of one-hot targets: what the probabilities may differ by, whose logits may be of tens; the share
# of the pixels that must have Keras's class; and what a quantised artefact may lose of the share of
# those that are right. A class flips where two are about as likely, which int8 moves.
PROBABILITY_TOLERANCE = 1e-3
LEAST_EQUAL = {"none": 0.999, "float16": 0.99, "dynamic": 0.8, "int8": 0.8}
QUANTIZED_LOSS_OF_ACCURACY = 0.02
_LARGEST_BATCH = 3
_TIMED_RUNS, _TIMED_SECONDS = 9, 3.0

OnCase = Callable[[str], None]


@dataclass
class Row:
    """What was measured of one artefact.

    Attributes:
      path, format, quantize: of the artefact.
      engine: what ran it.
      max_difference, mean_difference: to Keras, of y in [-1, 1] or of probabilities, over every
        case; of class numbers the share of the pixels that have another one.
      levels: largest difference of the image signature to Keras's picture, in levels of the
        pictures' depth; None where the format has no such signature.
      psnr_keras: PSNR to Keras's 8-bit pictures, dB (100 for equal ones); None of classes.
      psnr_target: PSNR to the targets, dB; None without targets.
      psnr_keras_target: the same of Keras's own pictures.
      equal: of classes: the share of the pixels that have Keras's, of the case that has the fewest,
        pictures among them.
      accuracy: of classes: the share of the targets' pixels that have theirs (void not counted);
        None without targets.
      accuracy_keras: the same of Keras's own.
      latency: median seconds for one picture of the native size.
      bytes: of the artefact.
      cases: largest difference by case.
      faults: why it must not be published; empty if it may.
    """

    path: str
    format: str
    quantize: str
    engine: str = ""
    max_difference: float = math.nan
    mean_difference: float = math.nan
    levels: float | None = None
    psnr_keras: float | None = None
    psnr_target: float | None = None
    psnr_keras_target: float | None = None
    equal: float | None = None
    accuracy: float | None = None
    accuracy_keras: float | None = None
    latency: float = math.nan
    bytes: int = 0
    cases: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass
class EncoderRow:
    """What was measured of an encoder.

    Attributes:
      path, format: of its artefact; of that of the generator where it is inside.
      engine: what ran it.
      max_difference: largest difference to Keras's latents, of numbers about as large as standard
        normal ones.
      style_difference: the same of the signature that takes images; None where there is none.
      bytes: of the artefact.
      faults: why it must not be published; empty if it may.
    """

    path: str
    format: str
    engine: str = ""
    max_difference: float = math.nan
    style_difference: float | None = None
    bytes: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Proof:
    """What was measured of an export.

    Attributes:
      rows: one for each artefact.
      keras_latency: median seconds of Keras for one picture of the native size.
      psnr_keras_target: PSNR of Keras's pictures to the targets, dB; None without targets.
      pictures: how many, and from where, in words.
      native: height and width of the native size.
      accuracy_keras: of classes: the share of the targets' pixels that Keras finds.
      encoders: one for each format, where the export has an encoder.
    """

    rows: list[Row]
    keras_latency: float
    psnr_keras_target: float | None
    pictures: str
    native: tuple[int, int]
    accuracy_keras: float | None = None
    encoders: list[EncoderRow] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Why the export must not be published, a sentence for each reason; empty if it may."""
        rows: list[Row | EncoderRow] = [*self.rows, *self.encoders]
        return [f"{row.path}: {fault}" for row in rows for fault in row.faults]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        values = dataclasses.asdict(self)
        return values if self.encoders else {k: v for k, v in values.items() if k != "encoders"}


@dataclass(frozen=True)
class _Case:
    """Inputs of one size, run in batches of one number."""

    name: str
    x: np.ndarray
    seeds: list[int]
    batch: int

    @property
    def inputs(self) -> str:
        """What the cases of the same inputs have in common."""
        return self.name.rsplit(",", 1)[0]


class Prover:
    """Compares artefacts with Keras.

    Args:
      translator: the run, in Keras.
      contract: what the artefacts promise.
      pictures: what to compare on, at least one.
      source: where they are from, in words.
    """

    def __init__(
        self,
        translator: Translator,
        contract: Contract,
        pictures: Sequence[CheckPicture],
        source: str,
    ) -> None:
        self.translator, self.contract, self.source = translator, contract, source
        self.pictures = list(pictures)
        self._labels = contract.spec.y if contract.labels_out else None
        height, width = contract.image_size or contract.config.whole_size
        self.native = height, width
        self._cases = self._make_cases()
        # What is the same for every artefact, made once.
        self._expected: dict[str, np.ndarray] = {}
        self._pictures: dict[str, np.ndarray] = {}
        self._noise: dict[tuple[int, ...], np.ndarray] = {}
        self._of_keras: list[np.ndarray] | None = None

    # === What is compared ===

    def _make_cases(self) -> list[_Case]:
        few = self.pictures[:_LARGEST_BATCH]
        height, width = self.native
        sizes = {"native": self.native}
        if self.contract.image_size is None:
            sizes["larger"] = (2 * height, 2 * width)
            sizes["odd"] = (height + height // 4 + 1, width - width // 4 + 1)
        cases = []
        for name, size in sizes.items():
            x = np.stack([tiled(picture.x, *size) for picture in few])
            # Three of them whatever there is: a batch must not mix its pictures.
            x = np.concatenate([x] * _LARGEST_BATCH)[:_LARGEST_BATCH]
            seeds = list(range(_LARGEST_BATCH))
            label = f"{name} {size[1]}x{size[0]}"
            cases += [
                _Case(f"{label}, batch {batch}", x, seeds, batch) for batch in (1, _LARGEST_BATCH)
            ]
        return cases

    @property
    def steps(self) -> int:
        """How often `prove` calls ``on_case`` for each artefact."""
        return len(self._cases) + 1

    def _run(self, engine: Any, x: np.ndarray, seeds: list[int], batch: int) -> np.ndarray:
        """y of every x, padded and cropped as `translate` does, in batches of that number."""
        height, width = x.shape[1:3]
        padded = np.stack([pad(image, self.contract.size_multiple) for image in x])
        results = []
        for start in range(0, len(x), batch):
            part = np.ascontiguousarray(padded[start : start + batch], np.float32)
            drawn = self._drawn(engine, part, seeds[start : start + batch])
            results.append(np.asarray(engine(part, *drawn)))
        return np.concatenate(results)[:, :height, :width]

    def _drawn(self, engine: Any, x: np.ndarray, seeds: list[int]) -> tuple[np.ndarray | None, ...]:
        """What an engine is called with behind x: the same of the same seeds for all of them."""
        z = self._z(x, seeds) if engine.takes_noise else None
        return z, self.translator.latent(seeds) if engine.latent_size else None

    def _z(self, x: np.ndarray, seeds: list[int]) -> np.ndarray:
        # Image by image: z is a function of its size and its seed alone.
        keys = [(*x.shape[1:3], seed) for seed in seeds]
        for key in keys:
            if key not in self._noise:
                z = self.translator.noise(x[:1], [key[-1]], not self.contract.noise)
                self._noise[key] = z
        return np.concatenate([self._noise[key] for key in keys])

    def _keras(self, case: _Case) -> np.ndarray:
        # One by one: what a picture is must not depend on its batch, in Keras least of all.
        if case.inputs not in self._expected:
            self._expected[case.inputs] = self._run(self.translator.network, case.x, case.seeds, 1)
        return self._expected[case.inputs]

    def keras_results(self) -> list[np.ndarray]:
        """`native_results` of Keras."""
        if self._of_keras is None:
            self._of_keras = self.native_results(self.translator.network)
        return self._of_keras

    def native_results(self, engine: Any) -> list[np.ndarray]:
        """y of every picture at the native size, one by one; picture i has the seed i."""
        results = []
        for seed, picture in enumerate(self.pictures):
            x = tiled(picture.x, *self.native)[None]
            results.append(self._run(engine, x, [seed], 1)[0])
        return results

    # === The comparison ===

    def prove(
        self,
        artifacts: Sequence[Artifact],
        folder: Path,
        on_case: OnCase = lambda what: None,
        on_results: Callable[[Artifact, list[np.ndarray]], None] = lambda a, y: None,
        encoders: Sequence[Artifact] = (),
    ) -> Proof:
        """Runs every artefact beside Keras.

        Args:
          artifacts: what to compare, their paths below `folder`.
          folder: where they are.
          on_case: told what was just compared, ``steps`` times for each artefact and once before.
          on_results: given each artefact's y of every picture at the native size.
          encoders: those that are artefacts of their own.
        """
        keras = self.keras_results()
        target, accuracy = self._target_psnr(keras), self._accuracy(keras)
        latency = self._latency(self.translator.network)
        on_case("Keras")
        rows = []
        for artifact in artifacts:
            path = folder / artifact.path
            row = Row(artifact.path, artifact.format, artifact.quantize, bytes=size_of(path))
            rows.append(row)
            engine = load_format(artifact.format).open(path)
            row.engine = engine.name
            self._compare(engine, row, on_case)
            results = self.native_results(engine)
            on_results(artifact, results)
            row.psnr_keras = self._psnr_between(keras, results)
            row.psnr_target, row.psnr_keras_target = self._target_psnr(results), target
            row.accuracy, row.accuracy_keras = self._accuracy(results), accuracy
            row.latency = self._latency(engine)
            on_case(artifact.path)
            row.faults = self._faults(row)
        proof = Proof(rows, latency, target, self.source, self.native, accuracy)
        if self.contract.encodes and self.translator.encodes:
            inside = [artifact for artifact in artifacts if artifact.format == "savedmodel"]
            for artifact in [*inside, *encoders]:
                proof.encoders.append(self._prove_encoder(artifact, folder / artifact.path, keras))
        return proof

    def _prove_encoder(
        self, artifact: Artifact, path: Path, keras: Sequence[np.ndarray]
    ) -> EncoderRow:
        """Compares the latents of the targets, and of Keras's pictures where there are none."""
        row = EncoderRow(artifact.path, artifact.format, bytes=size_of(path))
        encoder: Any = load_format(artifact.format).open_encoder(path)
        row.engine = encoder.name
        pairs = list(zip(self.pictures, keras, strict=True))[:_LARGEST_BATCH]
        seen = [(p.x, made if p.y is None else p.y) for p, made in pairs]
        size = self.contract.encoder_shape[:2]
        y = np.stack([tiled(image, *size) for _, image in seen]).astype(np.float32)
        row.max_difference = _relative(encoder(y), self.translator.encoder(y))
        if not row.max_difference <= FLOAT_TOLERANCE:
            row.faults.append(
                f"its latents differ from Keras's by up to {row.max_difference:.2g}, where "
                f"{FLOAT_TOLERANCE:g} is allowed"
            )
        if encoder.has_pictures:
            # From images as files have them, and of another size than the encoder takes.
            x, image = (tiled(of, size[0] + 3, size[1] + 5) for of in seen[0])
            picture = self.contract.spec.result(x, np.clip(image, -1, 1))
            found = encoder.style(picture[None])[0]
            row.style_difference = _relative(found, self.translator.style(picture))
            if not row.style_difference <= STYLE_TOLERANCE:
                row.faults.append(
                    f"the latent of its signature 'style' differs from Keras's by "
                    f"{row.style_difference:.2g}, where {STYLE_TOLERANCE:g} is allowed"
                )
        return row

    def _compare(self, engine: Engine, row: Row, on_case: OnCase) -> None:
        sums, count, equal = 0.0, 0, []
        for case in self._cases:
            found = self._run(engine, case.x, case.seeds, case.batch)
            expected = self._keras(case)
            if self._labels is not None:
                same = self._labels.classes(found) == self._labels.classes(expected)
                equal.append(float(same.mean()))
            if self.contract.argmax:
                difference = ~same
                row.cases[case.name] = 1 - equal[-1]
            else:
                difference = np.abs(found - expected)
                row.cases[case.name] = float(difference.max())
            sums, count = sums + float(difference.sum(dtype=np.float64)), count + difference.size
            if engine.has_pictures and self._labels is not None:
                made, wanted = self._images(engine, case)
                equal.append(float((made == wanted).all(axis=-1).mean()))
            elif engine.has_pictures:
                worst = self._image_levels(engine, case)
                row.levels = worst if row.levels is None else max(row.levels, worst)
            on_case(f"{row.path}: {case.name}")
        # Not the built-in max, which passes over "not a number".
        row.max_difference = float(np.max(list(row.cases.values())))
        row.mean_difference = sums / count
        row.equal = min(equal, default=None)

    def _image_levels(self, engine: Any, case: _Case) -> float:
        """Largest difference of the image signature to Keras's pictures, in levels."""
        found, expected = self._images(engine, case)
        return float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())

    def _images(self, engine: Any, case: _Case) -> tuple[np.ndarray, np.ndarray]:
        """The pictures of the image signature, and Keras's."""
        spec = self.contract.spec
        images = np.stack([spec.input_file(x) for x in case.x])
        seeds = case.seeds if self.contract.seeded else None
        found = np.concatenate(
            [
                engine.translate(
                    images[i : i + case.batch], None if seeds is None else seeds[i : i + case.batch]
                )
                for i in range(0, len(images), case.batch)
            ]
        )
        return found, self._keras_pictures(case, images)

    def _keras_pictures(self, case: _Case, images: np.ndarray) -> np.ndarray:
        """Keras's of a case, whose files' images are these."""
        if case.inputs not in self._pictures:
            # From the files, like the signature: Lab and ranges are rounded in them.
            from tfpix2pix.data import Decoded

            spec = self.contract.spec
            x = np.stack([spec.read_input(Decoded(image, False, None, ())) for image in images])
            y = self._run(self.translator.network, x, case.seeds, 1)
            made = np.stack([spec.result(*pair) for pair in zip(x, y, strict=True)])
            self._pictures[case.inputs] = made
        return self._pictures[case.inputs]

    def _faults(self, row: Row) -> list[str]:
        if not math.isfinite(row.max_difference):
            return ["its result holds what is not a number"]
        if row.equal is not None:
            return self._faults_of_labels(row, row.equal)
        if row.quantize == "none":
            faults = []
            if row.max_difference > FLOAT_TOLERANCE:
                worst = max(row.cases, key=lambda name: row.cases[name])
                faults.append(
                    f"differs from Keras by up to {row.max_difference:.2g} ({worst}), where "
                    f"{FLOAT_TOLERANCE:g} is allowed"
                )
            allowed = self.level_tolerance
            if row.levels is not None and row.levels > allowed:
                faults.append(
                    f"its pictures differ from Keras's by {row.levels:g} levels, where "
                    f"{allowed:g} is allowed"
                )
            return faults
        if row.psnr_target is not None and row.psnr_keras_target is not None:
            loss = row.psnr_keras_target - row.psnr_target
            if loss > QUANTIZED_LOSS:
                return [
                    f"loses {loss:.2f} dB of PSNR against the targets, where {QUANTIZED_LOSS} is "
                    "allowed"
                ]
            return []
        least = LEAST_WITHOUT_TARGET[row.quantize]
        assert row.psnr_keras is not None, "pictures have one"
        if row.psnr_keras < least:
            return [f"its PSNR against Keras is {row.psnr_keras:.1f} dB, where {least:g} is asked"]
        return []

    def _faults_of_labels(self, row: Row, equal: float) -> list[str]:
        faults, least = [], LEAST_EQUAL[row.quantize]
        if equal < least:
            faults.append(
                f"{equal:.2%} of its pixels have the class that Keras finds, where {least:.1%} is "
                "asked"
            )
        exact = row.quantize == "none" and not self.contract.argmax
        if exact and row.max_difference > PROBABILITY_TOLERANCE:
            faults.append(
                f"its probabilities differ from Keras's by up to {row.max_difference:.2g}, where "
                f"{PROBABILITY_TOLERANCE:g} is allowed"
            )
        if row.accuracy is not None and row.accuracy_keras is not None:
            loss = row.accuracy_keras - row.accuracy
            if loss > QUANTIZED_LOSS_OF_ACCURACY:
                faults.append(
                    f"{loss:.2%} fewer of the targets' pixels are right, where "
                    f"{QUANTIZED_LOSS_OF_ACCURACY:.0%} is allowed"
                )
        return faults

    @property
    def level_tolerance(self) -> float:
        """How far the image signature may be off, in levels of the pictures' depth."""
        side = self.contract.spec.result_image
        if side.dtype == "uint8":
            return 1.0
        scaled = FLOAT_TOLERANCE * (side.high - side.low) / 2
        return scaled if side.dtype == "float32" else math.ceil(scaled)

    # === Measures ===

    def _levels(self, picture: CheckPicture, y: np.ndarray) -> np.ndarray:
        # What is not a number is a fault of its own, and no picture.
        y = np.clip(np.nan_to_num(y), -1, 1)
        return self.contract.spec.levels(tiled(picture.x, *self.native), y)

    def _psnr_between(self, one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float | None:
        """Mean PSNR of two artefacts' pictures; None of classes."""
        if self._labels is not None:
            return None
        return float(
            np.mean(
                [
                    _psnr(self._levels(p, y), self._levels(p, z))
                    for p, y, z in zip(self.pictures, one, other, strict=True)
                ]
            )
        )

    def _accuracy(self, results: Sequence[np.ndarray]) -> float | None:
        """The share of the targets' pixels whose class is found; None without targets."""
        right = counted = 0
        for picture, y in zip(self.pictures, results, strict=True):
            if self._labels is None or picture.y is None:
                continue
            target = tiled(picture.y, *self.native)
            classes = self._labels.classes(target)
            counts = (target.max(axis=-1) > 0) & ~self._labels.unlearned[classes]
            right += int((counts & (self._labels.classes(y) == classes)).sum())
            counted += int(counts.sum())
        return right / counted if counted else None

    def _target_psnr(self, results: Sequence[np.ndarray]) -> float | None:
        if self._labels is not None:
            return None
        spec = self.contract.spec
        values = [
            _psnr(
                spec.levels(tiled(p.x, *self.native), tiled(p.y, *self.native)), self._levels(p, y)
            )
            for p, y in zip(self.pictures, results, strict=True)
            if p.y is not None
        ]
        return float(np.mean(values)) if values else None

    def _latency(self, engine: Any) -> float:
        """Median seconds of one picture of the native size, after one that is not counted."""
        x = tiled(self.pictures[0].x, *self.native)[None].astype(np.float32)
        drawn = self._drawn(engine, x, [0])
        engine(x, *drawn)
        times: list[float] = []
        start = time.perf_counter()
        while len(times) < _TIMED_RUNS:
            before = time.perf_counter()
            engine(x, *drawn)
            times.append(time.perf_counter() - before)
            if time.perf_counter() - start > _TIMED_SECONDS and len(times) >= _LARGEST_BATCH:
                break
        return float(np.median(times))


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, of numbers beyond 1 as a share of the largest of them."""
    largest = max(1.0, float(np.abs(expected).max()))
    return float(np.abs(found - expected).max()) / largest


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(PSNR().per_pair(one[None], other[None])[0])
