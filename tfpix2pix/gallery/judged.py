"""What one run makes of a split, with the scores of every picture: made once, and kept in the
run's folder for as long as nothing that it depends on is another.

::

    RUN/gallery/KEY/facts.json                  names, scores, what they are of
    RUN/gallery/KEY/input|output|target/00000.png

The key is a hash of checkpoint, config, data and settings.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_json
from tfpix2pix.base.grid import encode_png
from tfpix2pix.config.dataset import with_absolute_paths
from tfpix2pix.evaluation.base import Evaluator, beside_all
from tfpix2pix.evaluation.registry import choose_evaluators
from tfpix2pix.evaluation.results import finite_or_none
from tfpix2pix.evaluation.subjects import SPLITS, ModelSubject, Settings, source_of
from tfpix2pix.inference import Model, checkpoint_of
from tfpix2pix.inference.translator import weights_held

if TYPE_CHECKING:
    from tfpix2pix.evaluation.ranking import Strip
    from tfpix2pix.evaluation.results import Evaluation
    from tfpix2pix.scorer import Scorer

INPUT, OUTPUT, TARGET = "input", "output", "target"
"""Folders of pictures."""
FOLDER, FACTS = "gallery", "facts.json"
FORMAT = 1
KEPT = 4
"""Galleries that stay in a run's folder."""
_PREFERRED = ("val", "test", "train")
_ABANDONED = 24 * 3600.0  # seconds after which what was not finished is nobody's

