"""The package from Python: `train` and `evaluate` as the commands do them, settings by keyword.

run = tfpix2pix.train("pairs", steps=4000)  # or arrays (x, y)
print(tfpix2pix.evaluate(run))
tfpix2pix.export(run, "exported", formats="onnx")
picture = tfpix2pix.load(run).translate(image)

Settings have the names of the commands' flags, and messages call them so: ``--steps``.
"""

from __future__ import annotations

import dataclasses
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import nearest
from tfpix2pix.config.base import chosen_direction
from tfpix2pix.config.dataset import arrays_of, with_absolute_paths
from tfpix2pix.data.config import ARRAYS

if TYPE_CHECKING:
    from tfpix2pix.data import PairArrays
    from tfpix2pix.evaluation.results import Evaluation
    from tfpix2pix.evaluation.subjects import Settings
    from tfpix2pix.inference import Model
    from tfpix2pix.training.run import Outcome


def train(
    dataset: Any = None,
    *,
    workdir: str | os.PathLike[str] | None = None,
    strategy: str = "default",
    tpu: str = "",
    stop: threading.Event | None = None,
    **settings: Any,
) -> Outcome:
    """Learns from pairs of images, or continues where a run stopped: `tfpix2pix train`.

    Ctrl-C, or interrupting a notebook's cell, saves and returns; the same call then continues.
    Progress is shown on standard output. TensorFlow's operations are made deterministic, for this
    whole process.

    Args:
      dataset: what ``--dataset`` takes: a folder, a manifest, a known name; or arrays: ``(x, y)``
        of inputs and targets, uint8, uint16 or float32 ``[N, H, W, C]`` or lists of images
        ``[H, W, C]``, of which ``val_fraction`` is held out, or
        ``{"train": (x, y), "val": (x, y)}``; for algorithms that need no pairs x and y may be of
        any counts. None: the run's own, or the embedded sample set.
      workdir: the run's folder; None for ``runs/NAME``, from the data set and the preset.
      strategy: ``default``, ``mirrored`` or ``tpu``.
      tpu: which TPU.
      stop: when another thread sets it, training stops as on Ctrl-C, which itself reaches the main
        thread only. Clear it before the next call.
      **settings: any flag of ``tfpix2pix train --help``: ``preset="paper"``, ``ngf=32``, ...

    Returns:
      How far the run is. It stands for its folder wherever a path is expected.

    Raises:
      UserError: bad input or settings; nothing was changed.
      TrainingDiverged: losses or weights became NaN or infinite.
    """
    from tfpix2pix.training.sitting import Sitting
    from tfpix2pix.training.strategies import STRATEGIES

    if strategy not in STRATEGIES:
        raise UserError(f"--strategy={strategy}: expected default, mirrored or tpu")
    if strategy == "multi_worker":
        raise UserError(
            "--strategy=multi_worker is for the command, `tfpix2pix train`, which each worker "
            "starts; use default, mirrored or tpu"
        )
    arrays = arrays_of(None, dataset)
    given = _given(settings, config_fields(), dataset, arrays)
    sitting = Sitting(
        None if workdir is None else os.fspath(workdir),
        given,
        strategy=strategy,
        tpu=tpu,
        command=_written(dataset, arrays, workdir, settings),
        arrays=arrays,
        python=True,
        stop=stop,
    )
    return sitting.alone()


