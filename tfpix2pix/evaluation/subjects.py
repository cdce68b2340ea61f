"""What an evaluation scores: a model or a folder of pictures, with the pairs for it.

Making one of these refuses whatever does not fit, before TensorFlow is imported where that can be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.config.dataset import missing_place, open_source
from tfpix2pix.data import TurnedSource
from tfpix2pix.evaluation.data import data_config, open_labels, open_pairs, predictions_config
from tfpix2pix.evaluation.predictions import Predictions, size_of_first
from tfpix2pix.evaluation.registry import Kind
from tfpix2pix.evaluation.session import (
    Progress,
    check_spec,
    check_split,
    evaluate_model,
    evaluate_predictions,
)

if TYPE_CHECKING:
    from tfpix2pix.config import Config
    from tfpix2pix.data import PairArrays, PairSource, PairSpec
    from tfpix2pix.evaluation.base import Evaluator
    from tfpix2pix.evaluation.fcn import Scorer
    from tfpix2pix.evaluation.pictures import Maker
    from tfpix2pix.evaluation.ranking import Strip
    from tfpix2pix.evaluation.results import Evaluation

SPLITS = ("train", "val", "test")
SMALLEST, LARGEST = 16, 4096  # pixels; SSIM's window has 11

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How an evaluation is made; see `evaluate_model`.

    Attributes:
      split: which pairs.
      size: that all pictures are resized to: a side, text such as 256x512 (height x width), or
        (height, width); 0 for the model's or their own.
      limit: only the first pairs; 0 for all.
      samples, seed, deterministic: how a model's pictures are made; nothing for predictions.
      rank_by: the number by which best and worst are chosen; None for l1 or the first there is.

    Raises:
      UserError: a value out of range.
    """

    split: str = "val"
    size: Size | int = 0
    limit: int = 0
    samples: int = 1
    seed: int = 0
    deterministic: bool = False
    rank_by: str | None = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise UserError(f"--split={self.split}: expected {', '.join(SPLITS)}")
        try:
            object.__setattr__(self, "size", Size.of(self.size))
        except ValueError as error:
            raise UserError(f"--size={self.size}: {error}") from None
        if self.wanted and not SMALLEST <= self.wanted.smaller <= self.wanted.larger <= LARGEST:
            raise UserError(f"--size={self.size}: expected {SMALLEST} to {LARGEST} pixels")
        if self.limit < 0:
            raise UserError(f"--limit={self.limit}: expected a number of pairs, or 0 for all")
        if self.samples < 1:
            raise UserError(f"--samples={self.samples}: expected 1 or more")
        last = self.seed + self.samples - 1
        if not -(2**63) <= self.seed <= last < 2**63:
            raise UserError(f"--seed={self.seed} does not fit in 64 bits; give a smaller number")

    @property
    def wanted(self) -> Size | None:
        """The size, where one was given."""
        return None if self.size == 0 else Size.of(self.size)


