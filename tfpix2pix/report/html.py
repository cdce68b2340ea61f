"""The HTML templates in `templates/`: one per kind of page, all of them within `base.html`; and
those of `web/`, whose pages have scripts."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

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


def web_template(folder: str, name: str) -> Template:
    """A page of ``web/FOLDER/``, which may extend and include the reports' templates."""
    environment = templates()
    assert environment.loader is not None
    environment.loader = ChoiceLoader(
        [environment.loader, PackageLoader("tfpix2pix", f"web/{folder}")]
    )
    return environment.get_template(name)
