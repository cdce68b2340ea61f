"""``tfpix2pix train``: learn from images, or continue where a run stopped."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from tfpix2pix.base.errors import TrainingDiverged, UserError
from tfpix2pix.cli.flags import Parser, add_config_flags, fail, given_data_config
from tfpix2pix.training.cluster import WorkerLost, read_cluster
from tfpix2pix.training.sitting import Sitting
from tfpix2pix.training.strategies import STRATEGIES

USAGE = "tfpix2pix train [--dataset=FOLDER] [--workdir=RUN] [--preset=NAME] [--flag=value ...]"
DESCRIPTION = """\
Trains on pairs of images (or with --algorithm=cyclegan on images of two sides without pairs) and
writes everything into one folder, the workdir: config.json, checkpoints, event files for
TensorBoard, sample grids, and report.html, a page to look at.

Run the same command again, or `tfpix2pix train --workdir=RUN`, and it continues where it stopped;
give a larger --steps or --epochs to train on. Ctrl-C and SIGTERM save first. A second command on
the same workdir is refused while one is training there.

[brackets] show the default; where the preset that is used by default, `quick`, differs from the
paper's settings, both; and what the default preset of another algorithm has instead."""


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "--workdir",
        metavar="RUN",
        default=None,
        help="the run's folder [runs/NAME, from the data set and the preset]",
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        metavar="|".join(STRATEGIES),
        default="default",
        help="where to train: on one device; on all GPUs of this machine; on every worker that the "
        "environment variable TF_CONFIG names; on a TPU. batch_size is that of all devices "
        "together, and a run may be continued under another strategy [default]",
    )
    parser.add_argument(
        "--tpu",
        metavar="NAME",
        default="",
        help="which TPU --strategy=tpu uses [the environment's TPU_NAME, else this machine's]",
    )
    add_config_flags(parser)


def main(args: argparse.Namespace) -> int:
    sitting = Sitting(
        args.workdir,
        given_data_config(args),
        strategy=args.strategy,
        tpu=args.tpu,
        command=shlex.join(["tfpix2pix", *sys.argv[1:]]),
    )
    try:
        if args.strategy == "multi_worker":
            return _train_together(sitting)
        return sitting.alone().exit_code
    except TrainingDiverged as error:
        return fail("tfpix2pix train", str(error), 1)


def _train_together(sitting: Sitting) -> int:
    """This worker's part; the chief alone writes, so it alone holds the workdir."""
    follows = read_cluster().index > 0
    try:
        outcome = sitting.together() if follows else sitting.alone()
        code = outcome.exit_code
    except TrainingDiverged as error:
        code = fail("tfpix2pix train", str(error), 1)
    except (UserError, WorkerLost) as error:
        code = fail("tfpix2pix train", str(error), 1 if isinstance(error, WorkerLost) else 2)
    if code in (1, 2):
        # Python's usual end would wait, a minute and longer, for workers that are no more.
        sys.stdout.flush()
        os._exit(code)
    return code
