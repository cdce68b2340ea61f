"""The tables as experiments: which networks each row trains, and what scores them.

The papers' own figures are data, ``paper.json`` beside this file, with the number of each table.
Not of the pix2pix paper are CycleGAN's, whose rows stand in ``unpaired.py``, and ours: ``recipe``,
with its rows in ``recipe.py``, ``diversity``, in ``variety.py``, and ``onehot``, in ``onehot.py``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import nearest
from tfpix2pix.reproduction import onehot, recipe, unpaired, variety

if TYPE_CHECKING:
    from tfpix2pix.evaluation.base import Number

PHOTO, LABELS = "labels_to_photo", "photo_to_labels"
MINUTES, STEPS = "minutes", "steps"  # what the rows of a table have the same of

# Fields of the config that the tables decide themselves, or that would make no sense in them.
DECIDED = {
    "direction",
    "label_side",
    "data",
    "disjoint_stems",
    "loss",
    "generator",
    "receptive_field",
    "color_space",
    "input_encoding",
    "target_encoding",
    "input_dir",
    "target_dir",
    "best_metric",
    "patience",
}


# Fields of a variant that decide how its pairs are opened.
_OF_PAIRS = ("target_encoding", "target_ignore")


@dataclass(frozen=True)
class Pairs:
    """How the pairs of a variant are opened: the task, and fields of the config."""

    task: str
    fields: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Variant:
    """One network to train; rows of several tables may share it.

    Attributes:
      key: its folder, unique over all tables.
      fields: what it sets in the config. Where ``algorithm`` is among them the rest of its config
        is what all runs share and that algorithm's defaults, else it is the base config.
      task: `PHOTO` (labels are the input) or `LABELS` (labels are the target).
      asks: fields of the base config that it has, and that are not to be empty.
    """

    key: str
    fields: Mapping[str, Any] = dataclasses.field(hash=False)
    task: str = PHOTO
    asks: tuple[str, ...] = ()

    @property
    def pairs(self) -> Pairs:
        found = {name: self.fields[name] for name in _OF_PAIRS if name in self.fields}
        return Pairs(self.task, tuple(found.items()))


def of_paper(
    task: str = PHOTO, loss: str = "l1+cgan", generator: str = "unet", receptive_field: int = 70
) -> Variant:
    """A network of the paper's tables, named by everything in which it differs from the others."""
    patch = "" if loss == "l1" else f"-patch{receptive_field}"
    return Variant(
        f"{task}-{generator}-{loss}{patch}",
        {"loss": loss, "generator": generator, "receptive_field": receptive_field},
        task,
    )


@dataclass(frozen=True)
class Row:
    """A row: its key (of the paper's: in ``paper.json``), its title, the network behind it, and a
    title that fits above a picture."""

    key: str
    title: str
    variant: Variant
    short: str = ""


