"""The rows of ``--table=diversity``: ways to get several answers of one input, and truer colours.

Not a table of the paper, which leaves the question open (section 3.1). Every row is held against
the first, pix2pix with dropout for z.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

NAME = "diversity"
"""After ``--table=``."""
UNIT = "pix2pix"
"""The row that has ``--steps``, where rows have the same minutes."""
SAMPLES = 20
"""Of each input, as in the papers."""
TIMES = 20.0
"""How many times the diversity of dropout a way is to have."""

# The generator of preset best, for all; the rest is each algorithm's own.
_GENERATOR: Mapping[str, Any] = MappingProxyType(
    {
        "generator": "unet",
        "bottleneck": 8,
        "upsampling": "nearest",
        "padding": "replicate",
        "norm": "instance",
        "ema": 0.995,
        "learning_rate": 2e-4,
        "lr_schedule": "constant",
    }
)
_PIX2PIX: Mapping[str, Any] = MappingProxyType(
    {
        **_GENERATOR,
        "algorithm": "pix2pix",
        "dropout": 0.5,
        "gan_loss": "hinge",
        "lambda_feature_matching": 10.0,
        "lambda_l1": 30.0,
    }
)
_LATENT: Mapping[str, Any] = MappingProxyType({**_PIX2PIX, "latent": 8})
_CHROMA = {"lambda_chroma": 10.0}


class Way(NamedTuple):
    """A row.

    Attributes:
      key: after ``--rows=``.
      title, short: in tables, and above pictures.
      fields: all that it sets in the config, ``algorithm`` among them.
    """

    key: str
    title: str
    short: str
    fields: Mapping[str, Any]


ROWS: tuple[Way, ...] = (
    Way(UNIT, "Dropout z (pix2pix)", "dropout z", _PIX2PIX),
    Way("no_dropout", "No dropout", "no dropout", {**_PIX2PIX, "dropout": 0.0}),
    Way("latent", "Latent alone", "latent", _LATENT),
    Way("chroma", "Dropout z, chroma", "chroma", {**_PIX2PIX, **_CHROMA}),
)
