"""Files are the old ones or the new ones."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest

from tfpix2pix.base import files


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_new_file_holds_what_was_written(tmp_path):
    files.write_bytes(tmp_path / "a.bin", b"\x00\xff\r\n")
    files.write_text(tmp_path / "b.txt", "ä\n🏠")
    files.write_json(tmp_path / "c.json", {"a": [1, 2]})
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff\r\n"
    assert (tmp_path / "b.txt").read_bytes() == "ä\n🏠".encode()
    assert json.loads((tmp_path / "c.json").read_text()) == {"a": [1, 2]}
    assert names(tmp_path) == ["a.bin", "b.txt", "c.json"]


def test_a_name_as_long_as_may_be(tmp_path):
    files.write_text(tmp_path / ("x" * 255), "new")
    assert names(tmp_path) == ["x" * 255]


def test_a_text_that_names_a_file_that_is_no_text(tmp_path):
    files.write_text(tmp_path / "a.txt", "a\udcff")
    assert (tmp_path / "a.txt").read_bytes() == b"a\\udcff"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("runs/a b-ä🏠.png", "runs/a b-ä🏠.png"),
        ("a\nb\r\t.png", r"a\nb\r\t.png"),
        ("\x1b[2J\x7f", r"\x1b[2J\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        (os.fsdecode(b"\xff.png"), r"\udcff.png"),
    ],
)
def test_a_path_is_shown_on_one_line(path, expected):
    assert files.shown(path) == expected
    expected.encode("utf-8")


def test_what_killed_writes_left_is_cleared(tmp_path):
    for name in (".a.json.0123abcd.tmp", ".x\ny.01234567.tmp", ".mine.tmp", "a.01234567.tmp"):
        (tmp_path / name).touch()
    files.clear_temporary(tmp_path)
    assert names(tmp_path) == [".mine.tmp", "a.01234567.tmp"]
    files.clear_temporary(tmp_path / "missing")


def test_a_killed_write_leaves_what_is_cleared(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(SystemExit))
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_: None)  # as if it had come no further
    for name in ("report.html", "ä" * 100, "[a]*.png"):
        with pytest.raises(SystemExit):
            files.write_text(tmp_path / name, "new")
    monkeypatch.undo()
    assert len(names(tmp_path)) == 3
    files.clear_temporary(tmp_path)
    assert names(tmp_path) == []


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("something much longer than the new")
    files.write_text(str(path), "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_reader_of_the_old_file_keeps_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with open(path) as reader:
        files.write_text(path, "new")
        assert reader.read() == "old"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_content_is_on_disk_before_the_name_points_to_it(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda *a: (calls.append("fsync"), fsync(*a)))
    monkeypatch.setattr(os, "replace", lambda *a: (calls.append("replace"), replace(*a)))
    files.write_text(tmp_path / "a.txt", "new")
    assert calls[:2] == ["fsync", "replace"]


def test_what_cannot_be_json_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        files.write_json(path, {"a": object()})
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_text(tmp_path / "none" / "a.txt", "new")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_others_may_read_a_file_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        files.write_text(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644
