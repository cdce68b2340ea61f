"""``tfpix2pix evaluate``: how good are the pictures, in every measure of the paper?"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.api import default_output, score
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.cli.flags import (
    METAVARS,
    Parser,
    add_boolean,
    add_field,
    add_limit,
    add_weights,
    given_data_config,
    number,
)
from tfpix2pix.cli.models import model_of
from tfpix2pix.evaluation.data import FIELDS

if TYPE_CHECKING:
    from tfpix2pix.evaluation.results import Evaluation
    from tfpix2pix.evaluation.subjects import Settings

USAGE = "tfpix2pix evaluate --workdir=RUN|--model=EXPORT|--predictions=FOLDER [--split=val]"
DESCRIPTION = """\
Scores a trained run, an export, or a folder of pictures on a split of a data set. The pictures are
those of `tfpix2pix translate` with the same seed, measured as their files hold them. Every number
has a standard error: the bootstrap over images.

Writes OUTPUT/metrics.json, OUTPUT/evaluation.html, a page with the best and the worst pictures, and
OUTPUT/statistics.npz, from which `tfpix2pix compare` tells whether two models differ."""

_SOURCES = ("workdir", "model", "predictions")


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to score (one of these is required)")
    group.add_argument("--workdir", metavar="RUN", help="the folder of a trained run")
    group.add_argument(
        "--model",
        metavar="EXPORT|URL",
        help="the folder of an export, one of its .tflite or .onnx files, or a server, as "
        "`tfpix2pix translate --model` takes them",
    )
    group.add_argument(
        "--predictions",
        metavar="FOLDER",
        help="a folder of pictures, whoever made them, each named after its pair; needs --dataset",
    )
    group = parser.add_argument_group("By which measures")
    group.add_argument(
        "--metrics",
        default="",
        metavar="NAME,NAME",
        help="of fcn, labels, color, chroma, l1, l2, psnr, ssim, ms_ssim, sharpness, grid, swd, "
        "scorer_kid, scorer_fid, diversity, scorer_diversity, fcn_samples, variety, fid, kid [all "
        "that fit the data; fid and kid, and of pairs variety, only by name]",
    )
    group.add_argument(
        "--scorer",
        metavar="FOLDER",
        help="for fcn, fcn_samples, scorer_kid, scorer_fid and scorer_diversity: what `tfpix2pix "
        "train-scorer` made of photos of the same size (for the first two, and labels)",
    )
    group.add_argument(
        "--rank_by",
        metavar="NUMBER",
        help="the number by which the page's best and worst pictures are chosen [l1]",
    )
    group = parser.add_argument_group("On what")
    group.add_argument(
        "--split", default="val", metavar="train|val|test", help="which pairs of the data set [val]"
    )
    group.add_argument(
        "--size",
        type=number(Size),
        default=0,
        metavar=METAVARS[Size],
        help="to which all pictures are resized: a side, or HEIGHTxWIDTH, pixels [the run's size; "
        "that of the predictions]",
    )
    add_limit(group)
    group.add_argument(
        "--output",
        metavar="FOLDER",
        help="folder of the results, new or of an earlier call [RUN/evaluation/SPLIT; "
        "evaluation/NAME-SPLIT for --model and --predictions; with -BtoA or -AtoB behind it for "
        "the second direction of a run]",
    )
    group = parser.add_argument_group("How the pictures are made")
    group.add_argument(
        "--checkpoint",
        default="latest",
        metavar="latest|best|STEP",
        help="which weights of a run: the newest, the best by its val measure, or a step's "
        "[latest]",
    )
    add_weights(group)
    group.add_argument(
        "--samples",
        type=number(int),
        default=1,
        metavar="INT",
        help="pictures for each input, with the seeds --seed, --seed + 1, ... of the latent code "
        "(or of z, where there is none); diversity, scorer_diversity and fcn_samples need 2 or "
        "more (20 is usual), all else is measured on the first [1]",
    )
    group.add_argument(
        "--seed",
        type=number(int),
        metavar="INT",
        help="seed of the noise z and of the latent, as in translate [0]",
    )
    add_boolean(group, "deterministic", "no dropout: leave the noise z out; a latent stays [false]")
    group = parser.add_argument_group("The data set, where it is not the run's own")
    for field in config_fields().values():
        if field.name in FIELDS:
            add_field(group, field, _help(field))


def _help(field: dataclasses.Field[Any]) -> str:
    if field.name == "label_palette":
        return (
            "for a run that saw labels as plain colours: which classes they are (facades, camvid, "
            "cityscapes or a JSON file); only the scores know of it [the run's own]"
        )
    if field.name == "direction":
        return (
            "of a run that learned both ways: which way is scored [the one of its training]; of "
            "others which image of the data set is the input [as the run]"
        )
    required = "[the run's own; required for --predictions]"
    return f"{field.metadata['help']} {required if field.name == 'dataset' else '[as the run]'}"


def main(args: argparse.Namespace) -> int:
    settings = _settings(args)
    given = {name: value for name, value in given_data_config(args).items() if name in FIELDS}
    evaluation = score(
        None if args.predictions else functools.partial(model_of, args),
        given,
        settings,
        predictions=args.predictions or "",
        metrics=args.metrics,
        scorer=args.scorer or "",
        output=Path(args.output).expanduser() if args.output else None,
        default=default_output(
            args.split, args.workdir or "", args.model or args.predictions or ""
        ),
    )

    from tfpix2pix.base.progress import say
    from tfpix2pix.evaluation.results import METRICS

    _print(evaluation)
    assert evaluation.page is not None, "score writes it"
    say(f"wrote {evaluation.page.parent / METRICS}")
    say(f"page: {evaluation.page}")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    """How to evaluate, from flags that go together."""
    from tfpix2pix.evaluation.subjects import Settings

    given = [name for name in _SOURCES if getattr(args, name)]
    if not given:
        raise UserError(
            "--workdir, --model or --predictions is missing; see `tfpix2pix evaluate --help`"
        )
    if len(given) > 1:
        flags = " and ".join(f"--{name}" for name in given)
        raise UserError(f"{flags} were given; give the one that is meant")
    settings = Settings(
        args.split,
        args.size,
        args.limit,
        args.samples,
        args.seed or 0,
        args.deterministic,
        args.rank_by,
    )
    if args.checkpoint != "latest" and not args.workdir:
        raise UserError(
            f"--checkpoint={args.checkpoint} is for --workdir; an export or a folder has no "
            "checkpoints"
        )
    if args.weights != "average" and not args.workdir:
        raise UserError(
            f"--weights={args.weights} is for --workdir; an export or a folder has no others"
        )
    if args.predictions:
        makers = {"samples": args.samples != 1, "seed": args.seed is not None}
        makers["deterministic"] = args.deterministic
        for name in (name for name, is_given in makers.items() if is_given):
            raise UserError(
                f"--{name} says how pictures are made, and --predictions are made already; drop it"
            )
    return settings


def _print(evaluation: Evaluation) -> None:
    from tfpix2pix.cli.tables import print_table
    from tfpix2pix.report.evaluation_page import score_rows, scorer_text, size_text

    print_table(("", "value", "± SE", ""), score_rows(evaluation))
    scorer = scorer_text(evaluation)
    if scorer:
        print(scorer)
    out = evaluation.facts.get("left_out")
    said = "" if out is None else f"; {out:.2%} of the pixels left out, where nothing is measured"
    print(f"{evaluation.counted} images of {size_text(evaluation)}{said}")
