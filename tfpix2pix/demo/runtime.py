"""Where onnxruntime-web is: what runs a network in a browser.

It is no Python package and not in git: setup.py puts the files that ``web/onnxruntime.json`` names
into ``web/onnxruntime/`` when tfpix2pix is built or installed, and a wheel holds them.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown

VARIABLE = "TFPIX2PIX_ONNXRUNTIME_WEB"
FOLDER = "onnxruntime"
_WEB = Path(str(files("tfpix2pix"))) / "web"
_PIN, _LICENCE = "onnxruntime.json", "onnxruntime-LICENSE.txt"


def pin() -> dict[str, Any]:
    """The package, its version, and the SHA-256 of each file that the page needs."""
    return json.loads((_WEB / _PIN).read_text("utf-8"))


def runtime_files() -> dict[str, Path]:
    """Its files and its licence by their paths in a page's folder.

    They are those of the installation, or of the folder that the environment variable `VARIABLE`
    names: that of the npm package, or its ``dist``.

    Raises:
      UserError: they are not there, or not those of the version that the page was made for.
    """
    pinned = pin()
    named = os.environ.get(VARIABLE, "").strip()
    folder = Path(named).expanduser() if named else _WEB / FOLDER
    if named and (folder / "dist").is_dir():
        folder /= "dist"
    what = f"{pinned['package']}@{pinned['version']}"
    found = {f"{FOLDER}/LICENSE.txt": _WEB / _LICENCE}
    for name, digest in pinned["files"].items():
        path = folder / name
        if not path.is_file():
            raise UserError(_missing(what, f"{VARIABLE}={shown(named)}" if named else ""))
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise UserError(
                f"{shown(path)} is not the file of {what}, for which the page was made; "
                + _advice(what)
            )
        found[f"{FOLDER}/{name}"] = path
    return found


def _missing(what: str, variable: str) -> str:
    if variable:
        return f"{variable} holds no {what}, which the page runs networks with; {_advice(what)}"
    return (
        f"{what}, which the page runs networks with, is not in this installation (it had no npm, "
        f"or no network): {_advice(what)}"
    )


def _advice(what: str) -> str:
    return (
        f"run `npm install {what}` in some folder, and set {VARIABLE} to its "
        "node_modules/onnxruntime-web; or install tfpix2pix again where the network can be reached"
    )