@dataclass(frozen=True)
class Aim:
    """What the rows of a table are after.

    Attributes:
      numbers: the first is to be larger than the first row's; others are told beside it.
      times: how many times.
      kept: numbers that must not be worse than the first row's, by what the table calls worse.
    """

    numbers: tuple[str, ...]
    times: float
    kept: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table: of a paper, or of our own, where every row is held against the first.

    Attributes:
      name: of its files, and after ``--table=``.
      rows: in the paper's order.
      evaluators: the measures of the columns (`tfpix2pix.evaluation`).
      numbers: of these measures, one for each column; empty where they are found out from what was
        measured (`with_columns`).
      headings: of the columns.
      truth: the number of the ground-truth row in each column; empty for none.
      figure: which figure of the paper shows such rows of pictures.
      digits: of the columns, after the point.
      task: in which its rows are scored; one that learned both ways may have been trained in the
        other.
      group: a name for several tables, after ``--table=``; empty for its own.
      unit: key of the row whose step is the unit of time of the others; empty where the rows of a
        table have nothing but the same steps. Of a table that has one rows can be chosen.
      same: what its rows have the same of unless somebody asks, `MINUTES` or `STEPS`.
      samples: of each input, in scoring.
      aim: that rows may reach; None for none.
    """

    name: str
    rows: tuple[Row, ...]
    evaluators: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    truth: tuple[str, ...] = ()
    figure: str = ""
    digits: tuple[int, ...] = ()
    task: str = PHOTO
    group: str = ""
    unit: str = ""
    same: str = STEPS
    samples: int = 1
    aim: Aim | None = None

    @property
    def paper(self) -> dict[str, Any] | None:
        """The paper's own figures: number, title, data, columns, rows; None of our own tables. Rows
        may be missing, and ``source`` says which paper it is where it is not pix2pix's."""
        return paper()["tables"].get(self.name)

    @property
    def label(self) -> str:
        """What it is called: ``Table 1``, ``Recipe``."""
        return self.paper["number"] if self.paper else self.name.capitalize()

    @property
    def title(self) -> str:
        """What it is about."""
        return self.paper["title"] if self.paper else _OWN_TITLES[self.name]

    @property
    def asked(self) -> str:
        """What ``--table=`` calls it."""
        return self.group or self.name

    @property
    def variants(self) -> list[Variant]:
        return [row.variant for row in self.rows]

    @property
    def unit_variant(self) -> Variant:
        """The network behind `unit`, whichever rows were chosen."""
        return next(row.variant for row in TABLES[self.name].rows if row.key == self.unit)


_OWN_TITLES = {
    "recipe": "what else there is, against the paper's recipe",
    onehot.NAME: onehot.TITLE,
    variety.NAME: variety.TITLE,
}

_SEGMENTATION = ("Per-pixel acc.", "Per-class acc.", "Class IoU")
_FCN = tuple(f"fcn_{name}" for name in ("per_pixel", "per_class", "iou"))
_FCN_TRUTH = tuple(f"fcn_truth_{name}" for name in ("per_pixel", "per_class", "iou"))
_LABELS = tuple(f"labels_{name}" for name in ("per_pixel", "per_class", "iou"))


def _losses(names: tuple[str, ...], task: str = PHOTO) -> tuple[Row, ...]:
    titles = {"l1": "L1", "gan": "GAN", "cgan": "cGAN", "l1+gan": "L1+GAN", "l1+cgan": "L1+cGAN"}
    return tuple(Row(name, titles[name], of_paper(task=task, loss=name)) for name in names)


def _unpaired(
    task: str, evaluators: tuple[str, ...], numbers: tuple[str, ...], truth: tuple[str, ...] = ()
) -> Table:
    """A table of `unpaired.ROWS`: what learned both ways is trained from labels to photographs."""
    rows = []
    for row in unpaired.ROWS:
        key = f"{unpaired.NAME}-{row.key}"
        variant = Variant(key, row.fields)
        if not row.two_way:
            variant = Variant(f"{key}-{task}", row.fields, task)
        rows.append(Row(row.key, row.title, variant, row.short))
    return Table(
        f"{unpaired.NAME}_{'photo' if task == PHOTO else 'labels'}",
        tuple(rows),
        evaluators,
        numbers,
        _SEGMENTATION,
        truth,
        task=task,
        group=unpaired.NAME,
        unit=unpaired.UNIT,
    )


