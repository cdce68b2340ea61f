"""The rows of ``--table=recipe``: the paper's recipe, what else there is, one by one and together.

Not a table of the paper: nothing of it stands in ``paper.json``, and every row is held against the
first one, which is the paper's recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

PAPER: Mapping[str, Any] = MappingProxyType(
    {
        "loss": "l1+cgan",
        "generator": "unet",
        "receptive_field": 70,
        "updates": "alternating",
        "ema": 0.0,
        "gan_loss": "vanilla",
        "discriminator_scales": 1,
        "lambda_feature_matching": 0.0,
        "upsampling": "transposed",
        "norm": "instance",
        "bottleneck": 1,
        "padding": "zeros",
        "last_channels": 0,
        "dropout": 0.5,
        "noise_channels": 0,
        "spectral_norm": False,
        "lambda_r1": 0.0,
        "learning_rate_d": 0.0,
        "augment": "none",
        "lambda_l1": 100.0,
        "lr_schedule": "constant",
    }
)
"""The paper's recipe in the config's fields: every row sets all of them, so that a preset which
has other values changes no row."""


class Recipe(NamedTuple):
    """A row.

    Attributes:
      key: after ``--rows=``.
      title: in tables.
      changes: fields in which it differs from `PAPER`.
    """

    key: str
    title: str
    changes: Mapping[str, Any]

    @property
    def fields(self) -> dict[str, Any]:
        """All that it sets in the config."""
        return {**PAPER, **self.changes}


_EMA = {"ema": 0.995}
_GROUP = {"norm": "group"}
_MATCHING = {"lambda_feature_matching": 10.0}
_HINGE = {"gan_loss": "hinge"}
_NOISE = {"noise_channels": 4}

ROWS: tuple[Recipe, ...] = (
    Recipe("paper", "Paper", {}),
    Recipe("joint", "Joint step", {"updates": "joint"}),
    # One ingredient each.
    Recipe("ema", "EMA", _EMA),
    Recipe("hinge", "Hinge", _HINGE),
    Recipe("lsgan", "Least squares", {"gan_loss": "lsgan"}),
    Recipe("scales", "2 scales of D", {"discriminator_scales": 2}),
    Recipe("matching", "Feature matching", _MATCHING),
    Recipe("nearest", "Nearest up", {"upsampling": "nearest"}),
    Recipe("bilinear", "Bilinear up", {"upsampling": "bilinear"}),
    Recipe("subpixel", "Sub-pixel up", {"upsampling": "subpixel"}),
    Recipe("group", "Group norm", _GROUP),
    Recipe("bottleneck2", "Bottleneck 2 px", {"bottleneck": 2}),
    Recipe("bottleneck4", "Bottleneck 4 px", {"bottleneck": 4}),
    Recipe("bottleneck8", "Bottleneck 8 px", {"bottleneck": 8}),
    Recipe("noise", "Noise beside x", _NOISE),
    Recipe("no_dropout", "No dropout", {"dropout": 0.0}),
    Recipe("spectral", "Spectral norm", {"spectral_norm": True}),
    Recipe("r1", "R1", {"lambda_r1": 1.0}),
    Recipe("two_rates", "D's rate doubled", {"learning_rate_d": 4e-4}),
    Recipe("augment", "DiffAugment", {"augment": "diffaugment"}),
    Recipe("decay", "Rate decays", {"lr_schedule": "linear"}),
    # Together.
    Recipe("ema_matching", "EMA, matching", _EMA | _MATCHING),
    Recipe("ema_group", "EMA, group norm", _EMA | _GROUP),
    Recipe("ema_bottleneck4", "EMA, bottleneck 4 px", _EMA | {"bottleneck": 4}),
    Recipe("ema_nearest", "EMA, hinge, nearest", _EMA | _HINGE | {"upsampling": "nearest"}),
    Recipe(
        "ema_noise",
        "EMA, hinge, matching, noise, bottleneck 4 px",
        _EMA | _HINGE | _MATCHING | _NOISE | {"bottleneck": 4},
    ),
    Recipe("best", "Best", _EMA | _HINGE | _MATCHING | _GROUP),
)