def evaluate(
    model: Any = None,
    *,
    dataset: Any = None,
    predictions: str | os.PathLike[str] | None = None,
    metrics: str | Sequence[str] = "",
    scorer: str | os.PathLike[str] | None = None,
    rank_by: str | None = None,
    split: str = "val",
    size: Any = 0,
    limit: int = 0,
    checkpoint: str | int = "latest",
    weights: str = "average",
    samples: int = 1,
    seed: int = 0,
    deterministic: bool = False,
    output: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Evaluation:
    """Scores a run, an export or a folder of pictures: `tfpix2pix evaluate`.

    Args:
      model: what `train`, `load` or `export` returned, the folder of a run or of an export, one of
        its files, or a server's address.
      dataset: other pairs than the run's own, as `train` takes them. Arrays need no ``train``
        here; of ``(x, y)`` the held-out share is measured, as after `train`.
      predictions: in place of `model`, a folder of pictures named after the pairs.
      metrics: names, or a text with commas; empty for all that fit the data.
      scorer: for ``fcn``, ``scorer_kid`` and ``scorer_fid``: what `tfpix2pix train-scorer` made.
      rank_by: the number by which the page's best and worst pictures are chosen.
      split: ``train``, ``val`` or ``test``.
      size: to which all pictures are resized: a side or (height, width), pixels; 0 for the run's.
      limit: only the first pairs; 0 for all.
      checkpoint: of a run: ``latest``, ``best`` or a step.
      weights: of a run with ``ema``: ``average``, or ``raw`` for the weights themselves.
      samples, seed, deterministic: how the pictures are made.
      output: folder of the results; None for that of the command, RUN/evaluation/SPLIT, of the
        second direction of a run RUN/evaluation/SPLIT-DIRECTION.
      **settings: the flags of ``tfpix2pix evaluate --help`` that say how the data are read.

    Returns:
      The numbers by name (``numbers["l1"]``), their standard errors (``errors["l1"]``) and the
      ``page``; printed, a table. The files of the command are written too.

    Raises:
      UserError: bad input or settings.
    """
    from tfpix2pix.evaluation.data import FIELDS
    from tfpix2pix.evaluation.subjects import Settings

    if (model is None) == (predictions is None):
        raise UserError("evaluate: expected a model, or predictions=FOLDER, and not both")
    if checkpoint != "latest" and not _is_run(model):
        raise UserError(f"--checkpoint={checkpoint} is for runs; leave it out")
    if weights != "average" and not _is_run(model):
        raise UserError(f"--weights={weights} is for runs; leave it out")
    arrays = arrays_of(model, dataset)
    return score(
        None if model is None else lambda direction: _model(model, checkpoint, weights, direction),
        _given(settings, FIELDS, dataset, arrays),
        Settings(split, size, limit, samples, seed, deterministic, rank_by),
        predictions="" if predictions is None else os.fspath(predictions),
        metrics=metrics if isinstance(metrics, str) else ",".join(metrics),
        scorer="" if scorer is None else os.fspath(scorer),
        output=output,
        default=_output(model if predictions is None else predictions, split),
        arrays=arrays,
    )


def score(
    model: Callable[[str], Model] | None,
    given: Mapping[str, Any],
    settings: Settings,
    *,
    predictions: str,
    metrics: str,
    scorer: str,
    output: str | os.PathLike[str] | None,
    default: Path,
    arrays: PairArrays | None = None,
) -> Evaluation:
    """What `evaluate` and the command share: scores, and writes the result's files.

    Args:
      model: opens it in a direction, or in its default one; None for `predictions`.
      given: fields of `tfpix2pix.evaluation.data.FIELDS`.
      settings: how.
      predictions, metrics, scorer: as the flags have them, empty where they are not given.
      output: folder of the results; None for `default`.
      default: that folder; of a run's further direction its name has this behind it.
      arrays: the pairs, where the data set is arrays.

    Raises:
      UserError: what does not fit, before TensorFlow is imported where that can be.
    """
    from tfpix2pix.evaluation.registry import (
        choose_evaluators,
        for_want_of_pairs,
        parse_metrics,
    )
    from tfpix2pix.evaluation.results import check_output
    from tfpix2pix.evaluation.subjects import FolderSubject, ModelSubject

    if metrics:
        parse_metrics(metrics)  # a wrong one is refused before data are looked at
    folder = default if output is None else Path(output)
    check_output(folder)
    subject: ModelSubject | FolderSubject
    if model is None:
        subject = FolderSubject(predictions, given, settings, arrays)
    else:
        opened, given = model(""), dict(given)
        if len(opened.config.directions) > 1 and "direction" in given:
            # Which generator is meant, and not how the data lie.
            opened = model(given.pop("direction"))
        if output is None and opened.direction != opened.config.direction:
            folder = default.with_name(f"{default.name}-{opened.direction}")
            check_output(folder)
        subject = ModelSubject(opened, given, settings, arrays)
    judge = None
    if scorer:
        from tfpix2pix.scorer import load_scorer

        judge = load_scorer(scorer)
    evaluators = choose_evaluators(
        subject.kind(judge), subject.size, metrics, scorer, settings.rank_by
    )

    from tfpix2pix.base.progress import ProgressLine, say
    from tfpix2pix.base.quiet import import_tensorflow
    from tfpix2pix.report.evaluation_page import write_evaluation_page

    import_tensorflow()
    say(f"data: {subject.source.describe()}")
    missed = [] if metrics else for_want_of_pairs(subject.kind(judge))
    if missed:
        say(f"note: these images are no pairs, which {', '.join(missed)} would need: left out")
    total, _ = subject.source.sides(settings.split)
    total = min(settings.limit or total, total)
    with ProgressLine("evaluating", total, "image") as line:
        evaluation = subject.evaluate(evaluators, lambda done, _: line.show(done), say)
    page = write_evaluation_page(folder, evaluation)
    evaluation.save(folder)
    return dataclasses.replace(evaluation, page=page)


# === From what Python hands over to what the library takes ===


def _given(
    settings: Mapping[str, Any], known: Any, dataset: Any, arrays: PairArrays | None
) -> dict[str, Any]:
    """Settings as fields of a config."""
    for name in settings:
        if name not in known:
            raise UserError(f"there is no setting {name!r}{nearest(name, known)}")
    given = {key: _plain(value) for key, value in settings.items()}
    if arrays is not None:
        given["dataset"] = ARRAYS
        given.setdefault("direction", "AtoB")
    elif dataset is not None:
        given["dataset"] = os.fspath(dataset)
    return with_absolute_paths(given)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, paths as text."""
    if hasattr(value, "item"):
        return value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _written(
    dataset: Any,
    arrays: PairArrays | None,
    workdir: str | os.PathLike[str] | None,
    settings: Mapping[str, Any],
) -> str:
    """The call, for the report."""
    parts = []
    if dataset is not None:
        parts.append("(x, y)" if arrays is not None else repr(os.fspath(dataset)))
    if workdir is not None:
        parts.append(f"workdir={os.fspath(workdir)!r}")
    parts += [f"{name}={_plain(value)!r}" for name, value in settings.items()]
    return f"tfpix2pix.train({', '.join(parts)})"


def _is_run(model: Any) -> bool:
    """Whether it is the folder of a run, or what `train` returned."""
    return isinstance(model, str | os.PathLike) and Path(model, "config.json").is_file()


def _model(model: Any, checkpoint: str | int, weights: str, direction: str) -> Model:
    from tfpix2pix.inference import Model, Translator

    if isinstance(model, Translator):
        what = "the model that was loaded"
        chosen_direction(direction, [model.direction], what, "load the other one")
        return Model.of_translator("the model", model)
    name = os.fspath(model)
    if _is_run(model):
        return Model.of_run(name, str(checkpoint), weights, direction)
    if Path(name).is_dir() or Path(name).is_file() or "://" in name:
        from tfpix2pix.export.opening import open_named

        return Model.of_translator(name, open_named(name, direction))
    raise UserError(f"{name}: no such run, export or server; give what train or export returned")


def _output(model: Any, split: str) -> Path:
    """The folder of an evaluation's results where none is named."""
    if _is_run(model):
        return default_output(split, run=os.fspath(model))
    is_path = isinstance(model, str | os.PathLike)
    return default_output(split, other=os.fspath(model) if is_path else "model")


def default_output(split: str, run: str = "", other: str = "") -> Path:
    """``RUN/evaluation/SPLIT``, or ``evaluation/NAME-SPLIT`` of an export, a server or pictures."""
    if run:
        return Path(run) / "evaluation" / split
    name = Path(other.split("?")[0].rstrip("/"))
    stem = name.stem if name.is_file() else name.resolve().name
    plain = re.sub(r"[^\w.-]+", "-", stem)
    return Path("evaluation", f"{plain}-{split}")
