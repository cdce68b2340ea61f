"""A data set's contact sheet and HTML page, to look at before training.

Both show an `Inspection`. The page holds everything it shows, as a run's report does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfpix2pix.base.files import write_bytes, write_json, write_text
from tfpix2pix.base.grid import encode_png, picture_grid
from tfpix2pix.data.check.inspection import Inspection, sizes_text
from tfpix2pix.data.check.palette_search import FoundPalette
from tfpix2pix.data.check.previews import PairPreview
from tfpix2pix.data.layouts.pair_files import count_text
from tfpix2pix.report.html import templates
from tfpix2pix.report.page import data_uri

PALETTE_FILE = "palette_found.json"
_PAIRS_A_ROW = 4
_GAP = 4
_CELL, _SMALLEST_CELL = 192, 96  # longest side of a picture, pixels
_HEADING = 36  # height, pixels
_INK = (32, 32, 32)
_NOTHING = (225, 225, 225)
_KEPT = {"memory": "in memory", "file": "in a file", "none": "each time they are needed"}
_LISTED = 50  # files of a fault, duplicates


def write_inspection(output: Path, seen: Inspection, pairs: Sequence[PairPreview]) -> list[Path]:
    """Writes ``inspect.html``, ``contact_sheet.png``, ``inspect.json`` and, where colours without
    a name were found, ``palette_found.json``, of which a note is added to `seen`.

    Args:
      output: a folder, made if it is missing.
      seen: the data set.
      pairs: what to show.

    Returns:
      The files.
    """
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
    write_dataset_page(written[0], seen, pairs, ())
    write_contact_sheet(written[1], seen, pairs)
    write_json(written[2], seen.facts())
    return written


def _palette_to_write(seen: Inspection) -> str:
    """The JSON of a palette that was found and has no name yet; empty if there is none."""
    found = [side.found for side in seen.sides.values() if side.found]
    # Index values of a built-in palette may be those of another as well.
    if any(palette.builtin and not palette.indices for palette in found):
        return ""
    palettes = [made for palette in found if (made := palette.palette())]
    return max(palettes, key=len).to_json() if palettes else ""


# === The contact sheet ===


def contact_sheet(seen: Inspection, pairs: Sequence[PairPreview]) -> np.ndarray:
    """Pairs of every split, input and target side by side with a caption: uint8 ``[H, W, 3]``.

    Pictures of differing sizes are scaled into cells of one size; a pair that cannot be read is
    a grey cell that says so.

    Args:
      seen: the data set.
      pairs: what to show, at least one, in the order of the splits.
    """
    cell = cell_size(pairs)
    blocks = []
    for split in dict.fromkeys(pair.split for pair in pairs):
        shown = [pair for pair in pairs if pair.split == split]
        rows = [_row(shown[i : i + _PAIRS_A_ROW], cell) for i in range(0, len(shown), _PAIRS_A_ROW)]
        blocks += [(f"{split}: {_shown_text(seen, split, len(shown))}", rows)]
    width = blocks[0][1][0].shape[1]
    parts = []
    for title, rows in blocks:
        parts += [_heading(title, width), *rows]
    return np.concatenate(parts)


def cell_size(pairs: Sequence[PairPreview]) -> tuple[int, int]:
    """Height and width of the cells: of the pictures' shape where all are alike, else square."""
    sizes = {p.shape[:2] for pair in pairs for p in (pair.x, pair.y) if p is not None}
    if not sizes:
        return _SMALLEST_CELL, _SMALLEST_CELL
    longest = min(_CELL, max(_SMALLEST_CELL, *(max(size) for size in sizes)))
    if len(sizes) > 1:
        return longest, longest
    height, width = sizes.pop()
    scale = longest / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def fitted(picture: np.ndarray | None, cell: tuple[int, int]) -> np.ndarray:
    """A picture scaled into a cell, keeping its shape, on white: uint8 ``[*cell, 3]``.

    Made larger it keeps its pixels as squares. None becomes a cell that says "unreadable".
    """
    height, width = cell
    if picture is None:
        empty = Image.new("RGB", (width, height), _NOTHING)
        font = ImageFont.load_default(size=max(8, width // 9))
        ImageDraw.Draw(empty).text(
            (width / 2, height / 2), "unreadable", _INK, font=font, anchor="mm"
        )
        return np.asarray(empty)
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    how = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    canvas = Image.new("RGB", (width, height), "white")
    scaled = Image.fromarray(np.ascontiguousarray(picture)).resize(size, how)
    canvas.paste(scaled, ((width - size[0]) // 2, (height - size[1]) // 2))
    return np.asarray(canvas)


def _row(pairs: Sequence[PairPreview], cell: tuple[int, int]) -> np.ndarray:
    white = np.full((cell[0], _GAP // 2, 3), 255, np.uint8)
    tiles = [
        np.concatenate([fitted(pair.x, cell), white, fitted(pair.y, cell)], axis=1)
        for pair in pairs
    ]
    tiles += [np.full_like(tiles[0], 255)] * (_PAIRS_A_ROW - len(tiles))
    names = [pair.name for pair in pairs] + [""] * (_PAIRS_A_ROW - len(pairs))
    return picture_grid([tile[None] for tile in tiles], names, gap=2 * _GAP)


def _heading(title: str, width: int) -> np.ndarray:
    strip = Image.new("RGB", (width, _HEADING), "white")
    font = ImageFont.load_default(size=_HEADING * 0.7)
    ImageDraw.Draw(strip).text((2 * _GAP, _HEADING / 2), title, _INK, font=font, anchor="lm")
    return np.asarray(strip)


def _shown_text(seen: Inspection, split: str, shown: int) -> str:
    total = seen.counts[split]
    part = "" if shown == total else f", {shown} shown"
    if seen.unpaired:
        x, y = seen.unpaired[split]
        some = "" if shown == total else f", {shown} of each shown"
        return f"{x:,} and {y:,} images{some}; input | target, no pairs"
    return f"{count_text(total, 'pair')}{part}; input | target"


# === Facts in words ===


def fact_rows(seen: Inspection) -> list[tuple[str, str]]:
    """The facts as (name, text), a short line each, for the terminal and the page."""
    rows = [("data set", f"{seen.name} ({seen.layout}, {seen.direction})")]
    if seen.unpaired:
        both = [f"{x:,} and {y:,} {split}" for split, (x, y) in seen.unpaired.items()]
        rows.append(("images", f"{', '.join(both)} (input and target)"))
    else:
        counts = ", ".join(f"{n:,} {split}" for split, n in seen.counts.items())
        if seen.looked_at < sum(seen.counts.values()):
            counts += f" ({seen.looked_at:,} looked at)"
        rows.append(("pairs", counts))
    sides = seen.sides
    sizes = {name: sizes_text(side.sizes) for name, side in sides.items()}
    if sizes and len(set(sizes.values())) == 1:
        rows.append(("size", sizes["input"]))
    for name, side in sides.items():
        size = "" if len(set(sizes.values())) == 1 else f"; {sizes[name]}"
        rows.append((name, f"{side.letter}: {side.describe()}{size}"))
    if seen.spec is not None and not seen.refusal:
        rows.append(("trained as", seen.spec.describe()))
    rows += [("labels", text) for text in _label_texts(seen)]
    if seen.extensions:
        kinds = ", ".join(f"{n:,} {extension}" for extension, n in seen.extensions.items())
        rows.append(("files", f"{kinds}; {_bytes(seen.file_bytes)}"))
    if seen.decoded:
        kept = [f"{split} {_bytes(n)} {_KEPT[cache]}" for split, (n, cache) in seen.decoded.items()]
        rows.append(("decoded", ", ".join(kept)))
    if seen.duplicates is None:
        rows.append(("duplicates", "not looked for"))
    elif not seen.duplicates:
        where = "on a side nor across" if seen.unpaired else "across splits nor within one"
        rows.append(("duplicates", f"none, neither {where}"))
    else:
        rows.append(
            ("duplicates", f"{len(seen.duplicates):,}, {len(seen.leaks):,} of them across splits")
        )
    return rows


def _label_texts(seen: Inspection) -> list[str]:
    texts = []
    # Of a set that is refused it is not known which side was meant.
    label_side = seen.spec.label_side if seen.spec is not None and not seen.refusal else ""
    for name, side in seen.sides.items():
        if side.covered is not None and label_side in ("", name):
            texts.append(f"the palette explains {side.covered:.1%} of the {name}'s flat pixels")
        if side.found is not None:
            texts.append(_found_text(name, side.found))
    if seen.index_maps:
        folders = ", ".join(f"{folder} ({n:,})" for folder, n in seen.index_maps.items())
        texts.append(f"index maps beside the pairs: {folders}; --label_palette reads them")
    return texts


def _found_text(name: str, found: FoundPalette) -> str:
    what = "values" if found.indices else "colours"
    if found.builtin and found.indices:
        options = " or ".join(f"--label_palette={known}" for known in found.builtin)
        return (
            f"the {name} looks like an index map of {len(found.colors)} values ({_shares(found)}); "
            f"if they are those of a palette that is known, {options}"
        )
    if found.builtin:
        return (
            f"the {name} is painted in '{found.builtin[0]}' ({found.covered:.1%} of its flat "
            f"pixels); try --label_palette={found.builtin[0]}"
        )
    advice = "" if found.exact else "; a palette JSON with these could name its classes"
    return f"the {name} has only {len(found.colors)} {what} ({_shares(found)}){advice}"


def _shares(found: FoundPalette) -> str:
    """The first colours, or values of index maps, and how much of the pixels has each."""
    shown = ", ".join(
        f"{color.rgb[0] if found.indices else color.hex} {color.share:.1%}"
        for color in found.colors[:5]
    )
    return shown + (", ..." if len(found.colors) > 5 else "")


def _bytes(count: int) -> str:
    if count < 2**20:
        return f"{count / 2**10:,.0f} KiB"
    return f"{count / 2**20:,.0f} MiB" if count < 2**30 else f"{count / 2**30:,.1f} GiB"


# === The page ===


def write_dataset_page(
    path: str | os.PathLike, seen: Inspection, pairs: Sequence[PairPreview], remarks: Sequence[str]
) -> Path:
    """Writes the page of a data set, whole or not at all; it loads nothing from anywhere.

    Args:
      path: the file.
      seen: the data set.
      pairs: the pairs that it shows.
      remarks: further remarks, as on what was written beside the page.

    Returns:
      `path`.

    Raises:
      OSError: the page cannot be written.
    """
    environment = templates()
    cell = cell_size(pairs)
    html = environment.get_template("dataset.html").render(
        name=seen.name,
        summary=seen.summary,
        accepted=not seen.refusal,
        refusal=seen.refusal.split("\n")[0],
        faults=[(f.what, len(f.entries), f.entries[:_LISTED]) for f in seen.faults],
        warnings=seen.warnings,
        notes=[*seen.notes, *remarks],
        facts=fact_rows(seen),
        sides=seen.sides,
        sizes_text=sizes_text,
        shown_as="Both sides" if seen.unpaired else "Pairs",
        duplicates=(seen.duplicates or [])[:_LISTED],
        duplicate_count=len(seen.duplicates or ()),
        splits=[
            (split, _shown_text(seen, split, len(shown)), shown)
            for split in seen.counts
            if (shown := [pair for pair in pairs if pair.split == split])
        ],
        picture=lambda image: data_uri(fitted(image, cell)),
        tile=2 * cell[1],
        written=datetime.now().astimezone(),
    )
    path = Path(path)
    write_bytes(path, html.encode("utf-8", "replace"))
    return path


def write_contact_sheet(
    path: str | os.PathLike, seen: Inspection, pairs: Sequence[PairPreview]
) -> Path:
    """Writes `contact_sheet` as a PNG file, whole or not at all; returns its path."""
    path = Path(path)
    write_bytes(path, encode_png(contact_sheet(seen, pairs)))
    return path
