"""What `tfpix2pix evaluate` scores: a model or a folder of pictures, with the pairs for it.

Making one of these refuses whatever does not fit, before TensorFlow is imported where that can be.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.cli.train import given_data_config
from tfpix2pix.config import Config
from tfpix2pix.evaluation.data import FIELDS

if TYPE_CHECKING:
    from tfpix2pix.data import PairForm, PairSource
    from tfpix2pix.evaluation.base import Evaluator
    from tfpix2pix.evaluation.results import Evaluation
    from tfpix2pix.inference import Translator

SPLITS = ("train", "val", "test")
SMALLEST, LARGEST = 16, 4096  # pixels; SSIM's window has 11


class Modelled:
    """A run, an export or a server, and the pairs that it is scored on."""

    def __init__(self, args: argparse.Namespace) -> None:
        from tfpix2pix.evaluation.data import data_config, open_labels, open_pairs
        from tfpix2pix.evaluation.session import check_form, check_split

        self.args = args
        self.translator: Translator | None = None
        self.form, own = self._form_and_config()
        given = _given(args)
        config = data_config(own, given)
        self.source = open_pairs(config, self.form)
        check_split(self.source, args.split)
        check_form(self.form, self.source)
        self.size = args.size or own.crop_size
        self.labels: PairSource | None = None
        if given.get("label_palette"):
            self.labels = open_labels(config, given)
            _settle(self.labels)

    def _form_and_config(self) -> tuple[PairForm, Config]:
        from tfpix2pix.pair_form import form_of

        if self.args.workdir:  # TensorFlow can wait
            config = Config.load(self.args.workdir)
            return form_of(config, self.args.workdir), config
        from tfpix2pix.cli.translate import _open

        self.translator = _open(self.args.model)
        return self.translator.form, self.translator.config

    @property
    def samples(self) -> int:
        return self.args.samples

    def evaluate(self, evaluators: list[Evaluator], progress: Any, say: Any) -> Evaluation:
        from tfpix2pix.evaluation.session import evaluate_model
        from tfpix2pix.inference import load

        args = self.args
        if self.translator is None:
            self.translator = load(args.workdir, args.checkpoint, say)
        seed = args.seed or 0
        noisy = self.translator.takes_noise and not args.deterministic
        say(
            f"{args.workdir or args.model} at step {self.translator.step:,}, "
            + (f"noise of seed {seed}" if noisy else "without noise")
        )
        return evaluate_model(
            self.translator,
            self.source,
            evaluators,
            split=args.split,
            size=self.size,
            samples=args.samples,
            limit=args.limit,
            seed=seed,
            deterministic=args.deterministic,
            labels=self.labels,
            rank_by=args.rank_by,
            model={"path": args.workdir or args.model},
            progress=progress,
        )


class Predicted:
    """A folder of pictures, and the pairs that they are predictions of."""

    labels = None
    samples = 1

    def __init__(self, args: argparse.Namespace) -> None:
        from tfpix2pix.evaluation.data import predictions_config
        from tfpix2pix.evaluation.predictions import Predictions, size_of_first
        from tfpix2pix.evaluation.session import check_split
        from tfpix2pix.pair_form import open_source

        self.args = args
        given = _given(args)
        if not given.get("dataset") and not given.get("input_dir"):
            raise UserError(
                "--dataset is missing: --predictions are compared with the targets of a data set"
            )
        size = args.size or size_of_first(args.predictions)
        self.source = open_source(predictions_config(given, size))
        check_split(self.source, args.split)
        _settle(self.source)
        found = Predictions(
            args.predictions, self.source, args.split, args.size or None, args.limit
        )
        if found.size < SMALLEST:
            raise UserError(
                f"--predictions={args.predictions}: pictures of {found.size}x{found.size} pixels; "
                f"expected at least {SMALLEST}, or a --size to resize them to"
            )
        self.form, self.size = self.source.form, found.size

    def evaluate(self, evaluators: list[Evaluator], progress: Any, say: Any) -> Evaluation:
        from tfpix2pix.evaluation.session import evaluate_predictions

        args = self.args
        return evaluate_predictions(
            args.predictions,
            self.source,
            evaluators,
            split=args.split,
            size=args.size or None,
            limit=args.limit,
            rank_by=args.rank_by,
            progress=progress,
        )


def _given(args: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in given_data_config(args).items() if name in FIELDS}


def _settle(source: PairSource) -> None:
    """Finds out what the pairs are, where that takes a look at the files."""
    from tfpix2pix.data.sources.file_source import FileSource
    from tfpix2pix.pair_form import check_source

    if isinstance(source, FileSource):
        check_source(source)
