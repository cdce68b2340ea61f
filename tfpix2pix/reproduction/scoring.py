"""Scores the finished runs of a reproduction, each once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.progress import ProgressLine, say
from tfpix2pix.reproduction.memory import forget
from tfpix2pix.reproduction.pictures import write_answers, write_pictures_back
from tfpix2pix.reproduction.plan import Plan, Run
from tfpix2pix.reproduction.tables import PHOTO, Pairs, known_evaluators, own_table

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource
    from tfpix2pix.evaluation.registry import Kind
    from tfpix2pix.scorer import Scorer
    from tfpix2pix.training.stop import StopRequest


def open_scorer(
    plan: Plan, source: PairSource, folder: str | None, stop: StopRequest, steps: int = 0
) -> Scorer | None:
    """The FCN that scores photographs: the given one, or the plan's own, trained where need be.

    Args:
      plan: of the reproduction.
      source: the data set, either way round.
      folder: of a scorer; None for ``DIR/scorer``.
      stop: asked after every step of a training.
      steps: of its training; 0 for what `tfpix2pix train-scorer` does.

    Returns:
      The scorer; None where its training was stopped.

    Raises:
      UserError: the given one is none, one of another palette or size, or that of --perceptual.
    """
    from pathlib import Path

    from tfpix2pix.scorer import load_scorer
    from tfpix2pix.scorer.settings import Settings, continued
    from tfpix2pix.scorer.store import FACTS
    from tfpix2pix.scorer.training import train_scorer

    base, own = plan.base, plan.folder / "scorer"
    if folder:
        scorer = load_scorer(folder)
    elif (own / FACTS).exists():
        scorer = load_scorer(own)
    else:
        say(f"the scorer of photographs is trained first, in {own}")
        data = {"dataset": Path(base.dataset).name, "label_palette": Path(base.label_palette).name}
        often: dict[str, Any] = {}
        if steps:
            often = {"val_every": steps, "checkpoint_every": max(1, steps // 4)}
        settings = Settings(
            data=data,
            size=base.crop_size,
            load_size=base.load_size,
            seed=base.seed,
            steps=steps,
            **often,
        )
        outcome = train_scorer(
            continued(own, settings) or settings,
            own,
            source,
            stop=stop,
            cache=base.cache,
            data_dir=base.data_dir,
        )
        if outcome.scorer is None:
            return None
        scorer = outcome.scorer
    scorer.check(source.spec.x.palette or source.spec.y.palette, base.crop_size)
    trained_by = getattr(base, "perceptual", "")
    if trained_by and load_scorer(trained_by).identity == scorer.identity:
        raise UserError(
            f"--perceptual={trained_by} is the scorer that judges here, and rows would be trained "
            "against their judge; train another one with `tfpix2pix train-scorer --seed=1`"
        )
    return scorer


def score_runs(
    runs: Sequence[Run],
    sources: Mapping[Pairs, PairSource],
    scorer: Scorer | None,
    stop: StopRequest,
) -> None:
    """Evaluates every trained run on its split, as `tfpix2pix evaluate` would; those that have been
    are not evaluated again, unless by another scorer, before their last step, or without a measure
    that one of our own tables has."""
    waiting = [
        run
        for run in runs
        if run.trained and not is_scored(run, scorer, _wanted(run, sources, scorer))
    ]
    for done, run in enumerate(waiting):
        if stop.signal is not None:
            return
        say(f"scoring {done + 1:,} of {len(waiting):,}: {run.id}")
        score_run(run, sources[run.pairs], scorer)


def score_run(run: Run, source: PairSource, scorer: Scorer | None) -> None:
    """Evaluates one run into its ``evaluation/SPLIT``; on the way back ``SPLIT-DIRECTION``, where
    what it makes of the fixed pairs stands too."""
    from tfpix2pix.evaluation.registry import make_evaluators
    from tfpix2pix.evaluation.session import evaluate_model
    from tfpix2pix.inference import load
    from tfpix2pix.report.evaluation_page import write_evaluation_page

    translator = load(run.workdir, direction=run.direction)
    kind = _kind(run, source, scorer)
    evaluators = make_evaluators(_metrics(run, kind), kind)
    with ProgressLine("scoring", source.count(run.split), "image") as line:
        evaluation = evaluate_model(
            translator,
            source,
            evaluators,
            split=run.split,
            size=run.config.whole_size,
            samples=kind.samples,
            may_repeat=True,
            progress=lambda done, _: line.show(done),
        )
    write_evaluation_page(run.evaluation, evaluation)
    if run.is_back:
        write_pictures_back(run, translator)
    if kind.samples > 1:
        write_answers(run, translator)
    evaluation.save(run.evaluation)  # last: who reads these numbers finds the page too
    forget()


def _kind(run: Run, source: PairSource, scorer: Scorer | None) -> Kind:
    from tfpix2pix.evaluation.registry import Kind

    table = own_table(run.variant)
    samples = table.samples if table else 1
    return Kind.of(source.spec, samples, scorer if run.task == PHOTO else None)


def _metrics(run: Run, kind: Kind) -> list[str]:
    """The measures of a run: what `tfpix2pix evaluate` takes unasked, and what its table names."""
    from tfpix2pix.evaluation.registry import EVALUATORS, default_metrics, why_not

    unasked = default_metrics(kind)
    table = own_table(run.variant)
    named = known_evaluators(table) if table else []
    asked = [name for name in named if not why_not(name, kind)]
    return [name for name in EVALUATORS if name in unasked or name in asked]


def _wanted(run: Run, sources: Mapping[Pairs, PairSource], scorer: Scorer | None) -> list[str]:
    """Numbers without which a run's scores do not do, of those that its table shows."""
    from tfpix2pix.evaluation.registry import numbers_of

    table = own_table(run.variant)
    if table is None:
        return []
    metrics = _metrics(run, _kind(run, sources[run.pairs], scorer))
    return [n.name for n in numbers_of([m for m in metrics if m in table.evaluators])]


def is_scored(run: Run, scorer: Scorer | None, wanted: Sequence[str] = ()) -> bool:
    """Whether a run's scores are those of its last step, of this scorer, and have the numbers."""
    try:
        content = json.loads((run.evaluation / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    same_scorer = (
        run.task != PHOTO
        or scorer is None
        or (content.get("scorer") or {}).get("identity") == scorer.identity
    )
    if not set(wanted) <= set(content.get("numbers", {})):
        return False
    return same_scorer and content.get("model", {}).get("step") == run.steps_done
