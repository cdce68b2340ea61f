"""What every test may use: the real command line, and the real images beside the repository.

Also how the suite is spread over the processor's cores.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before TensorFlow is imported: no start-up lines in the tests' output, and no claim on all of an
# accelerator's memory, which the commands that the tests start need too.
_PRESET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
if "PYTEST_XDIST_WORKER" in os.environ:
    # One of several workers, as many as there are cores: more threads would only wait.
    _PRESET["TF_NUM_INTRAOP_THREADS"] = "1"
_SET_HERE = {name for name in _PRESET if name not in os.environ}
for _name in _SET_HERE:
    os.environ[_name] = _PRESET[_name]
# Of these, what commands that are started do not get: they are to run as they do for a user.
_NOT_HANDED_ON = _SET_HERE & {"TF_CPP_MIN_LOG_LEVEL", "TF_NUM_INTRAOP_THREADS"}

# What the forked commands find imported: see command_server.py.
LIGHT = (
    *(f"tfpix2pix.cli.{name}" for name in ("train", "translate", "pairs", "inspect")),
    *("tfpix2pix.config.dataset", "tfpix2pix.base.progress", "tfpix2pix.inference.files"),
)
HEAVY = ("tensorflow", *LIGHT, "tfpix2pix.training.run", "tfpix2pix.inference")
_MODULE = "import runpy; runpy.run_module('tfpix2pix', run_name='__main__', alter_sys=True)"


# === Several cores ===


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many workers `-n auto` means: none for tests by their name, otherwise the cores."""
    if any("::" in argument for argument in config.args):
        return 0
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    return cores if cores > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers take file after file: the long ones go first, so that none is left for the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: "cli" not in item.path.parts)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Python's search for garbage cost an eighth of the time: it looked at all of TensorFlow."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


# === What tests use ===


@pytest.fixture
def runtime_folder(tmp_path_factory, monkeypatch) -> Path:
    """A folder with files of the names of onnxruntime-web's, which count as these."""
    from tfpix2pix.demo import runtime

    pinned, folder = runtime.pin(), tmp_path_factory.mktemp("onnxruntime-web")
    (folder / "dist").mkdir()
    for name in pinned["files"]:
        (folder / "dist" / name).write_bytes(name.encode() * 20)
        digest = hashlib.sha256((folder / "dist" / name).read_bytes()).hexdigest()
        pinned["files"][name] = digest
    monkeypatch.setattr(runtime, "pin", lambda: json.loads(json.dumps(pinned)))
    monkeypatch.setenv(runtime.VARIABLE, str(folder))
    return folder / "dist"


@pytest.fixture
def peak_growth() -> Callable[[Callable[[], object]], int]:
    """`peak_growth(call)`: bytes by which this process grew at most while `call` ran."""

    def memory(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) << 10

    def measure(call: Callable[[], object]) -> int:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        except OSError:
            pytest.skip("this system does not tell the peak of a process's memory")
        before = memory("VmRSS")
        call()
        return memory("VmHWM") - before

    return measure


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, `../shared/data` or `$TFPIX2PIX_SHARED_DATA`; else a skip.

    A variable that names no folder is an error, not a skip: somebody meant to run these tests.
    """
    named = os.environ.get("TFPIX2PIX_SHARED_DATA")
    if named:
        folder = Path(named).resolve()
        assert folder.is_dir(), f"TFPIX2PIX_SHARED_DATA names no folder: {folder}"
        return folder
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the repository (or set TFPIX2PIX_SHARED_DATA)")
    return folder


@pytest.fixture
def full_float32():
    """An accelerator's shortened products (TF32) would hide what numerical tests look for."""
    import tensorflow as tf

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


# === The command line ===


