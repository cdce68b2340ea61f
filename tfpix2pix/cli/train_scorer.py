"""``tfpix2pix train-scorer``: the FCN-8s that the paper's FCN-score needs, on your own photos."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from pathlib import Path
from typing import Any

from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.base.errors import TrainingDiverged
from tfpix2pix.base.files import check_writable
from tfpix2pix.cli.flags import Parser, add_field, fail, given_data_config
from tfpix2pix.config import Config, resolve
from tfpix2pix.config.dataset import short_name
from tfpix2pix.data.config import PairsConfig
from tfpix2pix.scorer.settings import Settings, continued

PROGRAM = "tfpix2pix train-scorer"
USAGE = "tfpix2pix train-scorer --dataset=FOLDER [--output=SCORER] [--flag=value ...]"
DESCRIPTION = """\
Trains an FCN-8s that finds the class of every pixel of a photo, on the photos and label images of
a data set, and stores it with its score on the val split. `tfpix2pix evaluate` judges generated
photos by it (the paper's FCN-score, section 4.1).

Run the same command again and it continues where it stopped. Ctrl-C and SIGTERM save first.
The weights that had the best class IoU on val are the ones that are kept."""

_DATA = tuple(field.name for field in dataclasses.fields(PairsConfig))
_TEXTS = {
    "label_palette": "the labels' colours (facades, camvid, cityscapes, sample or a JSON file); "
    "empty: the built-in one that fits one of the two images",
    "direction": "as in training; either image may show the labels, so it need not be given [AtoB]",
}
# Where decoded pairs lie does not change what is learned.
_OF_THE_MACHINE = ("cache", "data_dir")

# The settings, but for the data, as flags.
_SETTINGS = [field for field in dataclasses.fields(Settings) if field.metadata]


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to learn from")
    fields = config_fields()
    for name in _DATA:
        add_field(group, fields[name], _TEXTS.get(name))
    group = parser.add_argument_group("What to train")
    group.add_argument(
        "--output",
        metavar="SCORER",
        default="",
        help="the scorer's folder [scorers/NAME-SIZE, from the data set and --size]",
    )
    for field in _SETTINGS:
        add_field(group, field)


def main(args: argparse.Namespace) -> int:
    given = given_data_config(args)
    given = {name: value for name, value in given.items() if name in (*_DATA, "seed")}
    config = resolve(given)
    data = {k: getattr(config, k) for k in _DATA if k not in _OF_THE_MACHINE}
    chosen = {f.name: getattr(args, f.name) for f in _SETTINGS if hasattr(args, f.name)}
    settings = Settings(data=data, **chosen)
    output = Path(args.output or f"scorers/{short_name(config)}-{settings.size}").expanduser()
    settings = continued(output, settings, chosen) or settings

    from tfpix2pix.base import lock
    from tfpix2pix.base.progress import say
    from tfpix2pix.scorer.store import FACTS, load_scorer

    if (output / FACTS).exists():
        _report(output, load_scorer(output), "already trained")
        return 0
    check_writable(output, "--output")
    with lock.held(output, f"--output={output}", say):
        return _train(config, settings, output)


def _train(config: Config, settings: Settings, output: Path) -> int:
    from tfpix2pix.base.progress import say
    from tfpix2pix.config.dataset import check_source
    from tfpix2pix.scorer.labelled import check_labelled, open_labelled

    said: list[str] = []
    # The sample set is drawn at this size; the generator's own sizes do not matter here.
    source = open_labelled(config.replace(crop_size=32, load_size=settings.load_size), said)
    for text in said:
        say(f"note: {text}")
    check_source(source)
    check_labelled(source)
    for note in source.notes():
        say(f"note: {note}")
    say(f"data: {source.describe()}")

    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    from tfpix2pix.scorer.training import train_scorer
    from tfpix2pix.training.stop import StopRequest

    with StopRequest() as stop:
        try:
            outcome = train_scorer(
                settings, output, source, stop=stop, cache=config.cache, data_dir=config.data_dir
            )
        except TrainingDiverged as error:
            return fail(PROGRAM, str(error), 1)
    if outcome.scorer is None:
        say(
            f"stopped by {outcome.stopped_by} at step {outcome.steps_done:,} of "
            f"{outcome.steps_total:,}; everything is saved; the same command continues"
        )
        return outcome.exit_code
    _report(output, outcome.scorer, "trained")
    return 0


def _report(output: Path, scorer: Any, how: str) -> None:
    from tfpix2pix.base.progress import say

    val = scorer.val
    say(
        f"{how}: {output}, FCN-8s of width {scorer.width} ({scorer.init}), {scorer.size} px, "
        f"palette '{scorer.palette.name}', {scorer.facts['steps']:,} steps, weights of step "
        f"{scorer.facts['best_step']:,}"
    )
    say(
        f"on real photos of val: per-pixel {val['per_pixel']:.4f} (always the commonest class: "
        f"{val['commonest']:.4f}), per-class {val['per_class']:.4f}, IoU {val['iou']:.4f}, "
        f"{val['images']:,} images"
    )
    for name, facts in val["classes"].items():
        iou = "  none" if facts["iou"] is None else f"{facts['iou']:.4f}"
        say(f"  {name:<16} IoU {iou}  share {facts['share']:.4f}")
    say(f"to use it: tfpix2pix evaluate --scorer={shlex.quote(str(output))} ...")