TABLES = {
    table.name: table
    for table in (
        Table(
            "losses",
            _losses(("l1", "gan", "cgan", "l1+gan", "l1+cgan")),
            ("fcn",),
            _FCN,
            _SEGMENTATION,
            _FCN_TRUTH,
            "Figure 4",
        ),
        Table(
            "generators",
            tuple(
                Row(
                    f"{generator}/{loss}",
                    f"{'U-net' if generator == 'unet' else 'Encoder-decoder'} "
                    f"({'L1' if loss == 'l1' else 'L1+cGAN'})",
                    of_paper(generator=generator, loss=loss),
                    f"{'U-net' if generator == 'unet' else 'Enc-dec'} "
                    f"{'L1' if loss == 'l1' else 'L1+cGAN'}",
                )
                for generator in ("encoder_decoder", "unet")
                for loss in ("l1", "l1+cgan")
            ),
            ("fcn",),
            _FCN,
            _SEGMENTATION,
            _FCN_TRUTH,
            "Figure 5",
        ),
        Table(
            "patches",
            tuple(
                Row(str(size), f"{size}x{size}", of_paper(receptive_field=size))
                for size in (1, 16, 70, 286)
            ),
            ("fcn",),
            _FCN,
            _SEGMENTATION,
            _FCN_TRUTH,
            "Figure 6",
        ),
        Table(
            "labels",
            _losses(("l1", "cgan", "l1+cgan"), LABELS),
            ("labels",),
            _LABELS,
            _SEGMENTATION,
            figure="Figure 10",
            task=LABELS,
        ),
        Table(
            "colour",
            (
                *_losses(("l1", "cgan", "l1+cgan")),
                Row("pixelgan", "PixelGAN", of_paper(receptive_field=1)),
            ),
            ("color",),
            ("color_l", "color_a", "color_b"),
            ("L", "a", "b"),
            figure="Figure 7",
        ),
        Table(
            "recipe",
            tuple(
                Row(
                    row.key,
                    row.title,
                    Variant(f"recipe-{row.key}", row.fields, asks=row.asks),
                    row.key,
                )
                for row in recipe.ROWS
            ),
            (
                *("fcn", "scorer_kid", "scorer_fid", "grid", "swd"),
                *("sharpness", "color", "l1", "psnr", "ssim", "ms_ssim"),
            ),
            unit=recipe.ROWS[0].key,
            same=MINUTES,
        ),
        Table(
            variety.NAME,
            tuple(
                Row(row.key, row.title, Variant(f"{variety.NAME}-{row.key}", row.fields), row.short)
                for row in variety.ROWS
            ),
            (
                *("fcn", "scorer_kid", "diversity", "scorer_diversity", "fcn_samples"),
                *("chroma", "color", "sharpness", "swd"),
            ),
            (
                *("diversity", "scorer_diversity", "fcn_samples_iou", "fcn_samples_per_pixel"),
                *("fcn_worst_iou", "scorer_kid", "chroma", "chroma_ratio"),
            ),
            (
                *("Pixel diversity", "Feature diversity", "Label IoU", "Label accuracy"),
                *("Worst sample's IoU", "Scorer-KID", "Chroma", "Mean chroma / truth"),
            ),
            ("", "", "fcn_truth_iou", "fcn_truth_per_pixel", "", "", "", ""),
            digits=(4, 4, 3, 3, 3, 4, 3, 3),
            unit=variety.UNIT,
            samples=variety.SAMPLES,
            aim=Aim(
                ("scorer_diversity", "diversity"),
                variety.TIMES,
                ("scorer_kid", "fcn_samples_iou"),
            ),
        ),
        Table(
            onehot.NAME,
            tuple(
                Row(row.key, row.title, Variant(f"{onehot.NAME}-{row.key}", row.fields, LABELS))
                for row in onehot.ROWS
            ),
            ("labels",),
            _LABELS,
            _SEGMENTATION,
            task=LABELS,
            unit=onehot.ROWS[0].key,
            same=MINUTES,
        ),
        _unpaired(PHOTO, ("fcn",), _FCN, truth=_FCN_TRUTH),
        _unpaired(LABELS, ("labels",), _LABELS),
    )
}
CHOSEN = tuple(name for name, table in TABLES.items() if table.unit)
"""Tables of which rows are chosen; ``--table=all`` leaves them out."""


@functools.cache
def paper() -> dict[str, Any]:
    """``paper.json``: the paper's own figures, by table and row."""
    return json.loads(Path(__file__).with_name("paper.json").read_text(encoding="utf-8"))