class _CommandServer:
    """A process that forks commands, and the folder where their output goes meanwhile."""

    def __init__(self, modules: tuple[str, ...], folder: Path) -> None:
        server = Path(__file__).with_name("command_server.py")
        self._streams = folder / "stdout", folder / "stderr"
        self._process = subprocess.Popen(
            [sys.executable, str(server), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment({}),
        )

    def run(
        self, code: str, argv: list[str], cwd: str, env: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        names = dict(zip(("stdout", "stderr"), map(str, self._streams), strict=True))
        request = {"code": code, "argv": argv, "cwd": cwd, "env": env, **names}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert "error" not in answer, answer["error"]
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            os.kill(answer["pid"], 9)
            self._answer()
            raise subprocess.TimeoutExpired(argv, timeout)
        status = self._answer()["returncode"]
        out, err = (path.read_bytes().decode("utf-8") for path in self._streams)
        return subprocess.CompletedProcess(argv, status, out, err)

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        assert line, f"tests/command_server.py ended with exit code {self._process.wait()}"
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """This process's variables, as a user would have them, with changes (None: without it)."""
    full = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
    for name, value in changes.items():
        if value is None:
            full.pop(name, None)
        else:
            full[name] = str(value)
    return full


@pytest.fixture(scope="session")
def user_environment() -> dict[str, str]:
    """The variables that a command is started with: without what is set here for the tests."""
    return _environment({})


@pytest.fixture(scope="session")
def command_server(tmp_path_factory) -> Iterator[Callable[..., _CommandServer]]:
    """`command_server(*modules)`: the session's server with these modules imported."""
    servers: dict[tuple[str, ...], _CommandServer] = {}

    def of(*modules: str) -> _CommandServer:
        if modules not in servers:
            servers[modules] = _CommandServer(modules, tmp_path_factory.mktemp("streams"))
        return servers[modules]

    yield of
    for server in servers.values():
        server.close()


@pytest.fixture
def run_python(tmp_path: Path, command_server) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_python(code, *args)`: like `python -c`, in a process that has TensorFlow imported."""

    def run(code: str, *args: object) -> subprocess.CompletedProcess[str]:
        words = [str(arg) for arg in args]
        env = _environment({})
        if sys.platform == "linux":
            return command_server(*HEAVY).run(code, ["-c", *words], str(tmp_path), env, 300)
        command = [sys.executable, "-c", code, *words]
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.fixture(scope="session")
def run_command(command_server) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_cli` for fixtures of a session or module: `cwd` is not optional here."""

    def run(
        *args: str | os.PathLike[str],
        cwd: str | os.PathLike[str],
        timeout: float = 300,
        env: Mapping[str, str | None] | None = None,
        fresh: bool = False,
        prelude: str = "",
    ) -> subprocess.CompletedProcess[str]:
        words = [os.fspath(arg) for arg in args]
        full = _environment(env or {})
        # Forking suits Linux; other variables than PYTHONPATH may act when Python starts.
        if not fresh and sys.platform == "linux" and set(env or {}) <= {"PYTHONPATH"}:
            light = bool(env) or not words or words[0] in ("pairs", "inspect", "study")
            server = command_server(*(LIGHT if light else HEAVY))
            argv = ["tfpix2pix", *words]
            return server.run(f"{prelude}\n{_MODULE}", argv, os.path.abspath(cwd), full, timeout)
        head = ["-c", f"{prelude}\n{_MODULE}"] if prelude else ["-m", "tfpix2pix"]
        return subprocess.run(
            [sys.executable, *head, *words],
            cwd=cwd,
            env=full,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def run_cli(tmp_path: Path, run_command) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real command line in a process of its own, as a user would start it.

    `run_cli(*args, cwd=tmp_path, timeout=300, env=None, fresh=False, prelude="")` runs `python -m
    tfpix2pix *args` and returns its `CompletedProcess` with `stdout` and `stderr` as text; no exit
    code raises. `env` holds variables to set on top of this process's own, or to remove (value
    None). The log level that silences TensorFlow here is not handed on: the command has to be
    quiet by itself. The process is forked from one that has the imports behind it, see
    command_server.py, unless `fresh`: then Python is started anew, which takes seconds more.
    `prelude` is Python to run in the process before the command.
    """

    def run(*args: str | os.PathLike[str], cwd: str | os.PathLike[str] | None = None, **options):
        return run_command(*args, cwd=tmp_path if cwd is None else cwd, **options)

    return run


@pytest.fixture(scope="session")
def flags_of() -> dict[str, set[str]]:
    """The flags of each command, by its name."""
    from tfpix2pix.cli.flags import Parser
    from tfpix2pix.cli.main import COMMANDS

    found = {}
    for command, (module, _) in COMMANDS.items():
        parser = Parser(prog=command)
        importlib.import_module(module).add_flags(parser)
        found[command] = {flag for a in parser._actions for flag in a.option_strings}
    return found
