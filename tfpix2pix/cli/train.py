"""``tfpix2pix train``: learn from pairs, or continue where a run stopped."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import check_writable
from tfpix2pix.cli.flags import Parser, add_config_flags, fail, given_data_config
from tfpix2pix.config import Config
from tfpix2pix.training.cluster import WorkerLost, read_cluster
from tfpix2pix.training.strategies import STRATEGIES, build_strategy, check_strategy, slower_here
from tfpix2pix.training.workdir import workdir_and_config

USAGE = "tfpix2pix train [--dataset=FOLDER] [--workdir=RUN] [--preset=NAME] [--flag=value ...]"
DESCRIPTION = """\
Trains pix2pix on pairs of images and writes everything into one folder, the workdir: config.json,
checkpoints, event files for TensorBoard, sample grids, and report.html, a page to look at.

Run the same command again, or `tfpix2pix train --workdir=RUN`, and it continues where it stopped;
give a larger --steps or --epochs to train on. Ctrl-C and SIGTERM save first. A second command on
the same workdir is refused while one is training there.

[brackets] show the default; where the preset that is used by default, `quick`, differs from the
paper's settings, both."""


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
    given = given_data_config(args)
    workdir, config = workdir_and_config(args.workdir, given)
    check_strategy(args.strategy, config, tpu=args.tpu)
    check_writable(workdir, "--workdir")

    from tfpix2pix.base.progress import say

    if args.strategy == "multi_worker":
        return _train_together(args, workdir, config)
    with lock.held(workdir, f"--workdir={workdir}", say):
        # Read when nobody else writes it any more.
        return _train(args, *workdir_and_config(args.workdir, given))


def _train_together(args: argparse.Namespace, workdir: Path, config: Config) -> int:
    """This worker's part; the chief alone writes, so it alone holds the workdir."""
    from tfpix2pix.base.progress import say

    cluster = read_cluster()
    try:
        if cluster.index > 0:
            code = _train(args, workdir, config)
        else:
            with lock.held(workdir, f"--workdir={workdir}", say):
                code = _train(args, *workdir_and_config(args.workdir, given_data_config(args)))
    except (UserError, WorkerLost) as error:
        code = fail("tfpix2pix train", str(error), 1 if isinstance(error, WorkerLost) else 2)
    if code in (1, 2):
        # Python's usual end would wait, a minute and longer, for workers that are no more.
        sys.stdout.flush()
        os._exit(code)
    return code


def _train(args: argparse.Namespace, workdir: Path, config: Config) -> int:
    from tfpix2pix.base.progress import duration, say
    from tfpix2pix.config.dataset import check_source, open_source

    source = open_source(config, workdir)
    check_source(source)
    for note in source.notes():
        say(f"note: {note}")
    say(f"data: {source.describe()}")
    say(_summary(config, workdir))

    from tfpix2pix.base.quiet import import_tensorflow, wake_compiler

    import_tensorflow(wake=args.strategy not in ("multi_worker", "tpu"))
    if args.strategy == "multi_worker":
        cluster = read_cluster()
        say(f"worker {cluster.index} of {len(cluster)}, waiting for all of them")
    strategy = build_strategy(args.strategy, config, args.tpu)
    if config.jit_compile:
        wake_compiler()
    slower = slower_here(config)
    if slower:
        say(f"note: {slower}")
    from tfpix2pix.training.run import TrainingDiverged, train
    from tfpix2pix.training.stop import StopRequest

    command = shlex.join(["tfpix2pix", *sys.argv[1:]])
    with StopRequest() as stop:
        try:
            outcome = train(config, workdir, source, strategy=strategy, command=command, stop=stop)
        except TrainingDiverged as error:
            return fail("tfpix2pix train", str(error), 1)
    if outcome.stopped_by:
        say(
            f"stopped by {outcome.stopped_by} at step {outcome.steps_done:,} of "
            f"{outcome.steps_total:,}; everything is saved. To continue: "
            f"tfpix2pix train --workdir={shlex.quote(str(workdir))}"
        )
        return outcome.exit_code
    if args.strategy == "multi_worker" and read_cluster().index > 0:
        say(f"step {outcome.steps_done:,} is done and saved by the first worker in {workdir}")
        return 0
    if not outcome.trained_now:
        say(
            f"already trained: {workdir} has done {outcome.steps_done:,} steps, and "
            f"{outcome.steps_total:,} are asked for; give a larger --steps or --epochs to train on"
        )
    else:
        say(f"trained {outcome.steps_done:,} steps in {duration(outcome.seconds)}")
        run = shlex.quote(str(workdir))
        say(
            f"to use it: tfpix2pix translate --workdir={run} --input={run}/samples/inputs "
            "--output=translated"
        )
    say(f"report: {outcome.report}")
    return 0


def _summary(config: Config, workdir: Path) -> str:
    what = [config.summary, config.objective, f"batch {config.batch_size}"]
    return f"run: {workdir}, preset {config.preset}: {', '.join(filter(None, what))}"
