"""``tfpix2pix train-scorer``: the FCN-8s that the paper's FCN-score needs, on your own photos."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from pathlib import Path
from typing import Any

from tfpix2pix.base.files import check_writable
from tfpix2pix.cli.flags import Parser, add_field, fail, given_data_config, number
from tfpix2pix.config import Config, resolve
from tfpix2pix.pair_form import short_name
from tfpix2pix.scorer.settings import INITS, Settings, continued

PROGRAM = "tfpix2pix train-scorer"
USAGE = "tfpix2pix train-scorer --dataset=FOLDER [--output=SCORER] [--flag=value ...]"
DESCRIPTION = """\
Trains an FCN-8s that finds the class of every pixel of a photo, on the photos and label images of
a data set, and stores it with its score on the val split. `tfpix2pix evaluate` judges generated
photos by it (the paper's FCN-score, section 4.1).

Run the same command again and it continues where it stopped. Ctrl-C and SIGTERM save first.
The weights that had the best class IoU on val are the ones that are kept."""

_DATA = (
    "dataset",
    "label_palette",
    "label_side",
    "direction",
    "layout",
    "input_dir",
    "target_dir",
    "val_fraction",
    "input_key",
    "target_key",
    "sample_pairs",
    "allow_mixed_sizes",
    "cache",
    "data_dir",
)
_TEXTS = {
    "label_palette": "the labels' colours (facades, camvid, cityscapes or a JSON file); empty: the "
    "built-in one that fits one of the two images",
    "direction": "as in training; either image may show the labels, so it need not be given [AtoB]",
}
# Where decoded pairs lie does not change what is learned.
_OF_THE_MACHINE = ("cache", "data_dir")

_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings)}
_FLAGS: dict[str, tuple[type, str]] = {
    "size": (int, "side of the photos that it reads, pixels, a multiple of 32 [256]"),
    "load_size": (
        int,
        "side to which photos are resized in training before the random crop, pixels "
        "[--size * 286 / 256]",
    ),
    "width": (
        int,
        "channels of the first block, 64 being VGG-16; everything else scales with it [64 with "
        "ImageNet's weights, else 16, which suits a CPU]",
    ),
    "epochs": (int, "passes over the train split, unless --steps is given [60]"),
    "steps": (int, "training steps in all, one batch each; 0 counts by --epochs instead [0]"),
    "batch_size": (int, "photos per step [4]"),
    "learning_rate": (
        float,
        "Adam's step size at first, which falls to 0 at the end [0.001, or 0.0001 from ImageNet's "
        "weights]",
    ),
    "balance": (
        float,
        "how much rare classes weigh in the loss: 0 every pixel alike, 1 median frequency "
        "balancing, or between [0.5]",
    ),
    "seed": (int, "every random draw is a function of this and the step [0]"),
    "val_every": (int, "steps between measurements on val, 0 for none but the last [500]"),
    "checkpoint_every": (int, "steps between checkpoints, 0 for none but the last [500]"),
}


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to learn from")
    fields = {field.name: field for field in dataclasses.fields(Config)}
    for name in _DATA:
        add_field(group, fields[name], _TEXTS.get(name))
    group = parser.add_argument_group("What to train")
    group.add_argument(
        "--output",
        metavar="SCORER",
        default="",
        help="the scorer's folder [scorers/NAME-SIZE, from the data set and --size]",
    )
    group.add_argument(
        "--init",
        choices=INITS,
        metavar="|".join(INITS),
        default="auto",
        help="the weights that VGG-16 starts from: ImageNet's (through keras.applications), "
        "random ones, or the first of these that can be had [auto]",
    )
    for name, (kind, text) in _FLAGS.items():
        group.add_argument(
            f"--{name}",
            type=number(kind),
            metavar=kind.__name__.upper(),
            default=_DEFAULTS[name],
            help=text,
        )


def main(args: argparse.Namespace) -> int:
    given = given_data_config(args)
    given = {name: value for name, value in given.items() if name in (*_DATA, "seed")}
    config = resolve(given)
    data = {k: getattr(config, k) for k in _DATA if k not in _OF_THE_MACHINE}
    settings = Settings(data=data, init=args.init, **{name: getattr(args, name) for name in _FLAGS})
    output = Path(args.output or f"scorers/{short_name(config)}-{settings.size}").expanduser()
    settings = continued(output, settings) or settings

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
    from tfpix2pix.pair_form import check_source
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
    from tfpix2pix.training.loop import TrainingDiverged
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
