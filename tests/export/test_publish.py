"""An export appears as a whole: whatever interrupts it, the old state or the new one is there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.export import publish
from tfpix2pix.export.publish import Staging, check_output, check_published, free_version


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Nobody else is at it in these tests."""
    monkeypatch.setattr(publish, "_PATIENCE", 0)


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


def everything(folder: Path) -> dict[str, str | None]:
    """Every path with its text: None for a folder, where it leads for a link."""
    return {
        path.relative_to(folder).as_posix(): f"-> {os.readlink(path)}"
        if path.is_symlink()
        else path.read_text(errors="replace")
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


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
    before = everything(output)
    if (output / ".publish.json").exists():
        assert code == 9
        with pytest.raises(UserError, match=r"half published.*`tfpix2pix export`"):
            check_published(output)
    else:
        check_published(output)
        assert visible(output) in ((AFTER,) if code == 0 else (OLD, AFTER))
    # Whoever reads changes nothing.
    assert everything(output) == before
    # The next export completes what the killed one left, and clears up.
    with Staging(output) as staging:
        assert visible(output) in ((AFTER,) if code == 0 else (OLD, AFTER))
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


# === A folder, and a journal in it, from a stranger ===

HIDDEN = ".export-0123abcd"


@pytest.fixture
def stranger(output, tmp_path):
    """``stranger(journal) -> everything``: the folder with that journal, and files outside."""
    outside = tmp_path / "outside"
    write(outside, {"diary": "dear diary", "folder/file": "mine"})
    write(output, {f"{HIDDEN}/payload": "evil", f"{HIDDEN}/saved_model/9/m": "evil"})

    def make(journal: object) -> dict[str, str | None]:
        text = journal if isinstance(journal, (str, bytes)) else json.dumps(journal)
        (output / ".publish.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        return everything(tmp_path)

    return make


def moves(*pairs: tuple[object, object]) -> dict[str, object]:
    return {"moves": [list(pair) for pair in pairs], "removes": []}


GOOD_MOVE = (f"{HIDDEN}/payload", "onnx/a")


@pytest.mark.parametrize(
    "journal",
    [
        # What was tried, with {out} for the place of the files outside.
        {"moves": [[f"{HIDDEN}/payload", "{out}/diary"]], "removes": ["{out}/folder", "../b"]},
        moves(GOOD_MOVE, (f"{HIDDEN}/payload", "../outside/diary")),
        moves(GOOD_MOVE, (f"{HIDDEN}/payload", "onnx/../../outside/diary")),
        moves((f"{HIDDEN}/../../outside/diary", "onnx/a")),
        moves(("{out}/diary", "onnx/a")),
        moves(("onnx/a", "tflite/b")),
        moves((".export-0123abcd", "saved_model/7")),
        moves((".export-XY/payload", "onnx/a")),
        moves((".export-0123abcd/../.export-0123abcd/payload", "onnx/a")),
        moves((f"{HIDDEN}/payload", ".publish.json")),
        moves((f"{HIDDEN}/payload", "notes.txt")),
        moves((f"{HIDDEN}/payload", "onnx\\a")),
        moves((f"{HIDDEN}/payload", "onnx/a\u0000")),
        moves((f"{HIDDEN}/payload", "onnx//a")),
        moves((f"{HIDDEN}/payload", "onnx/./a")),
        moves((f"{HIDDEN}/payload", "")),
        moves((f"{HIDDEN}/payload", None)),
        moves((7, "onnx/a")),
        # In the folder, but not to be done: a file for a folder, a folder that is there.
        moves(GOOD_MOVE, (f"{HIDDEN}/payload", "saved_model/1")),
        moves(GOOD_MOVE, (f"{HIDDEN}/saved_model/9", "saved_model/1")),
        {"moves": [], "removes": ["."]},
        {"moves": [], "removes": [""]},
        {"moves": [], "removes": [".."]},
        {"moves": [], "removes": ["../outside/folder"]},
        {"moves": [], "removes": ["{out}/diary"]},
        {"moves": [], "removes": ["saved_model"]},
        {"moves": [], "removes": ["saved_model/1"]},
        {"moves": [], "removes": "onnx/a"},
        {"moves": [], "removes": [["onnx/a"]]},
        {"moves": {"onnx/a": "tflite/b"}, "removes": []},
        {"moves": [["onnx/a"]], "removes": []},
        {"moves": ["ab"], "removes": []},
        {"moves": []},
        {"moves": [], "removes": [], "runs": "rm"},
        [],
        None,
        "",
        "{",
        "[" * 100_000,
        b"\xff\xfe{}",
    ],
    ids=lambda journal: str(journal)[:60],
)
def test_a_journal_that_no_export_wrote_is_refused_and_nothing_is_touched(
    stranger, output, tmp_path, journal
):
    if isinstance(journal, dict):
        journal = json.dumps(journal).replace("{out}", str(tmp_path / "outside"))
    before = stranger(journal)
    with pytest.raises(UserError, match=r"\.publish\.json is not what.*nothing was touched"):
        Staging(output).__enter__()
    assert {k: v for k, v in everything(tmp_path).items() if k != "out/.export.lock"} == before
    with pytest.raises(UserError, match="half published"):
        check_published(output)


@pytest.mark.parametrize("place", ["onnx", "onnx/a", HIDDEN, f"{HIDDEN}/payload", "inside"])
def test_a_link_on_the_way_of_a_journal_is_refused(stranger, output, tmp_path, place):
    stranger(moves((f"{HIDDEN}/saved_model", "saved_model/5"), GOOD_MOVE))
    place = f"{HIDDEN}/saved_model/9/m" if place == "inside" else place
    path = output / place
    target = tmp_path / "outside" / ("folder" if path.is_dir() else "diary")
    (shutil.rmtree if path.is_dir() else os.remove)(path)
    path.symlink_to(target)
    before = everything(tmp_path)
    with pytest.raises(UserError, match="link"):
        Staging(output).__enter__()
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", [".publish.json", ".export.lock", "saved_model", "export.json"])
def test_a_link_where_an_export_writes_is_refused(output, tmp_path, name):
    shutil.rmtree(output / name, ignore_errors=True)
    (output / name).unlink(missing_ok=True)
    (output / name).symlink_to(tmp_path / "elsewhere")
    before = everything(tmp_path)
    with pytest.raises(UserError, match=f"{name} is (a link|not what)"):
        Staging(output).__enter__()
    assert everything(tmp_path) == before


def test_a_pipe_for_a_journal_is_not_waited_for(output):
    os.mkfifo(output / ".publish.json")
    with pytest.raises(UserError, match="it is no file"):
        Staging(output).__enter__()


def test_a_publication_of_what_no_export_has_is_refused_before_it_begins(output):
    with Staging(output) as staging:
        write(staging.folder, NEW)
        for old, removes in (("../x", []), ("onnx/a", ["../x"]), ("onnx/a", ["saved_model/1"])):
            with pytest.raises(UserError, match="nothing was touched"):
                staging.publish([(old, "onnx/a")], removes)
    assert visible(output) == OLD
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
