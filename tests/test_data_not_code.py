"""What is loaded is data: nothing in the packages runs what stands in a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    path for folder in ("tfpix2pix", "data", "export") for path in (ROOT / folder).rglob("*.py")
)
# Modules whose files are programs, or can be.
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Names of functions, whosever they are.
CALLS = {"eval", "exec", "compile", "execfile", "unsafe_load", "full_load", "load_model"}
CALLS |= {"enable_unsafe_deserialization", "model_from_json", "read_pickle", "literal_eval"}
CALLS |= {"system", "popen", "getoutput"}
# Keyword arguments that open the door.
OPEN = {"allow_pickle", "unsafe", "shell"}
# torch_files only names the error that torch raises for a file with a program in it.
ALLOWED = {
    ("export/torch/files.py", "imports pickle"): "pickle.UnpicklingError",
}


def name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def owner_of(function: ast.expr) -> str:
    return getattr(getattr(function, "value", None), "id", "")


def found_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and kind of whatever runs, or could run, what stands in a file."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            names = names if isinstance(node, ast.Import) else [node.module or ""]
            yield from (
                (node.lineno, f"imports {name}")
                for name in names
                if name.split(".")[0] in MODULES | {"yaml"}
            )
        if not isinstance(node, ast.Call):
            continue
        name, owner = name_of(node.func), owner_of(node.func)
        keywords = {word.arg: word.value for word in node.keywords}
        # re.compile and a network's own compile run no file.
        if name in CALLS and not (name == "compile" and isinstance(node.func, ast.Attribute)):
            yield node.lineno, f"calls {name}"
        for word, value in keywords.items():
            is_false = isinstance(value, ast.Constant) and value.value is False
            if word in OPEN and not is_false:
                yield node.lineno, f"{word} is not False"
        safe = keywords.get("safe_mode")
        if safe is not None and not (isinstance(safe, ast.Constant) and safe.value is True):
            yield node.lineno, "safe_mode is not True"
        if (owner, name) == ("torch", "load"):
            weights = keywords.get("weights_only")
            if not (isinstance(weights, ast.Constant) and weights.value is True):
                yield node.lineno, "torch.load without weights_only=True"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_runs_what_it_reads(path):
    relative = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [(line, kind) for line, kind in found_in(tree) if (relative, kind) not in ALLOWED]
    assert found == []


@pytest.mark.parametrize(("relative", "kind"), ALLOWED)
def test_what_is_allowed_is_used_for_that_alone(relative, kind):
    tree = ast.parse((ROOT / relative).read_text(encoding="utf-8"))
    module = kind.split()[1]
    assert kind in {found for _, found in found_in(tree)}
    used = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and owner_of(node) == module
    }
    assert used == {ALLOWED[relative, kind]}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import yaml",
        "eval(text)",
        "builtins.exec(text)",
        "compile(text, '', 'exec')",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "tf.keras.models.load_model(path)",
        "load_model(path, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
    ],
)
def test_the_check_sees_it(line):
    assert list(found_in(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "import importlib",
        "re.compile('a')",
        "network.compile()",
        "np.load(path)",
        "np.load(path, allow_pickle=False)",
        "torch.load(path, map_location='cpu', weights_only=True)",
        "json.loads(text)",
    ],
)
def test_the_check_lets_through(line):
    assert not list(found_in(ast.parse(line)))
