"""Downloads that break off, servers that misbehave, archives that must not be trusted.

A server of our own stands in for the authors' host; nothing here needs a network.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.sources import archives, download, paper_sets
from tfpix2pix.data.sources.archives import extract
from tfpix2pix.data.sources.download import fetch
from tfpix2pix.data.sources.paper_sets import PAPER_SETS, default_data_dir, paper_set, stage_lines

BUILDERS = Path(__file__).resolve().parents[3] / "data" / "sources" / "builders"
BODY = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()


class Server(ThreadingHTTPServer):
    """Serves `body` at any path but /missing, in the ways that servers have.

    Attributes:
      cut: bytes after which answers break off, one entry per answer; then answers are whole.
      ranges: whether a Range request gets the rest (206) or everything again (200).
      lengths: whether answers carry a Content-Length.
      slow: seconds between chunks.
      drips: seconds between single bytes, instead of chunks of 20,000; 0 for chunks.
      endless: whether the body is sent again and again.
      sent: bytes of bodies so far.
      asked: the Range header of each request, None where there was none.
    """

    daemon_threads = True

    def __init__(self):
        self.body, self.tag = BODY, '"one"'
        self.cut: list[int] = []
        self.ranges, self.lengths, self.slow, self.status = True, True, 0.0, 200
        self.drips, self.endless, self.sent = 0.0, False, 0
        self.asked: list[str | None] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, path: str = "/set.tar.gz") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        if self.path == "/missing" or server.status != 200:
            self.send_error(404 if self.path == "/missing" else server.status)
            return
        start = int(wanted[len("bytes=") : -1]) if wanted and server.ranges else 0
        if self.headers.get("If-Range", server.tag) != server.tag:
            start = 0
        if start and start >= len(server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            last = len(server.body) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        if server.tag:
            self.send_header("ETag", server.tag)
        if server.lengths:
            self.send_header("Content-Length", str(len(server.body) - start))
        self.end_headers()
        end = start + server.cut.pop(0) if server.cut else len(server.body)
        content = server.body[start:end]
        size = 1 if server.drips else 20_000
        with contextlib.suppress(OSError):  # the client has had enough
            while True:
                for begin in range(0, len(content), size):
                    self.wfile.write(content[begin : begin + size])
                    self.wfile.flush()
                    server.sent += size
                    time.sleep(server.drips or server.slow)
                if not server.endless:
                    break

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.01)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if not p.name.endswith(".lock")}


# === fetch ===


def test_a_file_arrives_and_its_sum_is_recorded(server, tmp_path):
    seen = []
    path = fetch(server.url(), tmp_path / "new" / "folder", progress=lambda *p: seen.append(p))
    assert path == tmp_path / "new" / "folder" / "set.tar.gz"
    assert path.read_bytes() == BODY
    assert names(path.parent) == {"set.tar.gz", "checksums.tsv"}
    line = (path.parent / "checksums.tsv").read_text()
    assert line == f"{server.url()}\t{len(BODY)}\t{hashlib.sha256(BODY).hexdigest()}\n"
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_connection_that_breaks_off_is_resumed(server, tmp_path):
    server.cut = [100_000, 50_000]
    assert fetch(server.url(), tmp_path).read_bytes() == BODY
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]
    assert names(tmp_path) == {"set.tar.gz", "checksums.tsv"}


def test_without_range_support_it_starts_over(server, tmp_path):
    server.cut, server.ranges = [100_000], False
    assert fetch(server.url(), tmp_path).read_bytes() == BODY
    assert server.asked == [None, "bytes=100000-"]


@pytest.mark.parametrize(
    ("before", "after", "body"),
    [('"one"', '"two"', BODY[::-1]), (None, None, BODY[::-1] + b"longer")],
    ids=["another tag, same length", "no tag, another length"],
)
def test_a_file_that_changed_meanwhile_is_not_glued_together(server, tmp_path, before, after, body):
    server.tag, server.cut = before, [100_000, 0, 0]
    with pytest.raises(DataError, match="broke off after 100,000 of 300,000") as caught:
        fetch(server.url(), tmp_path)
    assert "The 100,000 bytes that have arrived are kept." in str(caught.value)
    server.tag, server.body, server.cut = after, body, []
    assert fetch(server.url(), tmp_path).read_bytes() == body


def test_a_part_from_an_earlier_process_is_resumed(server, tmp_path):
    """A process killed in the middle leaves what it has; the next one asks for the rest only."""
    server.slow = 0.05
    program = "import sys; from tfpix2pix.data.sources.download import fetch; fetch(*sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", program, server.url(), str(tmp_path)])
    part = tmp_path / "set.tar.gz.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 0):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.wait()
    assert not (tmp_path / "set.tar.gz").exists()
    have = part.stat().st_size
    assert 0 < have < len(BODY)
    server.slow = 0
    assert fetch(server.url(), tmp_path).read_bytes() == BODY
    assert server.asked[-1] == f"bytes={have}-"


def test_a_complete_part_needs_no_byte_more(server, tmp_path):
    server.cut = [100_000, 0, 0]
    with pytest.raises(DataError):
        fetch(server.url(), tmp_path)
    (tmp_path / "set.tar.gz.part").write_bytes(BODY)
    assert fetch(server.url(), tmp_path).read_bytes() == BODY
    assert server.asked[-1] == "bytes=300000-"


def test_a_part_of_unknown_origin_is_not_used(server, tmp_path):
    (tmp_path / "set.tar.gz.part").write_bytes(b"something else")
    assert fetch(server.url(), tmp_path).read_bytes() == BODY
    assert server.asked == [None]


def test_a_server_that_tells_no_length(server, tmp_path):
    server.lengths = False
    seen = []
    path = fetch(server.url(), tmp_path, progress=lambda *p: seen.append(p))
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), 0)


def test_other_bytes_than_the_first_time_are_refused(server, tmp_path):
    path = fetch(server.url(), tmp_path)
    first = hashlib.sha256(BODY).hexdigest()
    path.unlink()
    server.body = BODY[:-1] + b"!"
    second = hashlib.sha256(server.body).hexdigest()
    with pytest.raises(DataError, match=r"set aside as set\.tar\.gz\.bad") as caught:
        fetch(server.url(), tmp_path)
    for piece in (first, second, server.url(), "checksums.tsv", "remove its line"):
        assert piece in str(caught.value)
    assert names(tmp_path) == {"set.tar.gz.bad", "checksums.tsv"}


def test_a_known_checksum_is_held_to_from_the_first_time_on(server, tmp_path):
    good = hashlib.sha256(BODY).hexdigest()
    assert fetch(server.url(), tmp_path / "a", sha256=good.upper(), size=len(BODY)).exists()
    assert not (tmp_path / "a" / "checksums.tsv").exists()
    with pytest.raises(DataError, match="known to tfpix2pix"):
        fetch(server.url(), tmp_path / "b", sha256="0" * 64)
    with pytest.raises(DataError, match="300,000 bytes where 7 were expected"):
        fetch(server.url(), tmp_path / "c", size=7)


def test_a_file_put_there_by_hand_is_checked_and_kept(server, tmp_path):
    (tmp_path / "set.tar.gz").write_bytes(BODY)
    assert fetch(server.url(), tmp_path) == tmp_path / "set.tar.gz"
    assert server.asked == []
    digest = hashlib.sha256(BODY).hexdigest()
    assert download.recorded_checksum(tmp_path, server.url()) == (len(BODY), digest)
    (tmp_path / "set.tar.gz").write_bytes(BODY + b"!")
    with pytest.raises(DataError, match="not the file it should be"):
        fetch(server.url(), tmp_path)


def test_sums_of_several_files_live_side_by_side(server, tmp_path):
    fetch(server.url("/b.zip"), tmp_path)
    fetch(server.url("/a.zip"), tmp_path)
    lines = (tmp_path / "checksums.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [server.url("/a.zip"), server.url("/b.zip")]
    download.forget_checksum(tmp_path, server.url("/a.zip"))
    assert download.recorded_checksum(tmp_path, server.url("/a.zip")) is None
    assert download.recorded_checksum(tmp_path, server.url("/b.zip"))


@pytest.mark.parametrize(
    ("path", "status", "why", "tries"),
    [("/missing", 200, "answered 404 Not Found", 1), ("/x.zip", 503, "answered 503", 2)],
)
def test_a_server_that_refuses(server, tmp_path, path, status, why, tries):
    server.status = status
    with pytest.raises(DataError, match=why) as caught:
        fetch(server.url(path), tmp_path, name="x.zip")
    assert len(server.asked) == tries
    for piece in (server.url(path), str(tmp_path / "x.zip"), "--dataset=FOLDER"):
        assert piece in str(caught.value)


def test_nobody_listening(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.01)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: connections are refused.
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/set.zip"
        with pytest.raises(DataError, match="refused the connection"):
            fetch(url, tmp_path)


def test_a_host_that_does_not_exist(tmp_path):
    # .invalid never resolves (RFC 2606).
    with pytest.raises(DataError, match="cannot be resolved"):
        fetch("http://nowhere.invalid/set.zip", tmp_path)


def test_a_silent_host_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # Connects, and says nothing.
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/set.zip"
        with pytest.raises(DataError, match=r"sent nothing for 0\.1 s"):
            fetch(url, tmp_path)


def test_a_host_that_drips_is_given_up(server, tmp_path, monkeypatch):
    """A byte now and then is no silence, and no download either; what has come is kept."""
    monkeypatch.setattr(download, "SLOWEST", 0.3)
    server.drips = 0.02
    with pytest.raises(DataError, match=r"sent less than 262,144 bytes in 0\.3 s") as caught:
        fetch(server.url(), tmp_path)
    assert len(server.asked) == download.TRIES
    assert "bytes that have arrived are kept" in str(caught.value)
    server.drips = 0
    assert fetch(server.url(), tmp_path).read_bytes() == BODY


def test_an_endless_file_is_cut(server, tmp_path):
    server.lengths, server.endless = False, True
    with pytest.raises(DataError, match=r"sends .* bytes and more where 1,000,000 at most"):
        fetch(server.url(), tmp_path, largest=1_000_000)
    assert len(server.asked) == 1
    assert server.sent < 50_000_000
    assert names(tmp_path) == set()
    with pytest.raises(DataError, match="where 7 at most were expected"):
        fetch(server.url(), tmp_path, size=7)


def test_a_claim_that_is_too_large_is_refused_at_once(server, tmp_path):
    with pytest.raises(DataError, match="offers a file of 300,000 bytes where 299,999 at most"):
        fetch(server.url(), tmp_path, largest=299_999)
    assert fetch(server.url(), tmp_path, largest=300_000).read_bytes() == BODY
    assert PAPER_SETS["facades"].largest_archive == 58_000_000
    assert PAPER_SETS["edges2handbags"].largest_archive == 16_000_000_000


def test_the_longest_wait_for_a_connection_is_short():
    longest = download.TRIES * download.CONNECT_TIMEOUT + (download.TRIES - 1) * download.PAUSE
    assert longest <= 15


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(server.url(), tmp_path / "file" / "below")


# === extract ===


def tar_of(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o4777
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return path


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


FILES = {"set/train/1.jpg": b"one" * 9000, "set/val/2.jpg": b"two", "set/empty": b""}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("form", ["tar.gz", "tar", "zip"])
def test_an_archive_is_unpacked(tmp_path, form):
    archive = tmp_path / f"a.{form}"
    if form == "zip":
        zip_of(archive, FILES)
    else:
        tar_of(archive, FILES)
    if form == "tar":
        archive.write_bytes(gzip.decompress(archive.read_bytes()))
    seen = []
    extract(archive, tmp_path / "all", progress=lambda *p: seen.append(p))
    assert contents(tmp_path / "all") == FILES
    assert {total for _, total in seen} == {archive.stat().st_size}
    assert all(0 <= done <= total for done, total in seen)
    extract(archive, tmp_path / "set", top="set")
    assert contents(tmp_path / "set") == {k.removeprefix("set/"): v for k, v in FILES.items()}
    # Neither the archive's permissions nor a trace of the work.
    mode = stat.S_IMODE((tmp_path / "set" / "train" / "1.jpg").stat().st_mode)
    assert not mode & 0o4111
    assert names(tmp_path) == {archive.name, "all", "set"}


def test_what_an_earlier_process_left_half_done_is_cleared(tmp_path):
    archive = tar_of(tmp_path / "a.tar.gz", FILES)
    (tmp_path / "set.incomplete" / "set").mkdir(parents=True)
    (tmp_path / "set.incomplete" / "set" / "old.jpg").write_bytes(b"old")
    extract(archive, tmp_path / "set", top="set")
    assert "old.jpg" not in contents(tmp_path / "set")


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("set/link")
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("files", "extra", "why"),
    [
        ({"../out.txt": b"x"}, (), "leads out"),
        ({"set/../../out.txt": b"x"}, (), "leads out"),
        ({"/out.txt": b"x"}, (), "leads out"),
        ({"C:\\out.txt": b"x"}, (), "leads out"),
        (FILES, (link(tarfile.SYMTYPE, "/etc/passwd"),), "a link or device"),
        (FILES, (link(tarfile.LNKTYPE, "set/train/1.jpg"),), "a link or device"),
        (FILES, (link(tarfile.FIFOTYPE, ""),), "a link or device"),
    ],
)
def test_an_unsafe_archive_is_refused(tmp_path, files, extra, why):
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = tar_of(inside / "a.tar.gz", files, *extra)
    with pytest.raises(DataError, match=why):
        extract(archive, inside / "set")
    assert names(inside) == {"a.tar.gz"}
    assert names(tmp_path) == {"inside"}
    if not extra:
        with pytest.raises(DataError, match=why):
            extract(zip_of(inside / "a.zip", files), inside / "set")


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("set/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="a link"):
        extract(tmp_path / "a.zip", tmp_path / "set")


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch, peak_growth, form):
    monkeypatch.setattr(archives, "ALWAYS", 1 << 20)
    archive = tmp_path / f"a.{form}"
    bomb = {"set/1": bytes(40 << 20), "set/2": b"x"}
    (zip_of if form == "zip" else tar_of)(archive, bomb)
    assert archive.stat().st_size < 60_000

    def call():
        with pytest.raises(DataError, match="unpacks to more than") as caught:
            extract(archive, tmp_path / "set")
        assert str(archive) in str(caught.value)

    assert peak_growth(call) < 30_000_000
    assert names(tmp_path) == {archive.name}
    # What pictures come to is not much.
    (zip_of if form == "zip" else tar_of)(archive, {"set/1": BODY * 9, "set/2": bytes(90_000)})
    assert len(contents(extract(archive, tmp_path / "set"))) == 2


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_an_archive_of_too_many_files_is_refused(tmp_path, monkeypatch, form):
    monkeypatch.setattr(archives, "MEMBERS", 50)
    archive = tmp_path / f"a.{form}"
    (zip_of if form == "zip" else tar_of)(archive, {f"set/{i}": b"" for i in range(51)})
    with pytest.raises(DataError, match="or 50 files"):
        extract(archive, tmp_path / "set")
    assert names(tmp_path) == {archive.name}


def test_a_name_that_fills_the_memory_is_refused(tmp_path, peak_growth):
    """tarfile reads long names and extended headers whole, whatever they claim to be."""
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        info = tarfile.TarInfo("name")
        info.type, info.size = kind, 300 << 20
        archive = tmp_path / "a.tar.gz"
        with gzip.open(archive, "wb", compresslevel=1) as file:
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            for _ in range(300):
                file.write(bytes(1 << 20))

        def call(archive=archive):
            with pytest.raises(DataError, match="unpacks to more than"):
                extract(archive, tmp_path / "set")

        assert peak_growth(call) < 100_000_000
        assert names(tmp_path) == {"a.tar.gz"}


def test_a_zip_packed_otherwise_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("set/1", b"x" * 99)
    with pytest.raises(DataError, match="packed otherwise than by Deflate"):
        extract(tmp_path / "a.zip", tmp_path / "set")


def test_a_name_with_a_zero_byte_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("set/1")
        info.pax_headers = {"path": "set/a\0b"}
        tar.addfile(info)
    with pytest.raises(DataError, match="leads out of the folder"):
        extract(tmp_path / "a.tar.gz", tmp_path / "set")


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
@pytest.mark.parametrize("damage", ["cut", "last bytes", "flipped", "page", "empty"])
def test_a_damaged_archive_is_removed(tmp_path, form, damage):
    noise = {f"set/{i}.jpg": BODY[i * 9000 :][:9000] for i in range(20)}
    archive = tmp_path / f"a.{form}"
    (zip_of if form == "zip" else tar_of)(archive, noise)
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "last bytes":
        del content[-5:]
    elif damage == "flipped":
        content[len(content) // 2] ^= 255
    elif damage == "page":
        content = bytearray(b"<html>Please log in to this network.</html>")
    else:
        content = bytearray()
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged archive"):
        extract(archive, tmp_path / "set")
    assert names(tmp_path) == set()


def test_an_archive_of_something_else(tmp_path):
    archive = tar_of(tmp_path / "a.tar.gz", {"other/train/1.jpg": b"x"})
    with pytest.raises(DataError, match="no folder set/"):
        extract(archive, tmp_path / "set", top="set")
    assert names(tmp_path) == {"a.tar.gz"}


# === paper_set ===


@pytest.fixture
def facades(server, tmp_path, monkeypatch):
    """The server offers `facades` as its authors pack it: our dummy data in place of theirs."""
    dummy = BUILDERS / "facades" / "dummy_data"
    files = {k: v for k, v in sorted(contents(dummy).items()) if k.startswith("facades/")}
    server.body = tar_of(tmp_path / "packed.tar.gz", files).read_bytes()
    entry = paper_sets.dataclasses.replace(PAPER_SETS["facades"], url=server.url())
    monkeypatch.setitem(PAPER_SETS, "facades", entry)
    return {k.removeprefix("facades/"): v for k, v in files.items()}


def test_a_set_is_downloaded_once(server, facades, tmp_path):
    stages = []
    folder = paper_set("facades", tmp_path / "home", progress=lambda *p: stages.append(p))
    assert folder == tmp_path / "home" / "facades"
    assert contents(folder) == facades
    assert {split.name for split in folder.iterdir()} == {"train", "val", "test"}
    assert [what for what, *_ in dict.fromkeys(stage[:1] for stage in stages)] == [
        "downloading facades.tar.gz",
        "unpacking facades",
    ]
    # The archive has done its duty; its sum stays.
    assert names(tmp_path / "home" / "downloads") == {"checksums.tsv"}
    assert paper_set("facades", tmp_path / "home") == folder
    assert len(server.asked) == 1


def test_what_is_no_archive_leaves_nothing_behind(server, facades, tmp_path):
    archive, server.body = server.body, b"<html>Please log in to this network.</html>"
    with pytest.raises(DataError, match="damaged archive"):
        paper_set("facades", tmp_path / "home")
    assert not (tmp_path / "home" / "facades").exists()
    server.body = archive
    assert contents(paper_set("facades", tmp_path / "home")) == facades


def test_an_archive_put_there_by_hand_is_used_and_kept(server, facades, tmp_path):
    downloads = tmp_path / "home" / "downloads"
    downloads.mkdir(parents=True)
    (downloads / "facades.tar.gz").write_bytes(server.body)
    assert contents(paper_set("facades", tmp_path / "home")) == facades
    assert server.asked == []
    assert names(downloads) == {"facades.tar.gz", "checksums.tsv"}


def test_two_processes_ask_at_once(server, facades, tmp_path):
    server.slow = 0.2
    program = (
        "import sys, dataclasses; from tfpix2pix.data.sources.paper_sets import *;"
        "PAPER_SETS['facades'] = dataclasses.replace(PAPER_SETS['facades'], url=sys.argv[1]);"
        "print(paper_set('facades', sys.argv[2]))"
    )
    args = [sys.executable, "-c", program, server.url(), str(tmp_path / "home")]
    both = [subprocess.Popen(args, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert outputs == {str(tmp_path / "home" / "facades")}
    assert contents(tmp_path / "home" / "facades") == facades
    assert len(server.asked) == 1


def test_another_folder_in_the_way(facades, tmp_path):
    (tmp_path / "home" / "facades").mkdir(parents=True)
    (tmp_path / "home" / "facades" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no train/"):
        paper_set("facades", tmp_path / "home")
    assert (tmp_path / "home" / "facades" / "notes.txt").read_text() == "mine"


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(DataError, match="facades, maps, edges2shoes"):
        paper_set("fasades", tmp_path)


def test_where_data_sets_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("TFPIX2PIX_DATA_DIR", str(tmp_path / "named"))
    assert default_data_dir() == tmp_path / "named"
    monkeypatch.delenv("TFPIX2PIX_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_data_dir() == tmp_path / "cache" / "tfpix2pix"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_data_dir() == Path.home() / ".cache" / "tfpix2pix"


def test_the_stages_are_said(server, facades, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tfpix2pix.base.progress.INTERVAL", 0.0)
    with stage_lines() as progress:
        progress("waiting for another process", 0, 0, "")
        progress("downloading x", 1_000_000, 30_000_000, "byte")
        progress("downloading x", 3_000_000, 30_000_000, "byte")
        progress("pairing x", 2, 4, "pair")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "waiting for another process"
    assert lines[1] == "downloading x: MB 1/30  ETA -:--"
    assert lines[2].startswith("downloading x: MB 3/30  ETA ")
    assert lines[3].startswith("pairing x: pair 2/4  ETA ")


# === Cityscapes ===


def raw_cityscapes(folder: Path) -> dict[str, np.ndarray]:
    """Three pairs at a quarter of the real size; returns the label pictures by stem."""
    dice = np.random.default_rng(5)
    palette = np.array([[128, 64, 128], [70, 70, 70], [107, 142, 35]], np.uint8)
    labels = {}
    for split, city, frame in [("train", "aachen", 1), ("train", "bonn", 2), ("val", "ulm", 3)]:
        stem = f"{city}_000000_{frame:06d}"
        coarse = palette[dice.integers(0, 3, (16, 32))]
        labels[f"{split}/{stem}"] = colours = coarse.repeat(16, 0).repeat(16, 1)  # 256x512
        photo = np.full((256, 512, 3), 40 * frame, np.uint8)
        alpha = np.full((256, 512, 1), 255, np.uint8)
        for kind, end, image in [
            ("leftImg8bit", "leftImg8bit", photo),
            ("gtFine", "gtFine_color", np.concatenate([colours, alpha], axis=2)),
            ("gtFine", "gtFine_labelIds", photo[..., 0]),
        ]:
            target = folder / kind / split / city / f"{stem}_{end}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(target)
    return labels


@pytest.mark.parametrize("form", ["folders", "zips", "unpacked zips"])
def test_cityscapes_is_made_from_what_was_downloaded_by_hand(tmp_path, form):
    manual = tmp_path / "home" / "manual" / "cityscapes"
    labels = raw_cityscapes(manual)
    for kind in ("leftImg8bit", "gtFine"):
        if form == "zips":
            zip_of(manual / f"{kind}_trainvaltest.zip", {
                f"{kind}/{k}": v for k, v in contents(manual / kind).items()
            })  # fmt: skip
            (manual / kind).rename(tmp_path / kind)
        elif form == "unpacked zips":
            (manual / f"{kind}_trainvaltest").mkdir()
            (manual / kind).rename(manual / f"{kind}_trainvaltest" / kind)
    stages = []
    folder = paper_set("cityscapes", tmp_path / "home", progress=lambda *p: stages.append(p))
    assert set(contents(folder)) == {f"{name}.png" for name in labels}
    for name, colours in labels.items():
        image = np.asarray(Image.open(folder / f"{name}.png"))
        assert image.shape == (256, 512, 3)
        frame = int(name[-6:])
        assert (image[:, :256] == 40 * frame).all()
        # 512 columns to 256: the nearest pixels are every second one of blocks 16 wide.
        np.testing.assert_array_equal(image[:, 256:], colours[:, 1::2])
    assert stages[-1] == ("pairing cityscapes", 3, 3, "pair")
    assert paper_set("cityscapes", tmp_path / "home") == folder


def test_cityscapes_says_what_to_download(tmp_path):
    with pytest.raises(DataError) as caught:
        paper_set("cityscapes", tmp_path)
    for piece in ("https://www.cityscapes-dataset.com", "leftImg8bit_trainvaltest.zip"):
        assert piece in str(caught.value)
    assert str(tmp_path / "manual" / "cityscapes") in str(caught.value)
    assert not (tmp_path / "cityscapes").exists()


def test_cityscapes_half_unpacked_or_damaged(tmp_path):
    manual = tmp_path / "manual" / "cityscapes"
    raw_cityscapes(manual)
    photo = next(manual.rglob("bonn*_leftImg8bit.png"))
    content = photo.read_bytes()
    photo.unlink()
    with pytest.raises(DataError, match="1 images have no partner, first bonn_000000_000002"):
        paper_set("cityscapes", tmp_path)
    photo.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="bonn_000000_000002 cannot be read"):
        paper_set("cityscapes", tmp_path)
    assert not (tmp_path / "cityscapes").exists()
    assert not (tmp_path / "cityscapes.incomplete").exists()
    (manual / "leftImg8bit").rename(tmp_path / "elsewhere")
    (manual / "leftImg8bit_trainvaltest.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="damaged archive"):
        paper_set("cityscapes", tmp_path)
