"""The files of the page to draw on: the page of ``web/demo/``, onnxruntime-web, and networks.

::

    index.html            with the scripts and the style of web/demo/
    worker.js             what computes beside the page
    onnxruntime/          what runs the networks, and its licence
    models.json           which networks there are, see `models.PageModel.entry`
    models/NAME/          each with its ONNX file and a known sample

A server hands these out as they are (`page_files`). In a folder that is to work without one
(`write_page`), browsers fetch nothing and import no modules, but they run scripts; and many hosts
take no files of hundreds of megabytes. So there the files that scripts read are scripts themselves,
``PATH.0.js``, ``PATH.1.js`` and so on, each ``tfpix2pixPart(PATH, NUMBER, TEXT)`` with a part of
the file in base64; and the list, which stands in index.html too, says under ``packed`` of each how
many parts it has, of how many bytes it is, and whether the parts together are compressed by gzip.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tfpix2pix.base.serving import INDEX, Content
from tfpix2pix.demo.models import PageModel, paths_of
from tfpix2pix.demo.runtime import runtime_files
from tfpix2pix.report.html import web_template
from tfpix2pix.report.scripts import web_script

LIST = "models.json"
VERSION = 1
_FOLDER = "demo"  # of web/
_WORKER = "worker.js"
_AS_THEY_ARE = ("isolate.js",)  # a service worker, which has an address of its own
# Bytes of a part, which a third more stand for: few enough for any host of files.
PART = 12 << 20
_READ_BY_SCRIPTS = (".onnx", ".f32", ".png", ".mjs", ".wasm", ".js")
_INCOMPRESSIBLE = (".onnx", ".png")  # or hardly


def page_files(models: Sequence[PageModel], gallery: bool = False) -> dict[str, Content]:
    """Everything that the page consists of, by paths in its folder, for a server.

    Args:
      models: in the order in which the page offers them; the first one is shown.
      gallery: whether a ``gallery.html`` stands beside it, to which it links.

    Raises:
      UserError: onnxruntime-web is not there.
    """
    listed = {"version": VERSION, "models": [model.entry() for model in models]}
    return {**_page(None, gallery), **_parts_of(models), LIST: json.dumps(listed).encode()}


def write_page(
    models: Sequence[PageModel], folder: Path, before: Mapping[str, Any] | None = None
) -> None:
    """Writes a page that needs no server into a folder, which is made where it is missing.

    Args:
      models: as `page_files` takes them.
      folder: of the page.
      before: the list of another one (`read_list`), of which the models of other names come behind
        these; their files stand in the folder already, or will.

    Raises:
      UserError: onnxruntime-web is not there.
    """
    listed: dict[str, Any] = {
        "version": VERSION,
        "models": [model.entry() for model in models],
        "packed": {},
    }
    for name, content in _parts_of(models).items():
        data = _read(content)
        if Path(name).suffix not in _READ_BY_SCRIPTS:
            _write(folder, name, data)
            continue
        listed["packed"][name], scripts = _packed(name, data)
        for script, text in scripts.items():
            _write(folder, script, text)
    names, packed = {model.name for model in models}, before["packed"] if before else {}
    for entry in before["models"] if before else []:
        if entry["name"] not in names:
            listed["models"].append(entry)
            listed["packed"] |= {path: packed[path] for path in paths_of(entry)}
    for name, content in _page(listed).items():
        _write(folder, name, _read(content))
    _write(folder, LIST, json.dumps(listed).encode())


def _read(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _write(folder: Path, name: str, data: bytes) -> None:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)


def read_list(folder: Path) -> dict[str, Any] | None:
    """What ``models.json`` of a page says that was written into a folder; None where there is no
    such page."""
    try:
        listed = json.loads((folder / LIST).read_text("utf-8"))
        for entry in listed["models"]:
            for path in paths_of(entry):
                listed["packed"][path]
            entry["name"], entry["contract"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return listed


def unpacked(folder: Path, name: str) -> bytes:
    """The bytes of a file that stands in a folder as scripts.

    Args:
      folder: in which the parts are.
      name: of the file.

    Raises:
      ValueError: a part is missing or no such script.
    """
    parts = []
    for part in range(len(list(folder.glob(f"{name}.*.js")))):
        try:
            text = (folder / f"{name}.{part}.js").read_text("ascii")
        except OSError:
            raise ValueError(f"part {part} is missing") from None
        found = re.fullmatch(r'tfpix2pixPart\(".*", \d+, "([\w+/=]*)"\);\n', text, re.ASCII)
        if not found:
            raise ValueError(f"part {part} is not what was written")
        parts.append(base64.b64decode(found[1]))
    return b"".join(parts)


def _parts_of(models: Sequence[PageModel]) -> dict[str, Content]:
    """What the page reads besides the list."""
    found: dict[str, Content] = dict(runtime_files())
    found[_WORKER] = web_script(_FOLDER, _WORKER).encode()
    for model in models:
        found |= model.files()
    return found


def _packed(name: str, data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A file as scripts: what the list says of it, and the scripts by their paths."""
    packs = Path(name).suffix not in _INCOMPRESSIBLE
    stored = gzip.compress(data, 6, mtime=0) if packs else data
    scripts = {}
    for part, start in enumerate(range(0, len(stored), PART)):
        text = base64.b64encode(stored[start : start + PART]).decode("ascii")
        script = f'tfpix2pixPart({json.dumps(name)}, {part}, "{text}");\n'
        scripts[f"{name}.{part}.js"] = script.encode()
    return {"bytes": len(data), "parts": len(scripts), "gzip": packs}, scripts


def _page(listed: Mapping[str, Any] | None, gallery: bool = False) -> dict[str, Content]:
    """The page itself, with its script, and with the list where there is no server to ask."""
    page = web_template(_FOLDER, INDEX).render(
        script=web_script(_FOLDER, "page.js"), models=listed, gallery=gallery
    )
    folder = Path(str(files("tfpix2pix"))) / "web" / _FOLDER
    return {INDEX: page.encode(), **{name: folder / name for name in _AS_THEY_ARE}}
