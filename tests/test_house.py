"""The house's directions, read from every import in the code, those inside functions too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfpix2pix.algorithms import registry

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"tfpix2pix": "tfpix2pix", "data": "tfpix2pix.data", "export": "tfpix2pix.export"}


def modules() -> dict[str, Path]:
    """Every module by its name."""
    found = {}
    for folder, package in ROOMS.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            found[".".join(parts)] = path
    return found


MODULES = modules()


def imports(name: str, path: Path) -> Iterator[str]:
    """Modules of ours that a file imports; a name of a package is the module that holds it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, attribute in names:
            whole = f"{module}.{attribute}"
            target = whole if whole in MODULES else module
            if target in MODULES and target != name:
                yield target


def typing_only(path: Path) -> set[str]:
    """What a file imports for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for inner in ast.walk(node):
                if isinstance(inner, ast.ImportFrom):
                    for alias in inner.names:
                        whole = f"{inner.module}.{alias.name}"
                        found.add(whole if whole in MODULES else str(inner.module))
    return found


IMPORTS = {name: set(imports(name, path)) for name, path in MODULES.items()}


def room(name: str) -> str:
    return ".".join(name.split(".")[:2])


def test_the_modules_are_found():
    assert {"tfpix2pix.data.sources.base", "tfpix2pix.export.exporter", "tfpix2pix.cli.main"} <= {
        *MODULES
    }
    assert "tfpix2pix.base.errors" in IMPORTS["tfpix2pix.data.sources.base"]
    assert "tfpix2pix.export.exporter" in IMPORTS["tfpix2pix.cli.export"]  # inside a function


@pytest.mark.parametrize(("inside", "allowed"), [("base", ("base",)), ("data", ("base", "data"))])
def test_the_lower_floors_know_nothing_of_the_upper_ones(inside, allowed):
    rooms = tuple(f"tfpix2pix.{name}" for name in allowed)
    wrong = {
        (name, target)
        for name, targets in IMPORTS.items()
        if room(name) == f"tfpix2pix.{inside}"
        for target in targets
        if room(target) not in rooms
    }
    assert not wrong


FRONT_DOOR = ("tfpix2pix", "tfpix2pix.api")  # `tfpix2pix.export(...)`, and exports evaluated


def test_only_the_command_line_and_the_front_door_import_export():
    wrong = {
        (name, target)
        for name, targets in IMPORTS.items()
        if room(name) not in ("tfpix2pix.cli", "tfpix2pix.export", *FRONT_DOOR)
        for target in targets
        if room(target) == "tfpix2pix.export"
    }
    assert not wrong


def test_nothing_imports_the_command_line():
    wrong = {
        (name, target)
        for name, targets in IMPORTS.items()
        if room(name) not in ("tfpix2pix.cli", "tfpix2pix.__main__")
        for target in targets
        if room(target) == "tfpix2pix.cli"
    }
    assert not wrong


def test_nobody_outside_names_an_algorithm():
    """Neither its module, nor, of those that are trained by name, the name itself."""
    modules = {
        f"tfpix2pix.algorithms.{part}{name}"
        for name in registry.ALGORITHMS
        for part in ("", "configs.")
    }
    strings = re.compile(rf"""["\']({"|".join(registry.TRAINABLE)})["\']""")
    wrong = []
    for name, path in MODULES.items():
        if room(name) == "tfpix2pix.algorithms":
            continue
        named = IMPORTS[name] & modules
        if room(name) == "tfpix2pix.scorer":  # the room of one algorithm's product
            named -= {"tfpix2pix.algorithms.configs.scorer"}
        wrong += [(name, target) for target in named]
        wrong += [(name, said) for said in strings.findall(path.read_text(encoding="utf-8"))]
    assert not wrong


def test_no_circle():
    """No module imports, by any way, one that imports it; types alone do not count."""
    edges = {name: IMPORTS[name] - typing_only(path) for name, path in MODULES.items()}
    circles = [sorted(part) for part in components(edges) if len(part) > 1]
    assert not circles


def components(edges: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components, by reachability (a few hundred nodes)."""
    reach: dict[str, set[str]] = {}
    for start in edges:
        seen, queue = set(), [start]
        while queue:
            for target in edges[queue.pop()]:
                if target not in seen:
                    seen.add(target)
                    queue.append(target)
        reach[start] = seen
    parts: list[set[str]] = []
    for name in edges:
        if not any(name in part for part in parts):
            parts.append({name} | {o for o in reach[name] if name in reach[o]})
    return parts


def test_components_are_found():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}
    assert sorted(map(sorted, components(edges))) == [["a", "b", "c"], ["d"]]
