"""The page to draw on in a folder, with a stand-in for the engine, so that no network is needed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, PackageLoader
from markupsafe import Markup

import tfpix2pix
from tfpix2pix.data import load_palette
from tfpix2pix.report.html import templates

WEB = Path(tfpix2pix.__file__).parent / "web" / "demo"


def facades() -> dict[str, Any]:
    """The palette, as models.json and contracts have it."""
    classes = load_palette("facades").classes
    return {"classes": [{"name": c.name, "color": list(c.color)} for c in classes]}


def model(name: str, kind: str, examples: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """An entry of models.json, of a network of 64x48 pixels (width x height).

    Args:
      name, kind, examples: of the entry; the title is the name with a capital letter.
      more: of its contract.
    """
    labels = facades() if kind == "labels" else None
    grey = kind == "lines"
    contract: dict[str, Any] = {
        "x": {"channels": ["grey"] if grey else ["red", "green", "blue"]},
        "noise": {"channels": 16},
        "latent": None,
        "image_size": "any",
        "size_multiple": 16,
        "max_pixels": 512 * 512,
        "config": {"crop_size": "48x64"},
        **more,
    }
    entry = {"name": name, "title": name.title(), "input": kind, "labels": labels}
    return {**entry, "contract": contract, "examples": [*examples]}


def write_folder(folder: Path, models: list[Mapping[str, Any]]) -> None:
    """Writes page and scripts into a folder, which a server then hands out."""
    shutil.copytree(WEB, folder, dirs_exist_ok=True)
    # `../shared` of a page at a server's root.
    shutil.copytree(WEB.with_name("shared"), folder / "shared")
    shutil.copy(Path(__file__).with_name("standin.js"), folder / "engine.js")
    environment = templates()
    assert environment.loader is not None
    environment.loader = ChoiceLoader([environment.loader, PackageLoader("tfpix2pix", "web/demo")])
    listed = {"version": 1, "models": models}
    page = environment.get_template("index.html").render(
        script=Markup('import "./page.js";'), models=json.loads(json.dumps(listed))
    )
    (folder / "index.html").write_text(page, "utf-8")
