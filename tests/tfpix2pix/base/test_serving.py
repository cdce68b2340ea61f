"""The server of a page's files, by HTTP; what a study asks of it is tested there."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.serving import FileServer, files_of, size_of


@pytest.fixture
def server(tmp_path):
    (tmp_path / "page" / "parts").mkdir(parents=True)
    (tmp_path / "page" / "index.html").write_text("<p>page</p>")
    (tmp_path / "page" / "parts" / "big.wasm").write_bytes(bytes(range(256)) * 4096)
    (tmp_path / "secret").write_text("secret")
    started = FileServer(files_of(tmp_path / "page"), headers={"X-Own": "yes"})
    started.offer({"list.json": b"[]", "glue.mjs": b"0;"})
    threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()


@pytest.mark.parametrize(
    ("path", "kind", "size"),
    [
        ("/", "text/html", 11),
        ("/parts/big.wasm", "application/wasm", 1 << 20),
        ("/list.json?new", "application/json", 2),
        ("/glue.mjs", "text/javascript", 2),
    ],
)
def test_files_and_their_kinds(ask, server, path, kind, size):
    status, headers, content = ask("GET", path)
    assert (status, headers["Content-Type"], len(content)) == (200, kind, size)
    assert headers["X-Own"] == "yes"
    assert size_of(server.files[path.partition("?")[0]]) == size
    status, headers, content = ask("HEAD", path)
    assert (status, int(headers["Content-Length"]), content) == (200, size, b"")


@pytest.mark.parametrize("path", ["/../secret", "/parts", "//secret", "/%2e%2e/secret", "secret"])
def test_nothing_else_comes_out(ask, path):
    status, _, content = ask("GET", path)
    assert status == 404
    assert content == b"there is no such file here\n"


def test_a_file_that_was_taken_away_and_a_page_of_another_name(ask, tmp_path):
    (tmp_path / "page" / "parts" / "big.wasm").unlink()
    assert ask("GET", "/parts/big.wasm")[0] == 404
    assert ask("GET", "/", headers={"Host": "evil.example"})[0] == 421
    assert ask("GET", "/favicon.ico")[0] == 204


def test_ports_and_hosts_that_cannot_be_had(server):
    def said(**options) -> str:
        with pytest.raises(UserError) as caught:
            FileServer({}, **options)
        return str(caught.value)

    assert f"--port={server.server_port} is in use" in said(port=server.server_port)
    assert "0 to 65535" in said(port=70_000)
    assert "no address of this machine" in said(host="203.0.113.7")


def test_a_ctrl_c_that_something_swallowed_ends_it_all_the_same():
    server = FileServer({"index.html": b""})

    def work() -> None:
        with contextlib.suppress(KeyboardInterrupt):  # as a callback of a library would
            signal.raise_signal(signal.SIGINT)

    began = threading.Timer(20, os.kill, (os.getpid(), signal.SIGTERM))
    began.start()
    server.serve_until_stopped(work)
    assert began.is_alive()  # it was the first that ended it
    began.cancel()
