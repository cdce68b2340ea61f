"""What every test may use: the real command line, and the real images beside the repository.

Also how the suite is spread over the processor's cores.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import hashlib
import http.client
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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

# What the forked commands find imported: see command_server.py. Not `reproduction`, whose tables
# are made as it is imported, of rows that tests replace before that.
LIGHT = (
    *(f"tfpix2pix.cli.{name}" for name in ("main", "train", "translate", "evaluate", "compare")),
    *(f"tfpix2pix.cli.{name}" for name in ("demo", "study", "train_scorer")),
    *(f"tfpix2pix.cli.{name}" for name in ("export", "verify", "pairs", "inspect")),
    *("tfpix2pix.config.dataset", "tfpix2pix.base.progress", "tfpix2pix.inference.files"),
    *("tfpix2pix.data", "tfpix2pix.data.sources.paper_sets", "tfpix2pix.report.dataset_page"),
    *("tfpix2pix.evaluation.subjects", "tfpix2pix.evaluation.data", "tfpix2pix.export.exporter"),
    *("tfpix2pix.export.web.models", "numpy.ma"),
    *(f"tfpix2pix.algorithms.configs.{name}" for name in ("cyclegan", "cut", "bicyclegan")),
    *(f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Ppm", "Png")),
)
HEAVY = (
    *("tensorflow", *LIGHT, "tfpix2pix.training.run", "tfpix2pix.inference"),
    *("tensorboard.summary.v2", "tfpix2pix.algorithms.pix2pix", "tfpix2pix.data.sample"),
    *("tfpix2pix.cli.evaluate", "tfpix2pix.evaluation.session", "tfpix2pix.evaluation.subjects"),
    "tfpix2pix.report.evaluation_page",
)
_MODULE = "import runpy; runpy.run_module('tfpix2pix', run_name='__main__', alter_sys=True)"


# The charts of a run's page, or the plots of an evaluation's, take a second of every training and
# of every scoring, and most tests do not look at them.
_NO_CHARTS = (
    "import tfpix2pix.report.page as page; page._drawn_charts = lambda records: []; "
    "import tfpix2pix.report.evaluation_page as page; page._plots = lambda evaluation: []"
)
# Steps without a graph, whose making takes longer than a few of them; TensorFlow says that the
# pipeline of images has one all the same.
_EAGERLY = (
    "import warnings; import tensorflow as tf; tf.config.run_functions_eagerly(True); "
    "warnings.filterwarnings('ignore', 'Even though the `tf.config.experimental_run_func')"
)
_DRAWN: list[Callable[..., object]] = []  # what draws them, where it was replaced in this process


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


# Folders of long files, and the longest files of others.
_LONG = {"cli", "conformance", "export", "training", "algorithms", "gallery", "demo", "test_api.py"}
_LONG |= {"test_notebook.py", "test_packaging.py", "test_scorer_training.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers take file after file: the long ones go first, so that none is left for the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(
            key=lambda item: ("cli" not in item.path.parts, _LONG.isdisjoint(item.path.parts))
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Python's search for garbage cost an eighth of the time: it looked at all of TensorFlow."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


# === What tests use ===


@pytest.fixture(autouse=True, scope="module")
def _charts_where_they_are_looked_at(request) -> Iterator[None]:
    """Pages of runs that a module trains itself are without charts, but with the mark `charts`."""
    page = sys.modules.get("tfpix2pix.report.page")
    if page is None or request.node.get_closest_marker("charts"):
        yield
        return
    _DRAWN[:] = [page._drawn_charts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "_drawn_charts", lambda records: [])
        yield


@pytest.fixture
def charts(monkeypatch) -> None:
    """A test that looks at the charts of the runs that it trains itself."""
    if _DRAWN:
        monkeypatch.setattr("tfpix2pix.report.page._drawn_charts", _DRAWN[0])


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


@pytest.fixture(scope="session")
def graphless() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """`with graphless():` steps without a graph, whose making takes longer than a few of them."""

    @contextlib.contextmanager
    def without() -> Iterator[None]:
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
        try:
            yield
        finally:
            tf.config.run_functions_eagerly(False)

    return without


@pytest.fixture
def eagerly(graphless) -> Iterator[None]:
    """`graphless` for a whole test."""
    with graphless():
        yield


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
        answer = self.ask(code=code, argv=argv, cwd=cwd, env=env, **names)
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            os.kill(answer["pid"], 9)
            self._answer()
            raise subprocess.TimeoutExpired(argv, timeout)
        status = self._answer()["returncode"]
        out, err = (path.read_bytes().decode("utf-8") for path in self._streams)
        return subprocess.CompletedProcess(argv, status, out, err)

    def start(self, code: str, argv: list[str], cwd: str, env: dict[str, str]) -> Started:
        """Does not wait for it."""
        pipes = [os.pipe() for _ in range(2)]
        out, err = (f"/proc/{os.getpid()}/fd/{writing}" for _, writing in pipes)
        answer = self.ask(
            code=code, argv=argv, cwd=cwd, env=env, stdout=out, stderr=err, detached=True
        )
        for _, writing in pipes:  # the process has its own
            os.close(writing)
        return Started(self, answer["pid"], *(reading for reading, _ in pipes))

    def ask(self, **request: object) -> dict:
        """The answer, or the first one, to a request: see command_server.py."""
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert "error" not in answer, answer["error"]
        return answer

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        assert line, f"tests/command_server.py ended with exit code {self._process.wait()}"
        return json.loads(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class Started:
    """Of `subprocess.Popen` what the tests use, of a process that a server has forked."""

    def __init__(self, server: _CommandServer, pid: int, out: int, err: int) -> None:
        self.pid, self.returncode, self._server = pid, None, server
        self.stdout, self.stderr = (os.fdopen(p, encoding="utf-8") for p in (out, err))

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            self.returncode = self._server.ask(poll=self.pid)["returncode"]
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 300) -> int:
        """Its exit code, when it has ended."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.kill()  # or its streams would be read for ever
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.01)
        return code

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """The rest of what it says, when it has ended."""
        with concurrent.futures.ThreadPoolExecutor(2) as readers:
            said = [readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            self.wait(timeout)
            return said[0].result(), said[1].result()


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
            plain = f"{_NO_CHARTS}\n{code}"
            return command_server(*HEAVY).run(plain, ["-c", *words], str(tmp_path), env, 300)
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
        charts: bool = False,
        eagerly: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        words = [os.fspath(arg) for arg in args]
        full = _environment(env or {})
        if eagerly:
            prelude = f"{_EAGERLY}\n{prelude}"
        # Forking suits Linux; other variables than PYTHONPATH may act when Python starts.
        if not fresh and sys.platform == "linux" and set(env or {}) <= {"PYTHONPATH"}:
            modules = LIGHT if env else _modules_of(words)
            code = _code_of(prelude, modules, charts)
            argv = ["tfpix2pix", *words]
            return command_server(*modules).run(code, argv, os.path.abspath(cwd), full, timeout)
        return subprocess.run(
            _anew(words, prelude),
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


def _modules_of(words: Sequence[str]) -> tuple[str, ...]:
    """What a command's server has imported."""
    return LIGHT if not words or words[0] in ("pairs", "inspect", "study") else HEAVY


def _code_of(prelude: str, modules: tuple[str, ...], charts: bool = False) -> str:
    """What a forked process runs, of a server that has imported these modules."""
    return "\n".join([prelude, *([] if charts or modules != HEAVY else [_NO_CHARTS]), _MODULE])


def _anew(words: Sequence[str], prelude: str) -> list[str]:
    """A command in a Python that is started for it."""
    head = ["-c", f"{prelude}\n{_MODULE}"] if prelude else ["-m", "tfpix2pix"]
    return [sys.executable, *head, *words]


@pytest.fixture(scope="session")
def start_cli(command_server) -> Iterator[Callable[..., Started | subprocess.Popen[str]]]:
    """Starts the command and does not wait for it: `start_cli(*args, prelude="", cwd=None)`.

    `prelude` is Python to run in the process before the command, which is forked as `run_cli`
    does it. What is still running when the session ends is killed.
    """
    started: list[Started | subprocess.Popen[str]] = []

    def start(*args: str | os.PathLike[str], prelude: str = "", cwd: Path | None = None):
        words, env = [os.fspath(arg) for arg in args], _environment({})
        folder = os.path.abspath(cwd or ".")
        if sys.platform == "linux":
            modules = _modules_of(words)
            code = _code_of(prelude, modules)
            process = command_server(*modules).start(code, ["tfpix2pix", *words], folder, env)
        else:
            process = subprocess.Popen(
                _anew(words, prelude),
                cwd=folder,
                env=env,
                text=True,
                encoding="utf-8",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def run_cli(tmp_path: Path, run_command) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real command line in a process of its own, as a user would start it.

    `run_cli(*args, cwd=tmp_path, timeout=300, env=None, fresh=False, prelude="", charts=False,
    eagerly=False)` runs `python -m tfpix2pix *args` and returns its `CompletedProcess` with
    `stdout` and `stderr` as text; no exit code raises. `env` holds variables to set on top of this
    process's own, or to remove (value None). The log level that silences TensorFlow here is not
    handed on: the command has to be quiet by itself. The process is forked from one that has the
    imports behind it, see command_server.py, unless `fresh`: then Python is started anew, which
    takes seconds more.
    `prelude` is Python to run in the process before the command. Pages of runs and evaluations that
    a forked process writes are without charts unless `charts`. With `eagerly` it makes no graphs,
    which take longer than the few steps of most tests; the last bits may be others.
    """

    def run(*args: str | os.PathLike[str], cwd: str | os.PathLike[str] | None = None, **options):
        return run_command(*args, cwd=tmp_path if cwd is None else cwd, **options)

    return run


@pytest.fixture
def ask(server):
    """`ask(method, path, body=None, headers={})` of the module's `server`: status, headers and
    body; the path as it is."""

    def run(method: str, path: str, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

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
