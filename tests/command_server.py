"""Starts programs quickly: imports what they need once, then forks a process for each.

Run by tests/conftest.py as ``python command_server.py MODULE ...``. It imports the modules and
answers requests on its standard input, one JSON object a line::

    {"code": "...", "argv": [...], "cwd": ..., "env": {...}, "stdout": PATH, "stderr": PATH}
    -> {"pid": 123}, and when that process has ended, {"returncode": 0}
    -> {"error": "..."} where a fork could not stand for a process of its own

With ``"detached": true`` the first answer is all; what became of the process is asked for::

    {"poll": 123} -> {"returncode": null} while it runs, else {"returncode": 0}

Each forked process goes on as ``python -c CODE`` would: its own arguments, folder, environment and
streams, its own TensorFlow devices and flags, Python's usual end and exit code. What it does not
show is the import itself, so some tests start every command the long way.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import warnings
from typing import Any


def preload(modules: list[str]) -> None:
    """Imports the modules, TensorFlow as the command does: silently."""
    if "tensorflow" in modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    keep = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        for module in modules:
            importlib.import_module(module)
    finally:
        os.dup2(keep, 2)
        os.close(keep)
    if "tensorflow" in modules:
        # Its threads would be missing in a fork, which would wait for them for ever.
        eager = importlib.import_module("tensorflow.python.eager.context").context()
        assert not getattr(eager, "_initialized", False), "an import has run TensorFlow operations"
    gc.collect()
    gc.freeze()


def hindrance(request: dict[str, Any]) -> str | None:
    """Why a fork would differ from a new process, if it would."""
    for folder in added_paths(request["env"]):
        for entry in os.listdir(folder):
            name = entry.removesuffix(".py")
            if name in sys.modules:
                return f"{folder} is to hide {name}, which is imported already"
    return None


def added_paths(env: dict[str, str]) -> list[str]:
    """Folders of PYTHONPATH that this process was not started with."""
    named = env.get("PYTHONPATH", "").split(os.pathsep)
    return [path for path in named if path and path not in sys.path]


def opened_streams(request: dict[str, Any]) -> list[int]:
    """Descriptors of what are to be a process's standard streams."""
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    places = ((os.devnull, os.O_RDONLY), (request["stdout"], write), (request["stderr"], write))
    return [os.open(path, flags, 0o600) for path, flags in places]


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Makes this (forked) process one that was just started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, opened in enumerate(streams):
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 (the other one holds the server's requests)
    os.chdir(request["cwd"])
    sys.path[:0] = [request["cwd"], *added_paths(request["env"])]
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = request["argv"]


def serve(answers: Any) -> str:
    """Answers requests, then ends this process; returns in forked ones only: the code to run."""
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "poll" in request:
            done, status = os.waitpid(request["poll"], os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if done else None
            print(json.dumps({"returncode": code}), file=answers, flush=True)
            continue
        if error := hindrance(request):
            print(json.dumps({"error": error}), file=answers, flush=True)
            continue
        with warnings.catch_warnings():
            # NumPy's linear algebra has threads; it sees to it that a fork does without them.
            warnings.simplefilter("ignore", DeprecationWarning)
            streams = opened_streams(request)
            child = os.fork()
        if child == 0:
            answers.close()
            become(request, streams)
            return request["code"]
        for opened in streams:
            os.close(opened)
        print(json.dumps({"pid": child}), file=answers, flush=True)
        if request.get("detached"):
            continue
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"returncode": code}), file=answers, flush=True)
    sys.exit()


if __name__ == "__main__":
    del sys.path[0]  # tests/, which no command has
    # Ctrl-C reaches the whole terminal: the commands and pytest act on it, pytest ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload(sys.argv[1:])
    exec(serve(os.fdopen(os.dup(1), "w")))  # here: what it makes lives until Python ends
