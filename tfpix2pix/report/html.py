"""The HTML templates in `templates/`: one per kind of page, all of them within `base.html`."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from tfpix2pix.base.version import __version__


def templates() -> Environment:
    """Gives the pages' templates: values are escaped, an undefined name is an error."""
    environment = Environment(
        loader=PackageLoader("tfpix2pix.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = __version__
    return environment
