"""All evaluators by name, and which of them fit which data.

Importable without TensorFlow, so that a wrong ``--metrics`` is refused in a second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.quiet import import_tensorflow
from tfpix2pix.base.size import Size
from tfpix2pix.config import nearest
from tfpix2pix.evaluation.base import (
    Evaluator,
    Number,
    no_classes,
    no_pairs,
    no_rgb,
    no_samples,
)
from tfpix2pix.evaluation.color import Chroma, Color
from tfpix2pix.evaluation.diversity import Diversity, FCNSamples, ScorerDiversity
from tfpix2pix.evaluation.fcn import FCNScore, Scorer
from tfpix2pix.evaluation.fid import FID
from tfpix2pix.evaluation.grid import Grid
from tfpix2pix.evaluation.inception import Features, InceptionFeatures, OfFeatures
from tfpix2pix.evaluation.kid import KID
from tfpix2pix.evaluation.labels import LabelsOut
from tfpix2pix.evaluation.pixels import L1, L2, PSNR
from tfpix2pix.evaluation.ranking import ranking_of
from tfpix2pix.evaluation.scorer_distance import OfScorer, ScorerFeatures, ScorerFID, ScorerKID
from tfpix2pix.evaluation.sharpness import Sharpness
from tfpix2pix.evaluation.ssim import MSSSIM, SSIM
from tfpix2pix.evaluation.swd import SWD
from tfpix2pix.evaluation.variety import Variety

if TYPE_CHECKING:
    from tfpix2pix.data import PairSpec, Palette

EVALUATORS: dict[str, type[Evaluator]] = {
    evaluator.name: evaluator
    for evaluator in (
        FCNScore, LabelsOut, Color, Chroma, L1, L2, PSNR, SSIM, MSSSIM, Sharpness, Grid, SWD,
        ScorerKID, ScorerFID, Diversity, ScorerDiversity, FCNSamples, Variety, FID, KID,
    )
}  # fmt: skip
"""In the order of tables."""

ON_REQUEST = ("fid", "kid")
"""Measured only when named: they need a download, and thousands of images to mean something."""

OF_UNPAIRED = ("variety",)
"""Of pairs measured only when named: there a target says what each picture should be."""

OF_SCORER = ("fcn", "scorer_kid", "scorer_fid", "scorer_diversity", "fcn_samples")
"""What a scorer is for."""

READERS = ("fcn", "fcn_samples")
"""Of these, what needs one that knows the labels of the data set."""

# Label images are colours that stand for something else: how they are spread over CIELAB, or how
# steep they are, says nothing.
_NOT_OF_LABELS = (*OF_SCORER, "color", "chroma", "sharpness", "grid", "swd", "variety", *ON_REQUEST)


@dataclass(frozen=True)
class Kind:
    """What of a data set and a call decides which evaluators fit.

    Attributes:
      channels: of the pictures that are measured.
      palette: of the labels; None where there are none.
      labels_out: whether the labels are the target.
      samples: per input.
      scorer: for `OF_SCORER`; None where none was named.
      paired: whether each picture has a target of its own.
    """

    channels: int
    palette: Palette | None = None
    labels_out: bool = False
    samples: int = 1
    scorer: Scorer | None = None
    paired: bool = True

    @classmethod
    def of(
        cls, spec: PairSpec, samples: int = 1, scorer: Scorer | None = None, paired: bool = True
    ) -> Kind:
        """The kind of a data set's pairs, or of two sides that are none."""
        palette = spec.x.palette or spec.y.palette
        channels = spec.result_image.channels
        return cls(channels, palette, spec.label_side == "target", samples, scorer, paired)


def parse_metrics(text: str) -> list[str]:
    """The names in ``--metrics=NAME,NAME``, each once, in the order of tables.

    Raises:
      UserError: a name that is none, or none at all.
    """
    names = [name.strip().lower().replace("-", "_") for name in text.split(",")]
    names = [name for name in names if name]
    known = ", ".join(EVALUATORS)
    if not names:
        raise UserError(f"--metrics={text}: no metric is named; expected some of {known}")
    for name in names:
        if name not in EVALUATORS:
            hint = nearest(name, EVALUATORS) or f"; expected some of {known}"
            raise UserError(f"--metrics={text}: there is no metric {name!r}{hint}")
    return [name for name in EVALUATORS if name in names]


def default_metrics(kind: Kind) -> list[str]:
    """The names of what is measured unasked: all that fits the data, without `ON_REQUEST`."""
    return [
        name
        for name in EVALUATORS
        if name not in ON_REQUEST
        and not (kind.paired and name in OF_UNPAIRED)
        and not (kind.labels_out and name in _NOT_OF_LABELS)
        and not why_not(name, kind)
    ]


