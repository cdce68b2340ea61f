"""The paper's ablation tables as experiments: which networks each row trains, and what scores them.

The paper's own figures are data, ``paper.json`` beside this file, with the number of each table.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import nearest

PHOTO, LABELS = "labels_to_photo", "photo_to_labels"

# Fields of the config that the tables decide themselves, or that would make no sense in them.
DECIDED = {
    "direction",
    "label_side",
    "loss",
    "generator",
    "receptive_field",
    "color_space",
    "input_encoding",
    "input_dir",
    "target_dir",
    "best_metric",
}


@dataclass(frozen=True)
class Variant:
    """One network to train; rows of several tables may share it.

    Attributes:
      task: `PHOTO` (labels are the input) or `LABELS` (labels are the target).
      loss, generator, receptive_field: the config's fields of these names.
    """

    task: str = PHOTO
    loss: str = "l1+cgan"
    generator: str = "unet"
    receptive_field: int = 70

    @property
    def key(self) -> str:
        """Its folder: everything by which it differs from the others."""
        patch = "" if self.loss == "l1" else f"-patch{self.receptive_field}"
        return f"{self.task}-{self.generator}-{self.loss}{patch}"

    @property
    def fields(self) -> dict[str, Any]:
        """What it sets in the config."""
        return {
            "loss": self.loss,
            "generator": self.generator,
            "receptive_field": self.receptive_field,
        }


@dataclass(frozen=True)
class Row:
    """A row: its key in ``paper.json``, its title, the network behind it, and a title that fits
    above a picture."""

    key: str
    title: str
    variant: Variant
    short: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
      name: after ``--table=``.
      rows: in the paper's order.
      evaluator: the measure of the paper's columns (`tfpix2pix.evaluation`).
      numbers: that measure's numbers, in the order of the paper's columns.
      headings: of these columns.
      truth: the numbers of the ground-truth row; empty for none.
      figure: which figure of the paper shows such rows of pictures.
    """

    name: str
    rows: tuple[Row, ...]
    evaluator: str
    numbers: tuple[str, ...]
    headings: tuple[str, ...]
    truth: tuple[str, ...] = ()
    figure: str = ""

    @property
    def paper(self) -> dict[str, Any]:
        """The paper's own figures: number, title, data, columns, rows."""
        return paper()["tables"][self.name]

    @property
    def task(self) -> str:
        return self.rows[0].variant.task

    @property
    def variants(self) -> list[Variant]:
        return [row.variant for row in self.rows]


_SEGMENTATION = ("Per-pixel acc.", "Per-class acc.", "Class IoU")
_FCN = tuple(f"fcn_{name}" for name in ("per_pixel", "per_class", "iou"))
_FCN_TRUTH = tuple(f"fcn_truth_{name}" for name in ("per_pixel", "per_class", "iou"))


def _losses(names: tuple[str, ...], task: str = PHOTO) -> tuple[Row, ...]:
    titles = {"l1": "L1", "gan": "GAN", "cgan": "cGAN", "l1+gan": "L1+GAN", "l1+cgan": "L1+cGAN"}
    return tuple(Row(name, titles[name], Variant(task=task, loss=name)) for name in names)


TABLES = {
    table.name: table
    for table in (
        Table(
            "losses",
            _losses(("l1", "gan", "cgan", "l1+gan", "l1+cgan")),
            "fcn",
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
                    Variant(generator=generator, loss=loss),
                    f"{'U-net' if generator == 'unet' else 'Enc-dec'} "
                    f"{'L1' if loss == 'l1' else 'L1+cGAN'}",
                )
                for generator in ("encoder_decoder", "unet")
                for loss in ("l1", "l1+cgan")
            ),
            "fcn",
            _FCN,
            _SEGMENTATION,
            _FCN_TRUTH,
            "Figure 5",
        ),
        Table(
            "patches",
            tuple(
                Row(str(size), f"{size}x{size}", Variant(receptive_field=size))
                for size in (1, 16, 70, 286)
            ),
            "fcn",
            _FCN,
            _SEGMENTATION,
            _FCN_TRUTH,
            "Figure 6",
        ),
        Table(
            "labels",
            _losses(("l1", "cgan", "l1+cgan"), LABELS),
            "labels",
            tuple(f"labels_{name}" for name in ("per_pixel", "per_class", "iou")),
            _SEGMENTATION,
            figure="Figure 10",
        ),
        Table(
            "colour",
            (
                *_losses(("l1", "cgan", "l1+cgan")),
                Row("pixelgan", "PixelGAN", Variant(receptive_field=1)),
            ),
            "color",
            ("color_l", "color_a", "color_b"),
            ("L", "a", "b"),
            figure="Figure 7",
        ),
    )
}


@functools.cache
def paper() -> dict[str, Any]:
    """``paper.json``: the paper's own figures, by table and row."""
    return json.loads(Path(__file__).with_name("paper.json").read_text(encoding="utf-8"))


def chosen_tables(text: str) -> list[Table]:
    """The tables that ``--table=`` names: one, several with commas between them, or ``all``.

    Raises:
      UserError: there is no such table.
    """
    names = list(TABLES) if text == "all" else text.split(",")
    names = ["colour" if name == "color" else name for name in names]
    for name in names:
        if name not in TABLES:
            raise UserError(
                f"--table={text}: there is no table {name!r}{nearest(name, TABLES)} (there are "
                f"{', '.join(TABLES)}, or all)"
            )
    return [TABLES[name] for name in dict.fromkeys(names)]


def variants_of(tables: Iterable[Table]) -> list[Variant]:
    """Every network that the tables need, once, in their order."""
    return list(dict.fromkeys(variant for table in tables for variant in table.variants))
