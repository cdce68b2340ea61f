"""``tfpix2pix inspect``: look at a data set as training would, before training."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import DataError, UserError
from tfpix2pix.base.files import check_writable
from tfpix2pix.cli.flags import Parser, add_boolean, add_field, fail, number
from tfpix2pix.cli.train import given_data_config, short_name
from tfpix2pix.config import Config, resolve

if TYPE_CHECKING:
    from tfpix2pix.data.check.inspection import Inspection
    from tfpix2pix.data.sources.base import PairSource

PROGRAM = "tfpix2pix inspect"
USAGE = "tfpix2pix inspect [--dataset=FOLDER] [--output=FOLDER] [--flag=value ...]"
DESCRIPTION = """\
Looks at every file of a data set as `tfpix2pix train` with the same flags would, and says what is
there: pairs in each split, sizes, channels, depth, values, label colours, the same picture in
several splits, and everything that cannot be used. OUTPUT/inspect.html shows it with some pairs,
OUTPUT/contact_sheet.png the pairs alone, OUTPUT/inspect.json is for programs.

The exit code is 0 if training would accept the data set, and 1 if it would refuse it."""

MOST_SHOWN = 64
PALETTE_FILE = "palette_found.json"

# Fields of these groups that say nothing of the pairs.
_GROUPS = {"first": "What to look at", "data": "What to look at, further"}
_NOT_OF_DATA = ("epochs", "steps", "batch_size", "flip")


def add_flags(parser: Parser) -> None:
    groups = {key: parser.add_argument_group(title) for key, title in _GROUPS.items()}
    for field in dataclasses.fields(Config):
        group = field.metadata["group"]
        if group in groups and field.name not in _NOT_OF_DATA:
            add_field(groups[group], field)
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

    from tfpix2pix.pair_form import open_source

    try:
        source = open_source(config)
    except DataError as error:
        return fail(PROGRAM, f"training would refuse it: {error}", 1)
    output = _output(args.output, config, source)
    seen = _look(config, source, args.duplicates)
    written = _write(output, source, seen, args.images)
    _print(seen)
    for path in written:
        print(f"wrote {path}")
    print(
        f"training would refuse it: {seen.refusal}" if seen.refusal else "training would accept it"
    )
    sys.stdout.flush()
    return 1 if seen.refusal else 0


def _look(config: Config, source: PairSource, duplicates: bool) -> Inspection:
    from tfpix2pix.base.progress import ProgressLine
    from tfpix2pix.data.cache_choice import cache_dir
    from tfpix2pix.data.check.inspection import inspect_source
    from tfpix2pix.pair_form import settled

    total = sum(source.count(split) for split in ("train", "val", "test"))
    with ProgressLine("looking", total, "pair") as line:
        seen = inspect_source(
            source,
            progress=lambda done, _: line.show(done),
            duplicates=duplicates,
            load_size=config.load_size,
            cache=config.cache,
            cache_dir=cache_dir(config.data_dir),
        )
    if not seen.refusal:
        try:
            settled(config, source.form)
        except UserError as error:  # a form that no run can have
            seen.refusal = str(error)
    return seen


# === What is written ===


def _output(output: str, config: Config, source: PairSource) -> Path:
    """The folder to write to, which may not be one of the data set's.

    Raises:
      UserError: it is, it is a file, or it cannot be written.
    """
    folder = Path(os.path.expanduser(output or f"inspect-{short_name(config)}"))
    shown = f"--output={folder}"
    real = folder.resolve()
    for own in _folders_of(config, source):
        if real == own or own in real.parents:
            raise UserError(
                f"{shown} lies in the data set's own folder ({own}), where nothing is written; "
                "give another --output"
            )
    check_writable(folder, "--output")
    return folder


def _folders_of(config: Config, source: PairSource) -> list[Path]:
    """Where the data lie: the folders that were named, and those of all files."""
    from tfpix2pix.data.sources.file_source import FileSource

    if not isinstance(source, FileSource):
        return []
    named = [config.input_dir, config.target_dir] if config.input_dir else [config.dataset]
    folders = {Path(os.path.expanduser(name)) for name in named}
    pairs = [pair for some in source.listing.splits.values() for pair in some]
    folders |= {path.parent for pair in pairs for path in pair.paths()}
    return sorted({folder.resolve() for folder in folders if folder.is_dir()})


def _write(output: Path, source: PairSource, seen: Inspection, images: int) -> list[Path]:
    """Writes everything; the page and the notes tell of a palette that was written."""
    from tfpix2pix.base.files import write_json, write_text
    from tfpix2pix.data.check.shown_pairs import pairs_to_show
    from tfpix2pix.report.dataset_page import write_contact_sheet, write_dataset_page

    output.mkdir(parents=True, exist_ok=True)
    written = [output / "inspect.html", output / "contact_sheet.png", output / "inspect.json"]
    palette_path = output / PALETTE_FILE
    found = _palette_to_write(seen)
    if found:
        write_text(palette_path, found)
        written.append(palette_path)
        seen.notes.append(
            f"its colours are a palette, {palette_path}: name the classes there; to train on "
            f"them: --label_palette={palette_path}"
        )
    else:
        palette_path.unlink(missing_ok=True)  # of an earlier look
    pairs = pairs_to_show(source, seen.form, images)
    write_dataset_page(written[0], seen, pairs, ())
    write_contact_sheet(written[1], seen, pairs)
    write_json(written[2], seen.facts())
    return written


def _palette_to_write(seen: Inspection) -> str:
    """The JSON of a palette that was found and has no name yet; empty if there is none."""
    found = [side.found for side in seen.sides.values() if side.found]
    if any(palette.builtin for palette in found):
        return ""
    palettes = [made for palette in found if (made := palette.palette())]
    return max(palettes, key=len).to_json() if palettes else ""


# === What is printed ===


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