def for_want_of_pairs(kind: Kind) -> list[str]:
    """The names of what is left out because these images are no pairs, and for no other reason."""
    if kind.paired:
        return []
    found = default_metrics(dataclasses.replace(kind, paired=True))
    return [name for name in found if EVALUATORS[name].of_pairs]


def why_not(name: str, kind: Kind) -> str:
    """Why an evaluator cannot be used on a kind of data, in a sentence; empty where it can."""
    needs = EVALUATORS[name].needs
    if EVALUATORS[name].of_pairs and not kind.paired:
        return no_pairs(name)
    if "classes" in needs and kind.palette is None:
        return no_classes(name)
    if "samples" in needs and kind.samples < 2:
        return no_samples(name, kind.samples)
    if "rgb" in needs and kind.channels != 3:
        return no_rgb(name, kind.channels)
    if name == "labels" and not kind.labels_out:
        return (
            "--metrics=labels: it judges generated label images, and here the labels are the "
            "input; use --metrics=fcn with a --scorer, or leave the metric out"
        )
    if name in OF_SCORER and kind.labels_out:
        return (
            f"--metrics={name}: it judges photos, and here the labels are the target; use "
            "--metrics=labels, or leave the metric out"
        )
    if name in OF_SCORER and kind.scorer is None:
        return (
            f"--metrics={name}: it needs a trained scorer; train one with `tfpix2pix "
            "train-scorer` and name it with --scorer, or leave the metric out"
        )
    return ""


def choose_evaluators(
    kind: Kind, size: Size, metrics: str = "", scorer_folder: str = "", rank_by: str | None = None
) -> list[Evaluator]:
    """What a call measures, checked against the data before anything is computed.

    Args:
      kind: of the data; its scorer is used.
      size: of the pictures, pixels.
      metrics: names with commas between them; empty for all that fit (`default_metrics`).
      scorer_folder: where the scorer is, for messages.
      rank_by: the number by which best and worst pictures are chosen.

    Raises:
      UserError: a metric, the scorer or `rank_by` does not fit.
    """
    names = parse_metrics(metrics) if metrics else default_metrics(kind)
    if kind.scorer is not None:
        if not set(OF_SCORER) & set(names):
            raise UserError(
                why_not("scorer_kid", kind)
                or f"--scorer is for {', '.join(OF_SCORER)}, and --metrics={metrics} leaves these "
                "out; drop one of the two"
            )
        try:
            if any(name in names and not why_not(name, kind) for name in READERS):
                kind.scorer.check(kind.palette, size)
            else:
                kind.scorer.check_size(size)
        except UserError as error:
            raise UserError(f"--scorer={scorer_folder}: {error}") from None
    if not set(ON_REQUEST).isdisjoint(names):  # their network is loaded at once
        import_tensorflow()
    if rank_by is not None and not kind.paired:
        raise UserError(
            f"--rank_by={rank_by}: pictures are ranked beside their own targets, and these images "
            "are no pairs; leave it out"
        )
    evaluators = make_evaluators(names, kind)
    ranking_of(evaluators, rank_by)
    return evaluators


def make_evaluators(
    names: Sequence[str], kind: Kind, features: Features | None = None
) -> list[Evaluator]:
    """The evaluators of these names, ready for batches.

    Args:
      names: of `EVALUATORS`.
      kind: of the data; its palette and scorer are used.
      features: for FID and KID, which share them; None for InceptionV3's.

    Raises:
      UserError: one of them does not fit the data, or InceptionV3's weights are not to be had.
    """
    for name in names:
        reason = why_not(name, kind)
        if reason:
            raise UserError(reason)
    made: list[Evaluator] = []
    seen = ScorerFeatures(kind.scorer) if kind.scorer is not None else None
    for name in names:
        evaluator = EVALUATORS[name]
        if issubclass(evaluator, (FCNScore, ScorerDiversity, FCNSamples)):
            assert kind.scorer is not None, "why_not has said so"
            made.append(evaluator(kind.scorer))
        elif evaluator is LabelsOut:
            assert kind.palette is not None, "why_not has said so"
            made.append(LabelsOut(kind.palette))
        elif issubclass(evaluator, OfScorer):
            assert seen is not None, "why_not has said so"
            made.append(evaluator(seen))
        elif issubclass(evaluator, OfFeatures):
            features = features or InceptionFeatures()
            made.append(evaluator(features))
        else:
            made.append(evaluator())
    return made


def numbers_of(names: Sequence[str]) -> list[Number]:
    """The numbers of these evaluators, in order, for tables."""
    return [number for name in names for number in EVALUATORS[name].numbers_of]