def chosen_tables(text: str) -> list[Table]:
    """The tables that ``--table=`` names: one, several with commas between them, or ``all`` of the
    pix2pix paper's.

    Raises:
      UserError: there is no such table.
    """
    names = [n for n in TABLES if n not in CHOSEN] if text == "all" else text.split(",")
    names = ["colour" if name == "color" else name for name in names]
    known = table_names()
    for name in names:
        if name not in TABLES and name not in known:
            raise UserError(
                f"--table={text}: there is no table {name!r}{nearest(name, known)} (there are "
                f"{', '.join(known)}, or all)"
            )
    found = [t for name in names for t in TABLES.values() if name in (t.name, t.asked)]
    return list(dict.fromkeys(found))


def table_names() -> list[str]:
    """What ``--table=`` takes."""
    return list(dict.fromkeys(table.asked for table in TABLES.values()))


def variants_of(tables: Iterable[Table]) -> list[Variant]:
    """Every network that the tables need, once, in their order."""
    return list(dict.fromkeys(variant for table in tables for variant in table.variants))


def own_table(variant: Variant) -> Table | None:
    """The table of our own that a variant is of; None of a paper's."""
    own = (table for table in TABLES.values() if not table.paper)
    return next((table for table in own if variant in table.variants), None)


def chosen_rows(tables: Iterable[Table], text: str) -> list[Table]:
    """The tables with those rows alone that ``--rows=`` names, with commas between them.

    Raises:
      UserError: one of the tables is run as a whole, or has no such row.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    found = []
    for table in tables:
        known = [row.key for row in table.rows]
        if not table.unit:
            names_of_chosen = dict.fromkeys(TABLES[name].asked for name in CHOSEN)
            raise UserError(
                f"--rows={text}: rows are chosen of --table={'|'.join(names_of_chosen)}; another "
                "table of the paper is run as a whole"
            )
        for name in names or [""]:
            if name not in known:
                raise UserError(
                    f"--rows={text}: there is no row {name!r}{nearest(name, known)} (there are "
                    f"{', '.join(known)})"
                )
        found.append(_only(table, names))
    return found


def rows_as_given(tables: Iterable[Table], given: Collection[str]) -> list[Table]:
    """The tables without rows that ask for a flag which was not given."""
    return [
        _only(table, [row.key for row in table.rows if set(row.variant.asks) <= set(given)])
        for table in tables
    ]


def with_known_rows(table: Table, keys: Collection[str]) -> Table:
    """The table with its own rows, and those whose variants have one of the keys."""
    own = {row.key for row in table.rows}
    own |= {row.key for row in TABLES[table.name].rows if row.variant.key in keys}
    return _only(TABLES[table.name], own)


def _only(table: Table, keys: Collection[str]) -> Table:
    return dataclasses.replace(table, rows=tuple(r for r in table.rows if r.key in keys))


def with_columns(table: Table, measured: Collection[str]) -> Table:
    """The table with a column for each number that its rows can be ordered by.

    Args:
      table: whose columns are still open; another one is returned as it is.
      measured: names of all numbers that there are.
    """
    from tfpix2pix.evaluation.registry import numbers_of

    if table.numbers:
        return table
    names = known_evaluators(table)
    numbers = [n for n in numbers_of(names) if n.name in measured and goal_of(n)]
    return dataclasses.replace(
        table,
        numbers=tuple(n.name for n in numbers),
        headings=tuple(n.title for n in numbers),
        truth=tuple(_of_truth(n.name, measured) for n in numbers),
        digits=tuple(max(3, n.digits) for n in numbers),
    )


def known_evaluators(table: Table) -> list[str]:
    """The table's measures, as far as there are such."""
    from tfpix2pix.evaluation.registry import EVALUATORS

    return [name for name in table.evaluators if name in EVALUATORS]


def goal_of(number: Number) -> str:
    """Where a number should go: ``higher``, ``lower``, ``1`` (a share of the truth's), or nowhere,
    the empty string."""
    return number.better or ("1" if number.name.endswith("_ratio") else "")


def _of_truth(name: str, measured: Collection[str]) -> str:
    """The number that has the same of the targets themselves; empty where there is none."""
    evaluator, _, rest = name.partition("_")
    of_truth = f"{evaluator}_truth_{rest}"
    return of_truth if of_truth in measured else ""
