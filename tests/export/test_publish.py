"""An export appears as a whole: whatever interrupts it, the old state or the new one is there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.export import publish
from tfpix2pix.export.publish import Staging, check_output, finish_interrupted, free_version


def visible(folder: Path) -> dict[str, str]:
    """Every file that a person sees, with its text."""
    names = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
    return {
        name.as_posix(): path.read_text()
        for name, path in names.items()
        if path.is_file() and not name.parts[0].startswith(".")
    }


def hidden(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.name.startswith(".")} - {".export.lock"}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


OLD = {"onnx/a": "old a", "tflite/b": "old b", "saved_model/1/m": "one", "export.json": "old"}
NEW = {"onnx/a": "new a", "saved_model/2/m": "two", "export.json": "new"}
MOVES = [("onnx/a", "onnx/a"), ("saved_model/2", "saved_model/2"), ("export.json", "export.json")]
AFTER = {**OLD, **NEW}
del AFTER["tflite/b"]


@pytest.fixture
def output(tmp_path) -> Path:
    write(tmp_path / "out", OLD)
    return tmp_path / "out"


def test_what_is_published_replaces_the_old_and_leaves_nothing_behind(output):
    with Staging(output) as staging:
        write(staging.folder, NEW)
        assert visible(output) == OLD
        staging.publish(MOVES, ["tflite/b"])
        assert visible(output) == AFTER
    assert hidden(output) == set()
    assert not (output / "tflite").exists()


def test_what_is_not_published_leaves_no_trace(output, tmp_path):
    staging = Staging(output).__enter__()
    write(staging.folder, NEW)
    staging.__exit__(None, None, None)
    assert visible(output) == OLD
    assert hidden(output) == set()
    with pytest.raises(KeyError), Staging(tmp_path / "a" / "b"):
        raise KeyError
    assert not (tmp_path / "a").exists()


def die_at(moment: int, output: Path) -> int:
    """Publishes in a child that dies, as under SIGKILL, at the n-th change of the disk."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = moment

    def dying(function):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return function(*args, **kwargs)

        return call

    try:
        os.replace = dying(os.replace)
        Path.unlink, Path.mkdir, Path.rmdir = map(dying, (Path.unlink, Path.mkdir, Path.rmdir))
        with Staging(output) as staging:
            write(staging.folder, NEW)
            staging.publish(MOVES, ["tflite/b"])
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("moment", range(1, 25))
def test_a_kill_at_any_change_of_the_disk_leaves_the_old_or_the_new(output, moment):
    code = die_at(moment, output)
    assert code in (0, 9)
    finish_interrupted(output)
    state = visible(output)
    assert state in (OLD, AFTER)
    if code == 0:
        assert state == AFTER
    # The next export clears up what the killed one left.
    with Staging(output) as staging:
        write(staging.folder, NEW)
        staging.publish(MOVES[:1] + MOVES[2:])
    assert hidden(output) == set()


def test_an_interruption_between_two_moves_is_carried_through(output, monkeypatch):
    moves = []

    def interrupted(old, new):
        moves.append(new)
        if len(moves) == 2:
            raise KeyboardInterrupt
        os.rename(old, new)

    staging = Staging(output).__enter__()
    write(staging.folder, NEW)
    # Only what comes after the journal is interrupted.
    monkeypatch.setattr(publish, "write_json", lambda path, v: path.write_text(json.dumps(v)))
    monkeypatch.setattr(publish.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        staging.publish(MOVES, ["tflite/b"])
    staging.__exit__(None, None, None)
    assert visible(output) == AFTER
    assert hidden(output) == set()


def test_two_exports_to_one_folder_are_kept_apart(output):
    with Staging(output), pytest.raises(UserError, match="another export is writing"):
        Staging(output).__enter__()
    with Staging(output):
        pass


def test_the_next_version_is_one_more_than_the_largest(tmp_path):
    assert free_version(tmp_path / "none") == 1
    for name in ("2", "10", "latest", "3.5"):
        (tmp_path / name).mkdir()
    assert free_version(tmp_path) == 11


def test_an_output_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        check_output(tmp_path / "file")
    with pytest.raises(UserError, match="below the file"):
        check_output(tmp_path / "file" / "deeper")
