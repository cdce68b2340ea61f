"""What ``--workdir=RUN`` and ``--model=EXPORT|URL`` name, for the commands that take both."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfpix2pix.inference import Model, Translator


def model_of(args: argparse.Namespace) -> Model:
    """The run, not loaded yet, or the export or server.

    Raises:
      UserError: there is none.
    """
    from tfpix2pix.inference import Model

    if args.workdir:
        return Model.of_run(args.workdir, args.checkpoint)
    return Model.of_translator(args.model, open_export(args.model))


def open_export(name: str) -> Translator:
    """What ``--model`` names: a server, a file or a folder.

    Raises:
      UserError: nothing that can be opened is there.
    """
    if "://" in name:
        from tfpix2pix.export.remote import open_remote

        return open_remote(name)
    from tfpix2pix.base.quiet import import_tensorflow
    from tfpix2pix.export.opening import find_artifact, open_model

    find_artifact(name)  # refused before TensorFlow takes its seconds
    import_tensorflow()
    return open_model(name)