Progress = Callable[[int, int], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class How:
    """What of a run is shown.

    Attributes:
      split: which pairs; empty for val, or where there are none test, or train.
      size, limit, seed, deterministic: as `tfpix2pix.evaluation.subjects.Settings` has them.
      checkpoint, weights, direction: as `tfpix2pix.inference.load` takes them.
      dataset: where the data set is, if it was moved; empty for the run's own.
    """

    split: str = ""
    size: Any = 0
    limit: int = 0
    seed: int = 0
    deterministic: bool = False
    checkpoint: str | int = "latest"
    weights: str = "average"
    direction: str = ""
    dataset: str = ""

    @property
    def given(self) -> dict[str, Any]:
        """The data flags, as `tfpix2pix.evaluation.subjects.ModelSubject` takes them."""
        return with_absolute_paths({"dataset": self.dataset} if self.dataset else {})


@dataclass(frozen=True)
class Judged:
    """Pictures and scores that were made.

    Attributes:
      folder: of the pictures.
      facts: ``names``, ``scores`` (number -> one value for each name, None where it has none),
        ``numbers`` and ``errors`` (over all), ``measures``, and what they are of.
    """

    folder: Path
    facts: dict[str, Any]


def file_name(index: int) -> str:
    """Of the picture of a pair, in each of the folders."""
    return f"{index:05d}.png"


class JudgedRun:
    """A run, and its pictures of a split.

    Args:
      workdir: of the run.
      how: what of it is shown.
      scorer: for the measures that need one.
      scorer_folder: where that is, for messages.
      say: told in a sentence what should be known.

    Raises:
      UserError: no run, no checkpoint, no such pairs; what does not fit them.
    """

    def __init__(
        self,
        workdir: str,
        how: How,
        scorer: Scorer | None = None,
        scorer_folder: str = "",
        say: Say = lambda text: None,
    ) -> None:
        self.workdir, self.how, self.say = workdir, how, say
        self.model = Model.of_run(workdir, str(how.checkpoint), how.weights, how.direction)
        self.note = ""
        settings = Settings(
            how.split or SPLITS[0], how.size, how.limit, 1, how.seed, how.deterministic
        )
        if not how.split:
            settings = dataclasses.replace(settings, split=self._first_split())
        self.subject = ModelSubject(self.model, how.given, settings)
        self.paired = self.subject.source.paired(settings.split)
        self.checkpoint = checkpoint_of(workdir, how.checkpoint, say)
        self._scorer, self._scorer_folder = scorer, scorer_folder
        self.evaluators()  # refuses what does not fit before anything is made

    @property
    def split(self) -> str:
        return self.subject.settings.split

    @property
    def count(self) -> int:
        """How many pictures there are."""
        inputs, _ = self.subject.source.sides(self.split)
        return min(self.how.limit or inputs, inputs)

    def names(self) -> list[str]:
        """Of the inputs."""
        source = self.subject.source
        return [source.pair_name(self.split, i) for i in range(self.count)]

    def evaluators(self) -> list[Evaluator]:
        """The measures that single pictures of this kind have."""
        kind = self.subject.kind(self._scorer)
        chosen = choose_evaluators(kind, self.subject.size, scorer_folder=self._scorer_folder)
        return [evaluator for evaluator in chosen if evaluator.scores_each]

    # === What was made before ===

    @property
    def key(self) -> str:
        """Another one wherever anything is another that pictures or scores depend on."""
        return self._key(self.checkpoint["sha256"])

    def _key(self, checkpoint: str) -> str:
        facts = [
            FORMAT,
            checkpoint,
            self.model.config.to_json(),
            weights_held(self.model.config, self.how.weights),
            self.model.direction,
            self.subject.source.cache_key(self.split),
            [self.split, self.count, self.how.seed, self.how.deterministic],
            self.subject.size.value,
            None if self._scorer is None else self._scorer.identity,
            [evaluator.name for evaluator in self.evaluators()],
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def kept(self) -> Judged | None:
        """What an earlier call made of the same; None where there is nothing, or not all of it."""
        folder = Path(self.workdir, FOLDER, self.key)
        try:
            facts = json.loads((folder / FACTS).read_text("utf-8"))
            sides = (INPUT, OUTPUT, *((TARGET,) if facts["paired"] else ()))
            for side in sides:
                sizes = {e.name: e.stat().st_size for e in os.scandir(folder / side)}
                if not all(sizes.get(file_name(i)) for i in range(len(facts["names"]))):
                    return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(folder)  # it was of use
        return Judged(folder, facts)

    # === Making it ===

    def make(self, otherwise: Path, progress: Progress) -> Judged:
        """Makes the pictures and scores them.

        Args:
          otherwise: where they are put if the run's folder cannot be written to.
          progress: told how many pictures of how many are made.

        Raises:
          UserError: as `tfpix2pix evaluate`.
          OSError: they cannot be written.
        """
        root = Path(self.workdir, FOLDER)
        try:
            root.mkdir(exist_ok=True)
            hidden = _hidden(root)
        except OSError:
            root = otherwise
            hidden = _hidden(root)
            self.say(
                f"note: {self.workdir} cannot be written to, so its pictures are made anew each "
                "time"
            )
        try:
            evaluation, evaluators = self._write(hidden, progress)
            facts = self._facts(evaluation, evaluators)
            write_json(hidden / FACTS, facts)
            # Training may have gone on meanwhile: they are of the checkpoint that was loaded.
            folder = root / self._key(evaluation.facts["model"]["checkpoint"])
            if folder.exists():
                shutil.rmtree(folder)
            hidden.rename(folder)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        _prune(root)
        return Judged(folder, facts)

    def _write(self, folder: Path, progress: Progress) -> tuple[Evaluation, list[Evaluator]]:
        done = 0
        for side in (INPUT, OUTPUT, *((TARGET,) if self.paired else ())):
            (folder / side).mkdir()

        def write(strip: Strip) -> None:
            nonlocal done
            pictures = {INPUT: strip.x, OUTPUT: strip.fake, TARGET: strip.y}
            for side, picture in pictures.items():
                if picture is not None:
                    (folder / side / file_name(done)).write_bytes(encode_png(picture))
            done += 1

        evaluators = self.evaluators()
        return self.subject.evaluate(evaluators, progress, self.say, write), evaluators

    def _facts(self, evaluation: Evaluation, evaluators: list[Evaluator]) -> dict[str, Any]:
        scores: dict[str, list[float | None]] = {}
        measures = []
        for evaluator in evaluators:
            statistics = evaluator.statistics
            if not statistics:
                continue
            values = evaluator.of_each(statistics if self.paired else beside_all(statistics))
            for number in evaluator.numbers_of:
                of_truth = "truth" in number.name.split("_")
                if of_truth and not self.paired:
                    continue
                measures.append({**dataclasses.asdict(number), "truth": of_truth})
                scores[number.name] = [finite_or_none(v) for v in values[number.name].tolist()]
        found = evaluation.facts
        return {
            "format": FORMAT,
            "names": list(evaluation.names),
            "paired": self.paired,
            "size": list(self.subject.size),
            "step": found["model"]["step"],
            "weights": found["weights"],
            "seed": found["seed"],
            "deterministic": found["deterministic"],
            "targets_sha256": found["targets_sha256"],
            "left_out": found.get("left_out"),
            "measures": measures,
            "scores": scores,
            "numbers": {name: finite_or_none(evaluation.numbers[name]) for name in scores},
            "errors": {name: finite_or_none(evaluation.errors[name]) for name in scores},
        }

    def _first_split(self) -> str:
        source = source_of(self.model, self.how.given)
        split = next((split for split in _PREFERRED if source.count(split)), SPLITS[0])
        if split != _PREFERRED[0]:
            self.note = f"The data set has no val split: these are its {split} {source.unit}s."
        return split


def _hidden(root: Path) -> Path:
    """A new folder for what is not finished; those that were left unfinished long ago are gone."""
    for entry in _unfinished(root):
        with contextlib.suppress(OSError):
            if time.time() - entry.stat().st_mtime > _ABANDONED:
                shutil.rmtree(entry, ignore_errors=True)
    folder = root / f".{secrets.token_hex(4)}.tmp"
    folder.mkdir()
    return folder


def _unfinished(root: Path) -> Iterator[Path]:
    return root.glob(".????????.tmp")


def _prune(root: Path) -> None:
    """Removes the galleries that were of no use for longest."""
    there = [entry for entry in root.iterdir() if (entry / FACTS).is_file()]
    there = [entry for entry in there if not entry.name.startswith(".")]
    there.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in there[KEPT:]:
        shutil.rmtree(entry, ignore_errors=True)


def refuse_unlike(a: JudgedRun, b: JudgedRun) -> None:
    """Raises UserError where the pictures of two runs do not stand beside each other."""
    both = f"--workdir={a.workdir} and --workdir={b.workdir}"
    if a.paired != b.paired:
        raise UserError(
            f"{both} do not go together: one has pairs and the other images without pairs; give "
            "runs of one data set"
        )
    if a.subject.size != b.subject.size:
        raise UserError(
            f"{both} are of different sizes ({a.subject.size.shown} and {b.subject.size.shown}); "
            f"give one for both, such as --size={a.subject.size}"
        )
    if a.split != b.split:
        raise UserError(
            f"{both} have no split of one name ({a.split} and {b.split}); give runs of one data set"
        )
    names = [run.names() for run in (a, b)]
    if len(names[0]) != len(names[1]):
        raise UserError(
            f"{both} have different {a.split} splits ({len(names[0]):,} and {len(names[1]):,} "
            "images); give runs of one data set"
        )
    unlike = next(((x, y) for x, y in zip(*names, strict=True) if x != y), None)
    if unlike:
        raise UserError(
            f"{both} have different {a.split} splits (one has {unlike[0]} where the other has "
            f"{unlike[1]}); give runs of one data set"
        )
    # A look at the first images, before minutes are spent on all of them.
    first = [run.subject.source.load(run.split, 0) for run in (a, b)]
    for one, other in zip(*first, strict=True):
        # Another encoding of the same image has another form.
        if (one.shape, one.dtype) == (other.shape, other.dtype) and (one != other).any():
            raise UserError(other_images(a, b))


def other_images(a: JudgedRun, b: JudgedRun) -> str:
    """Why two runs whose images only have the same names are refused."""
    drawn = [run.model.config.dataset == "sample" for run in (a, b)]
    why = " (the sample set is another one for every --seed of a run)" if all(drawn) else ""
    return (
        f"--workdir={a.workdir} and --workdir={b.workdir} have different {a.split} images of the "
        f"same names{why}; give runs of one data set and direction"
    )
