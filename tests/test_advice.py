"""What messages advise exists: every command that they name, and its flags.

That an advice helps is tested beside what gives it; here, that nobody is sent to a flag of another
name or command.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tfpix2pix.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(p for room in ("tfpix2pix", "data", "export") for p in (ROOT / room).rglob("*.py"))
# Options of other programs (PyTorch's code, Beam, docker), absl's own, flags in general, colours of
# a page's style.
FOREIGN = {
    *("--eval", "--no_dropout", "--netD", "--netG", "--n_layers_D", "--input_nc", "--output_nc"),
    *("--runner", "--flink_master"),
    *("--url", "--keep", "--wait", "--file", "--detach", "--tail"),
    *("--help", "--version", "--verbosity", "--flagfile", "--flag", "--name", "--no"),
    *("--ink", "--muted", "--rule", "--series"),
}
# A flag whose name is whole, not a beginning to which an end is added.
_FLAG = re.compile(r"(?<![\w-])--[A-Za-z][\w-]*[A-Za-z0-9](?![\w{-])")
_COMMAND = re.compile(r"tfpix2pix ([a-z]+(?:-[a-z]+)*)((?:\s+[-`A-Za-z{(\[][^\s;`]*)*)")


def messages(path: Path) -> list[tuple[int, str]]:
    """The texts of a module that are no docstrings, with their lines; holes stand as ``{}``."""
    tree = ast.parse(path.read_text("utf-8"))
    spoken, texts = set(), []
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            spoken.add(id(body[0].value))  # a docstring
        if isinstance(node, ast.JoinedStr):
            spoken |= {id(part) for part in ast.walk(node)}
            parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
            texts.append((node.lineno, "".join(parts)))
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    alone = (node for node in constants if id(node) not in spoken)
    return texts + [(node.lineno, node.value) for node in alone if isinstance(node.value, str)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_flags_and_commands_that_messages_name_exist(path, flags_of):
    everywhere = set().union(*flags_of.values()) | FOREIGN
    wrong = []
    for line, text in messages(path):
        unknown = [f for f in _FLAG.findall(text) if f not in everywhere and f.strip("-_")]
        wrong += [f"line {line}: no command has {flag}" for flag in unknown]
        for command, rest in _COMMAND.findall(text):
            if command not in COMMANDS:
                continue  # "a tfpix2pix export": words, not a command
            flags = [f for f in _FLAG.findall(rest) if f not in FOREIGN]
            wrong += [
                f"line {line}: `{command}` has no {flag}"
                for flag in flags
                if flag not in flags_of[command]
            ]
        for name in re.findall(r"`tfpix2pix ([a-z][a-z-]*)", text):
            if name not in COMMANDS:
                wrong.append(f"line {line}: there is no command {name}")
    assert not wrong, "\n".join(wrong)


def test_messages_are_found():
    """That the test above looks at something."""
    found = [text for path in FILES for _, text in messages(path)]
    assert sum("--" in text for text in found) > 200
    assert sum("`tfpix2pix " in text for text in found) > 20
