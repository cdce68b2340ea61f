"""``tfpix2pix inspect``: look at a data set as training would, before training."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.base.errors import DataError, UserError
from tfpix2pix.base.files import check_writable
from tfpix2pix.cli.flags import Parser, add_boolean, add_field, fail, given_data_config, number
from tfpix2pix.config import Config, resolve
from tfpix2pix.config.dataset import check_outside, inspect_data, open_source, short_name
from tfpix2pix.data.config import LEARNS_UNPAIRED, UNPAIRED, DataConfig

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource
    from tfpix2pix.data.check.inspection import Inspection

_ACCEPTED = "training would accept it"
PROGRAM = "tfpix2pix inspect"
USAGE = "tfpix2pix inspect [--dataset=FOLDER] [--output=FOLDER] [--flag=value ...]"
DESCRIPTION = """\
Looks at every file of a data set as `tfpix2pix train` with the same flags would, and says what is
there: pairs, or images of two sides that are none, in each split, sizes, channels, depth, values,
label colours, the same picture in several splits or on both sides, and everything that cannot be
used. OUTPUT/inspect.html shows it with some pairs, OUTPUT/contact_sheet.png the pairs alone,
OUTPUT/inspect.json is for programs.

The exit code is 0 if training would accept the data set, and 1 if it would refuse it."""

MOST_SHOWN = 64

_GROUPS = {"first": "What to look at", "data": "What to look at, further"}
# The data part of a config, but for what is done to pairs later, and what their size follows from.
_SHOWN = {"preset", "crop_size", *(field.name for field in dataclasses.fields(DataConfig))} - {
    "flip"
}


def add_flags(parser: Parser) -> None:
    groups = {key: parser.add_argument_group(title) for key, title in _GROUPS.items()}
    for field in config_fields().values():
        if field.name in _SHOWN:
            add_field(groups[field.metadata["group"]], field)
    group = parser.add_argument_group("What to write")
    group.add_argument(
        "--output",
        metavar="FOLDER",
        default="",
        help="folder of the page, the contact sheet and the JSON file; not in the data set's own "
        "[inspect-NAME, from the data set]",
    )
    group.add_argument(
        "--images",
        type=number(int),
        default=8,
        metavar="INT",
        help=f"pairs of each split to show, 1 to {MOST_SHOWN} [8]",
    )
    add_boolean(
        group,
        "duplicates",
        "decode every image and look for the same pixels in several places; without it, files "
        "beyond the first 2 GiB (each counts as 64 KiB at least) are judged by their headers and "
        "ends, as training does [true]",
        default=True,
    )


def main(args: argparse.Namespace) -> int:
    if not 1 <= args.images <= MOST_SHOWN:
        raise UserError(f"--images={args.images}: expected 1 to {MOST_SHOWN} pairs of each split")
    config = resolve(given_data_config(args))

    from tfpix2pix.data import BrokenPairs, UnpairedSource
    from tfpix2pix.data.check.previews import pair_previews
    from tfpix2pix.report.dataset_page import write_inspection

    try:
        source, why = _opened(config)
    except DataError as error:
        return fail(PROGRAM, f"training would refuse it: {error}", 1)
    output = Path(os.path.expanduser(args.output or f"inspect-{short_name(config)}"))
    check_outside(output, config, source)
    check_writable(output, "--output")
    seen = inspect_data(config, source, duplicates=args.duplicates)
    seen.notes += why
    written = write_inspection(output, seen, pair_previews(source, seen.spec, args.images))
    _print(seen)
    for path in written:
        print(f"wrote {path}")
    by = f", with {LEARNS_UNPAIRED}" if isinstance(source, UnpairedSource) else ""
    if isinstance(source, BrokenPairs):
        by += " --data=unpaired"
    print(f"training would refuse it: {seen.refusal}" if seen.refusal else _ACCEPTED + by)
    sys.stdout.flush()
    return 1 if seen.refusal else 0


def _opened(config: Config) -> tuple[PairSource, list[str]]:
    """The data set, and, where it was opened as no pairs, why it holds none."""
    from tfpix2pix.data import UnpairedError

    try:
        return open_source(config), []
    except UnpairedError as error:
        if config.data:
            raise
        return open_source(config.replace(data=UNPAIRED)), [str(error)]


def _print(seen: Inspection) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tfpix2pix.report.dataset_page import fact_rows

    rows = fact_rows(seen)
    remarks = [("warning", text) for text in seen.warnings] + [("note", n) for n in seen.notes]
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        for key, text in rows:
            print(f"{key:<12}{text}")
        for key, text in remarks:
            print(f"{key}: {text}")
        return
    table = Table.grid(padding=(0, 2))
    for key, text in rows:
        table.add_row(Text(key, "bold"), Text(text))
    for key, text in remarks:
        table.add_row(Text(key, "bold yellow" if key == "warning" else "dim"), Text(text))
    console.print(table)
