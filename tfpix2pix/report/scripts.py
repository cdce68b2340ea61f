"""A page's JavaScript modules as one script: browsers import none where there is no server."""

from __future__ import annotations

import posixpath
import re
from importlib.resources import files

from markupsafe import Markup

_IMPORT = re.compile(r'^import\s+(?:\{([^}]*)\}|\*\s+as\s+(\w+))\s+from\s+"(\.\.?/[^"]+)";$', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|let|class) (\w+))", re.M)
_LIST = re.compile(r"^export \{([^}]*)\};$", re.M)
_OTHER = re.compile(r"^(?:import|export)\b(?!\().*", re.M)


def web_script(folder: str, entry: str) -> Markup:
    """A module of ``web/FOLDER/`` and those that it imports, from there or from ``web/shared/``,
    each once and in a function of its own, so that they may declare the same names.

    Args:
      folder: that holds them.
      entry: name of the module that the others serve.

    Returns:
      A script without imports or exports.

    Raises:
      ValueError: an import or an export in another form than those of this project's modules; a
        circle of imports.
    """
    names: list[str] = []
    parts: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"{name} imports itself, by {' and '.join(above)}")
        if name in names:
            return
        text = (files("tfpix2pix") / "web" / name).read_text("utf-8")
        for found in _IMPORT.finditer(text):
            add(_beside(name, found[3]), (*above, name))
        names.append(name)
        exports = _EXPORT.findall(text) + [
            each.strip() for found in _LIST.findall(text) for each in found.split(",") if each
        ]
        text = _LIST.sub("", _EXPORT.sub("", _IMPORT.sub(lambda m: _bound(m, name, names), text)))
        other = _OTHER.search(text)
        if other:
            raise ValueError(f"{name}: `{other[0]}` cannot be bundled")
        given = f"return {{ {', '.join(exports)} }};\n" if exports else ""
        parts.append(f"// {name}\nconst {_module(names, name)} = (() => {{\n{text}{given}}})();\n")

    add(f"{folder}/{entry}", ())
    return Markup("\n".join(parts).replace("</script", "<\\/script"))


def _module(names: list[str], name: str) -> str:
    return f"module{names.index(name)}"


def _beside(name: str, path: str) -> str:
    """What a module calls by a path, as seen from ``web/``."""
    return posixpath.normpath(f"{posixpath.dirname(name)}/{path}")


def _bound(found: re.Match[str], name: str, names: list[str]) -> str:
    """What stands in the place of an import of a module."""
    chosen, whole, path = found.groups()
    parts = " ".join((chosen or "").split()).replace(" as ", ": ")
    return f"const {whole or f'{{ {parts} }}'} = {_module(names, _beside(name, path))};"
