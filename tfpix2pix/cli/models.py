"""What ``--workdir=RUN`` and ``--model=EXPORT|URL`` name, for the commands that take both."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfpix2pix.inference import Model


def model_of(args: argparse.Namespace, direction: str = "") -> Model:
    """The run, not loaded yet, or the export or server.

    Raises:
      UserError: there is none, or none of that direction.
    """
    from tfpix2pix.inference import Model

    if args.workdir:
        return Model.of_run(args.workdir, args.checkpoint, args.weights, direction)
    from tfpix2pix.export.opening import open_named

    return Model.of_translator(args.model, open_named(args.model, direction))