class Model(Protocol):
    """A model that is loaded when it is needed, as a `tfpix2pix.inference.Model` is."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def config(self) -> Config: ...

    @property
    def spec(self) -> PairSpec: ...

    @property
    def direction(self) -> str: ...

    @property
    def open(self) -> Callable[[Say], Maker]: ...

    @property
    def open_back(self) -> Callable[[Say], Maker] | None: ...


class ModelSubject:
    """A run, an export or a server, and the pairs that it is scored on.

    Args:
      model: it; in which direction decides which images are its inputs.
      given: fields of `tfpix2pix.evaluation.data.FIELDS` in which the data set is not the run's.
      settings: how.
      arrays: the pairs, where the data set is arrays.

    Raises:
      UserError: there are no such pairs, or they are not what the model was trained on.
    """

    def __init__(
        self,
        model: Model,
        given: Mapping[str, Any],
        settings: Settings,
        arrays: PairArrays | None = None,
    ) -> None:
        self.model, self.settings, self.spec = model, settings, model.spec
        self.source = source_of(model, given, arrays)
        check_split(self.source, settings.split)
        check_spec(model.spec, self.source)
        self.size = settings.wanted or model.config.whole_size
        self.labels: PairSource | None = None
        if given.get("label_palette"):
            self.labels = open_labels(data_config(model.config, given), given, arrays)
            _resolve(self.labels)
            if _is_turned(model):
                self.labels = TurnedSource(self.labels)

    def kind(self, scorer: Scorer | None) -> Kind:
        """What of it decides which measures fit."""
        paired = self.source.paired(self.settings.split)
        kind = Kind.of(self.spec, self.settings.samples, scorer, paired)
        if self.labels is None:
            return kind
        spec = self.labels.spec
        palette = spec.x.palette or spec.y.palette
        return dataclasses.replace(kind, palette=palette, labels_out=spec.label_side == "target")

    def evaluate(
        self,
        evaluators: Sequence[Evaluator],
        progress: Progress,
        say: Say,
        each: Callable[[Strip], None] | None = None,
    ) -> Evaluation:
        """Scores it; `say` is told with which weights, `each` every pair, see `evaluate_model`."""
        model, settings = self.model, self.settings
        translator = model.open(say)
        paired = self.source.paired(settings.split)
        drawn = translator.drawn_by(settings.seed, settings.deterministic)
        say(f"{model.title} at step {translator.step:,}, {drawn}")
        return evaluate_model(
            translator,
            self.source,
            evaluators,
            split=settings.split,
            size=self.size,
            samples=settings.samples,
            limit=settings.limit,
            seed=settings.seed,
            deterministic=settings.deterministic,
            labels=self.labels,
            rank_by=settings.rank_by,
            back=None if paired or each or model.open_back is None else model.open_back(say),
            each=each,
            model={
                "path": model.name,
                **({"direction": model.direction} if len(model.config.directions) > 1 else {}),
            },
            progress=progress,
        )


def source_of(
    model: Model, given: Mapping[str, Any], arrays: PairArrays | None = None
) -> PairSource:
    """The pairs that a model is scored on; see `ModelSubject`.

    Raises:
      UserError: there are none.
    """
    config = data_config(model.config, given)
    gone = missing_place(model.config, given)
    if gone:
        raise UserError(
            f"the pairs of the run are not in {gone} any more; say with --dataset=FOLDER, or "
            "--input_dir and --target_dir, where they are now"
        )
    turned = _is_turned(model)
    source = open_pairs(config, model.spec.turned() if turned else model.spec, arrays)
    return TurnedSource(source) if turned else source


def _is_turned(model: Model) -> bool:
    """Whether its inputs are the targets of the run's data set."""
    return model.direction != model.config.direction


class FolderSubject:
    """A folder of pictures, and the pairs that they are predictions of.

    Args:
      folder: of a picture for each pair.
      given: fields of `tfpix2pix.evaluation.data.FIELDS`: which pairs.
      settings: how.
      arrays: the pairs, where the data set is arrays.

    Raises:
      UserError: there are no such pairs, or the pictures are not theirs.
    """

    def __init__(
        self,
        folder: str,
        given: Mapping[str, Any],
        settings: Settings,
        arrays: PairArrays | None = None,
    ) -> None:
        self.folder, self.settings = folder, settings
        if not given.get("dataset") and not given.get("input_dir"):
            raise UserError(
                "--dataset is missing: --predictions are compared with the targets of a data set"
            )
        size = settings.wanted or size_of_first(folder)
        self.source = open_source(predictions_config(given, size), arrays=arrays, training=False)
        check_split(self.source, settings.split)
        _resolve(self.source)
        found = Predictions(folder, self.source, settings.split, settings.wanted, settings.limit)
        if found.size.smaller < SMALLEST:
            raise UserError(
                f"--predictions={folder}: pictures of {found.size.shown} pixels; "
                f"expected at least {SMALLEST}, or a --size to resize them to"
            )
        self.spec, self.size = self.source.spec, found.size

    def kind(self, scorer: Scorer | None) -> Kind:
        """What of it decides which measures fit."""
        return Kind.of(self.spec, 1, scorer, self.source.paired(self.settings.split))

    def evaluate(self, evaluators: Sequence[Evaluator], progress: Progress, say: Say) -> Evaluation:
        """Scores it."""
        settings = self.settings
        return evaluate_predictions(
            self.folder,
            self.source,
            evaluators,
            split=settings.split,
            size=settings.wanted,
            limit=settings.limit,
            rank_by=settings.rank_by,
            progress=progress,
        )


def _resolve(source: PairSource) -> None:
    """Finds out what the pairs are, where that takes a look at the files."""
    from tfpix2pix.config.dataset import check_source

    if source.folders():
        check_source(source)
