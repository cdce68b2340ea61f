"""``tfpix2pix train``: learn from pairs, or continue where a run stopped."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfpix2pix.base import lock
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import check_writable
from tfpix2pix.cli.flags import Parser, add_config_flags, fail, given_config
from tfpix2pix.config import (
    Config,
    allowed_changes,
    differences,
    load_config,
    resolve,
    with_preset,
)
from tfpix2pix.data.palette import BUILTIN
from tfpix2pix.training.cluster import WorkerLost, read_cluster
from tfpix2pix.training.strategies import STRATEGIES, build_strategy, check_strategy

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
    workdir, config = _workdir_and_config(args.workdir, given)
    check_strategy(args.strategy, config, tpu=args.tpu)
    check_writable(workdir, "--workdir")

    from tfpix2pix.base.progress import say

    if args.strategy == "multi_worker":
        return _train_together(args, workdir, config)
    with lock.held(workdir, f"--workdir={workdir}", say):
        # Read when nobody else writes it any more.
        return _train(args, *_workdir_and_config(args.workdir, given))


def _train_together(args: argparse.Namespace, workdir: Path, config: Config) -> int:
    """This worker's part; the chief alone writes, so it alone holds the workdir."""
    from tfpix2pix.base.progress import say

    cluster = read_cluster()
    try:
        if cluster.index > 0:
            code = _train(args, workdir, config)
        else:
            with lock.held(workdir, f"--workdir={workdir}", say):
                code = _train(args, *_workdir_and_config(args.workdir, given_data_config(args)))
    except (UserError, WorkerLost) as error:
        code = fail("tfpix2pix train", str(error), 1 if isinstance(error, WorkerLost) else 2)
    if code in (1, 2):
        # Python's usual end would wait, a minute and longer, for workers that are no more.
        sys.stdout.flush()
        os._exit(code)
    return code


def _train(args: argparse.Namespace, workdir: Path, config: Config) -> int:
    from tfpix2pix.base.progress import duration, say
    from tfpix2pix.pair_form import check_source, open_source

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
    _say_what_is_slower(config, say)
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


def _say_what_is_slower(config: Config, say: Callable[[str], None]) -> None:
    flags = []
    if config.mixed_precision != "none":
        flags.append(f"--mixed_precision={config.mixed_precision}")
    if config.jit_compile:
        flags.append("--jit_compile")
    if not flags:
        return
    import tensorflow as tf

    if all(device.device_type == "CPU" for device in tf.config.list_physical_devices()):
        is_for = "is meant for GPUs and makes" if len(flags) == 1 else "are meant for GPUs and make"
        say(f"note: {' and '.join(flags)} {is_for} training slower on this machine, which has none")


def _workdir_and_config(workdir: str | None, given: dict[str, Any]) -> tuple[Path, Config]:
    """Where the run stands and what it is: its own config if it exists, else what was asked."""
    if workdir is not None:
        path = Path(workdir)
        if path.exists() and not path.is_dir():
            raise UserError(f"--workdir={workdir} is a file; give a folder, or a new name")
        if not (path / "config.json").exists():
            if lock.holds_files(path):
                raise UserError(
                    f"--workdir={workdir} holds other files and no config.json, so it is not a "
                    "run; give a new or empty folder"
                )
            return path, resolve(given)
        # Only what was said by hand must agree: the rest is read back from the run.
        wanted = dict(given)
        if "preset" in given:
            wanted = with_preset(given, load_config(path).dataset)
        return path, _continued(path, wanted, given)
    config = resolve(given)
    path = _default_workdir(config)
    if not (path / "config.json").exists():
        return path, config
    return path, _continued(path, dataclasses.asdict(config), given)


def _continued(path: Path, wanted: dict[str, Any], given: dict[str, Any]) -> Config:
    saved = load_config(path)
    if not saved.dataset and not saved.input_dir:
        raise UserError(
            f"--workdir={path} was imported without pairs to train on; import its weights again, "
            "into a new --workdir, with --dataset=FOLDER"
        )
    lines = differences(saved, wanted)
    if lines:
        raise UserError(
            f"{path} holds a run of another configuration, so nothing was changed; give another "
            "--workdir, or drop the flags that differ:\n  " + "\n  ".join(lines)
        )
    changes = allowed_changes(saved, given)
    if "epochs" in given and "steps" not in given:
        changes["steps"] = 0
    return saved.replace(**changes)


def given_data_config(args: argparse.Namespace) -> dict[str, Any]:
    """The config fields that the command line gave, with the data's paths absolute."""
    given = given_config(args)
    for name in ("dataset", "input_dir", "target_dir", "label_palette"):
        # A built-in palette, whatever stands in this folder.
        if given.get(name) and not (name == "label_palette" and given[name] in BUILTIN):
            given[name] = _absolute(given[name])
    return given


def _absolute(dataset: str) -> str:
    """A folder by its absolute path, so that the run can be continued from anywhere."""
    # The embedded set, whatever stands in this folder; a TFDS name is no path.
    if dataset == "sample" or dataset.startswith("tfds:"):
        return dataset
    path = Path(os.path.expanduser(dataset))
    # abspath takes ".." out too: the same folder from elsewhere must compare equal.
    return os.path.abspath(path) if path.exists() or os.sep in dataset else dataset


def _default_workdir(config: Config) -> Path:
    """``runs/sample``, ``runs/FOLDER``, ``runs/PRESET-FOLDER`` or, where it says it all, PRESET."""
    name = short_name(config)
    if config.preset == config.DEFAULT_PRESET:
        return Path("runs", name)
    if config.preset.startswith(name):
        return Path("runs", config.preset)
    return Path("runs", f"{config.preset}-{name}")


def short_name(config: Config) -> str:
    """What the data set is called, fit for a folder's name."""
    if config.input_dir:
        return f"{Path(config.input_dir).name}-to-{Path(config.target_dir).name}"
    if config.dataset.startswith("tfds:"):
        return re.sub(r"[^\w.-]+", "-", config.dataset[len("tfds:") :])
    path = Path(config.dataset)
    return (path.stem if path.is_file() else path.name) or "data"


def _summary(config: Config, workdir: Path) -> str:
    return (
        f"run: {workdir}, preset {config.preset}: {config.crop_size} px, ngf {config.ngf}, "
        f"loss {config.loss}, batch {config.batch_size}"
    )
