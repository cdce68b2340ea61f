"""The rows of ``--table=onehot``: photographs to labels, as colours and as classes.

Not a table of the paper, whose Table 6 has the first two rows: here their outputs are held against
networks that give a probability for each class. Every row leaves void pixels out of its losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfpix2pix.reproduction.recipe import Recipe, preset_fields

NAME = "onehot"
"""After ``--table=``."""
TITLE = "photo to labels: colours, or classes by cross-entropy"

_COLOURS: Mapping[str, Any] = {"target_ignore": "void"}
_CLASSES: Mapping[str, Any] = {
    **_COLOURS,
    "target_encoding": "onehot",
    "best_metric": "labels_iou",
    "balance": 0.0,
    "lambda_ce": 100.0,
}
_CE = {**_CLASSES, "loss": "l1"}  # the reconstruction term alone
_BEST = preset_fields("best")


def _cgan(weight: float, **more: Any) -> Mapping[str, Any]:
    return {**_CLASSES, "lambda_ce": weight, **more}


ROWS: tuple[Recipe, ...] = (
    Recipe("l1", "Colours, L1", {**_COLOURS, "loss": "l1"}),
    Recipe("l1+cgan", "Colours, L1+cGAN", _COLOURS),
    Recipe("ce", "Cross-entropy", _CE),
    Recipe("ce+cgan_10", "Cross-entropy 10 + cGAN", _cgan(10.0)),
    Recipe("ce+cgan_100", "Cross-entropy 100 + cGAN", _cgan(100.0)),
    Recipe("ce_balanced", "Cross-entropy, balanced", {**_CE, "balance": 0.5}),
    Recipe("ce+cgan_balanced", "Cross-entropy 100 + cGAN, balanced", _cgan(100.0, balance=0.5)),
    Recipe("ce_best", "Cross-entropy, preset best", {**_BEST, **_CE}),
    Recipe("ce+cgan_best", "Cross-entropy 100 + cGAN, preset best", {**_BEST, **_cgan(100.0)}),
)
