"""The HTML templates, which stand in the folder beside this."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates() -> Environment:
    """Where the pages' templates come from: escaped, and with no name left undefined."""
    return Environment(
        loader=PackageLoader("tfpix2pix.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
