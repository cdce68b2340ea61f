"""The rows of ``--table=recipe``: the paper's recipe, what else there is, one by one and together.

Not a table of the paper: nothing of it stands in ``paper.json``, and every row is held against the
first one, which is the paper's recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tfpix2pix.algorithms import registry

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
        "learning_rate": 2e-4,
        "learning_rate_d": 0.0,
        "augment": "none",
        "lambda_l1": 100.0,
        "perceptual": "",
        "lambda_perceptual": 0.0,
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
      asks: fields that it has of the command, which has to give them.
    """

    key: str
    title: str
    changes: Mapping[str, Any]
    asks: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """All that it sets in the config."""
        fields = {**PAPER, **self.changes}
        return {name: value for name, value in fields.items() if name not in self.asks}


_EMA = {"ema": 0.995}
_GROUP = {"norm": "group"}
_MATCHING = {"lambda_feature_matching": 10.0}
_HINGE = {"gan_loss": "hinge"}
_NOISE = {"noise_channels": 4}
_SHALLOW = {"bottleneck": 8}
_NEAREST = {"upsampling": "nearest"}
# With which a constant input gives a constant output: nothing says where the border is.
_PLACELESS = _NEAREST | {"padding": "replicate"}
_LAST = {"last_channels": 16}
_RATE = {"learning_rate": 4e-4}
_PERCEPTUAL = ("perceptual",)
_G = _EMA | _SHALLOW | _PLACELESS


def preset_fields(name: str) -> dict[str, Any]:
    """What a preset sets of the fields of a row."""
    values = registry.config_class(registry.DEFAULT).PRESETS[name].values
    return {field: value for field, value in values.items() if field in PAPER}


_BEST = preset_fields("best")
_QUICK = preset_fields("quick")
_SOFT = _QUICK | _NEAREST | _NOISE | {"lambda_l1": 80.0}  # of `quick` before

ROWS: tuple[Recipe, ...] = (
    Recipe("paper", "Paper", {}),
    Recipe("joint", "Joint step", {"updates": "joint"}),
    # One ingredient each.
    Recipe("ema", "EMA", _EMA),
    Recipe("hinge", "Hinge", _HINGE),
    Recipe("lsgan", "Least squares", {"gan_loss": "lsgan"}),
    Recipe("scales", "2 scales of D", {"discriminator_scales": 2}),
    Recipe("matching", "Feature matching", _MATCHING),
    Recipe("nearest", "Nearest up", _NEAREST),
    Recipe("placeless", "Nearest up, replicate padding", _PLACELESS),
    Recipe("smooth", "Nearest up, bilinear to full size", {"upsampling": "smooth"}),
    Recipe("bilinear", "Bilinear up", {"upsampling": "bilinear"}),
    Recipe("subpixel", "Sub-pixel up", {"upsampling": "subpixel"}),
    Recipe("last", "Last layer at full size", _LAST),
    Recipe("group", "Group norm", _GROUP),
    Recipe("bottleneck2", "Bottleneck 2 px", {"bottleneck": 2}),
    Recipe("bottleneck4", "Bottleneck 4 px", {"bottleneck": 4}),
    Recipe("bottleneck8", "Bottleneck 8 px", _SHALLOW),
    Recipe("noise", "Noise beside x", _NOISE),
    Recipe("no_dropout", "No dropout", {"dropout": 0.0}),
    Recipe("spectral", "Spectral norm", {"spectral_norm": True}),
    Recipe("r1", "R1", {"lambda_r1": 1.0}),
    Recipe("rate", "Rate doubled", _RATE),
    Recipe("two_rates", "D's rate doubled", {"learning_rate_d": 4e-4}),
    Recipe("augment", "DiffAugment", {"augment": "diffaugment"}),
    Recipe("decay", "Rate decays", {"lr_schedule": "linear"}),
    Recipe("perceptual", "Perceptual", {}, _PERCEPTUAL),
    # Together.
    Recipe("generator", "EMA and the new G", _G),
    Recipe("quick", "Soft (preset quick)", _QUICK),
    Recipe("soft", "Soft, noise beside x", _SOFT),
    Recipe("soft_50", "Soft, noise, L1 weight 50", _SOFT | {"lambda_l1": 50.0}),
    Recipe("best_noise", "Best, noise beside x", _BEST | _NOISE),
    Recipe("best_group", "Best, group norm", _BEST | _GROUP),
    Recipe("best_scales", "Best, 2 scales of D", _BEST | {"discriminator_scales": 2}),
    Recipe("best_vanilla", "Best, vanilla loss", _BEST | {"gan_loss": "vanilla"}),
    Recipe("best_lsgan", "Best, least squares", _BEST | {"gan_loss": "lsgan"}),
    Recipe("best_rate", "Best, rate doubled", _BEST | _RATE),
    Recipe("best_50", "Best, L1 weight 50", _BEST | {"lambda_l1": 50.0}),
    Recipe("best_perceptual", "Best, perceptual", _BEST, _PERCEPTUAL),
    Recipe("best", "Best (preset best)", _BEST),
)
