"""What the documents say of the code: paths, modules, links, flags, the rooms of docs/design.md."""

from __future__ import annotations

import ast
import importlib
import inspect
import operator
import re
from pathlib import Path

import pytest

import tfpix2pix
from tfpix2pix.algorithms.registry import config_fields
from tfpix2pix.evaluation.data import FIELDS
from tfpix2pix.export import call as export_call

ROOT = Path(__file__).resolve().parent.parent
DOCS = [ROOT / "README.md", ROOT / "BUILD.md", ROOT / "CHANGELOG.md"]
DOCS += sorted((ROOT / "docs").glob("*.md"))
ROOMS = {"tfpix2pix": "", "data": "data", "export": "export"}  # folder -> first part of its rooms
pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="docs/ is not beside the tests (a source distribution)"
)
each_document = pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)


def without_blocks(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", without_blocks(path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@each_document
def test_links_lead_somewhere(path):
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = path.parent / place if place else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


@each_document
def test_paths_in_the_repository_are_there(path):
    """Of files by their whole path; of modules also from ``tfpix2pix/`` on, of tests by name."""
    if path.name == "CHANGELOG.md":
        return  # tells of what is gone
    text = path.read_text("utf-8")
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.]*)`", text))
    named |= set(re.findall(r"\b(?:[\w.]+/)*\w+\.(?:py|toml)\b", text))
    tops = {entry.name for entry in ROOT.iterdir()}
    rooms = {entry.name for entry in (ROOT / "tfpix2pix").iterdir()}
    wrong = []
    for name in named:
        first = name.split("/")[0]
        if first.startswith("test_"):
            there = any((ROOT / "tests").rglob(name))
        elif "/" in name and first in tops:
            there = (ROOT / name).exists()
        elif "/" in name and first in rooms and name.endswith(".py"):
            there = (ROOT / "tfpix2pix" / name).exists()
        else:
            continue  # a user's own
        if not there:
            wrong.append(name)
    assert not wrong


@each_document
def test_modules_that_are_named_can_be_imported(path):
    for name in set(re.findall(r"\btfpix2pix(?:\.\w+)+", path.read_text("utf-8"))):
        parts = name.split(".")
        parent, last = ".".join(parts[:-1]), parts[-1]
        try:
            found = hasattr(importlib.import_module(parent), last)
        except ImportError:
            found = False
        if not found:
            importlib.import_module(name)


@each_document
def test_commands_have_the_flags_that_are_shown(path, flags_of):
    text = path.read_text("utf-8").replace("\\\n", " ")
    for command, rest in re.findall(r"\btfpix2pix ([a-z][a-z-]*)([^`#\n]*)", text):
        if command not in flags_of:
            assert "--" not in rest, f"tfpix2pix {command}{rest}"
            continue
        ours = rest.split(" -- ")[0]
        assert set(re.findall(r"(?<=\s)--\w+", ours)) <= flags_of[command], f"{command}{rest}"


def calls_of_ours(path: Path) -> list[tuple[str, list[str]]]:
    """(function, its keywords) of the calls ``tfpix2pix.NAME(...)`` in a page's Python."""
    found = []
    for code in re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(code)):
            if not isinstance(node, ast.Call):
                continue
            name = re.fullmatch(r"tfpix2pix\.([\w.]+)", ast.unparse(node.func))
            if name:
                found.append((name[1], [str(keyword.arg) for keyword in node.keywords]))
    return found


@each_document
def test_calls_from_python_have_the_keywords_that_are_shown(path):
    settings = {"train": config_fields(), "evaluate": FIELDS}
    for name, keywords in calls_of_ours(path):
        function = {"export": export_call.export}.get(name) or operator.attrgetter(name)(tfpix2pix)
        known = {*inspect.signature(function).parameters, *settings.get(name, ())}
        assert set(keywords) <= known, name


def test_the_calls_are_found():
    names = [name for name, _ in calls_of_ours(ROOT / "docs" / "python.md")]
    assert {"train", "evaluate", "export", "load", "export.open_model"} <= {*names}


# === docs/design.md ===


def rooms_that_are_imported() -> dict[str, set[str]]:
    """Of every folder with modules: the other ones whose names its imports begin with."""
    found: dict[str, set[str]] = {}
    for folder, own in ROOMS.items():
        for path in (ROOT / folder).rglob("*.py"):
            inside = own or path.relative_to(ROOT / folder).parts[0]
            if inside.endswith(".py"):
                continue
            targets = found.setdefault(inside, set())
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                elif isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                else:
                    continue
                targets |= {n.split(".")[1] for n in names if n.startswith("tfpix2pix.")}
    return {name: targets & set(found) - {name} for name, targets in found.items()}


def test_the_table_of_rooms_is_that_of_the_code():
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    table = text.split("| room | what it is | imports |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\w, ]+) \|$", table, re.MULTILINE)
    said = {name: set(cell.split(", ")) - {"nothing of ours"} for name, cell in rows}
    assert said == rooms_that_are_imported()


def test_the_front_page_stays_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 120
