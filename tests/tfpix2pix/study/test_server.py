"""The server of a study, by HTTP."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.study.results import LARGEST, read_results
from tfpix2pix.study.server import FILE, StudyServer

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(make, tmp_path) -> Iterator[StudyServer]:
    """A running one, whose `told` are the counts that it told of."""
    told: list[int] = []
    started = StudyServer(make(tmp_path / "s"), on_result=lambda session, count: told.append(count))
    started.told = told
    threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()


def test_the_page_and_its_pictures(server, ask):
    status, headers, content = ask("GET", "/")
    assert (status, headers["Content-Type"]) == (200, "text/html")
    assert content == (server.study.page / "index.html").read_bytes()
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert ask("GET", "/index.html?participant=1")[2] == content
    picture = next(server.study.pictures.iterdir())
    status, headers, got = ask("GET", f"/pictures/{picture.name}")
    assert (status, headers["Content-Type"], got) == (200, "image/png", picture.read_bytes())
    assert "Last-Modified" not in headers
    status, headers, got = ask("HEAD", f"/pictures/{picture.name}")
    assert (status, got, int(headers["Content-Length"])) == (200, b"", picture.stat().st_size)


@pytest.mark.parametrize(
    "path",
    [
        *("/../key.json", "/%2e%2e/key.json", "/..%2fkey.json", "/pictures/../../key.json"),
        *(
            "//key.json",
            "/key.json",
            "key.json",
            "/results/served.jsonl",
            "/pictures",
            "/pictures/",
        ),
        *("/\\..\\key.json", "/etc/passwd", "*"),
    ],
)
def test_nothing_else_comes_out(ask, path):
    status, _, content = ask("GET", path)
    assert status == 404
    assert b"pairs" not in content


def test_a_result_is_appended_once(server, ask, play):
    one, two = (json.dumps(play(server.study, n, skill=0.5)).encode() for n in range(2))
    for body in (one, two, one):  # the last is sent again, as after a lost answer
        assert ask("POST", "/results", body, JSON)[0] == 204
    lines = (server.study.results / FILE).read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == [json.loads(one), json.loads(two)]
    assert server.told == [1, 2]
    changed = json.dumps(play(server.study, 0, skill=0.5, ms=1)).encode()
    status, _, said = ask("POST", "/results", changed, JSON)
    assert (status, b"there already" in said) == (400, True)
    assert len(read_results(server.study)) == 2


def test_many_at_once(server, ask, play):
    bodies = [json.dumps(play(server.study, n, skill=0.5)).encode() for n in range(24)]
    threads = [threading.Thread(target=ask, args=("POST", "/results", b, JSON)) for b in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_results(server.study)) == 24
    assert sorted(server.told) == list(range(1, 25))


def test_a_line_that_was_cut_off_does_not_take_the_next_along(server, ask, play):
    (server.study.results / FILE).write_bytes(b'{"cut')
    body = json.dumps(play(server.study, 0, skill=0.5)).encode()
    assert ask("POST", "/results", body, JSON)[0] == 204
    assert (server.study.results / FILE).read_bytes().splitlines()[1] == body


def test_what_is_no_result_is_refused(server, ask, play, make, tmp_path):
    def said(status: int, body=b"{}", headers=JSON, path="/results") -> str:
        got, _, content = ask("POST", path, body, headers)
        assert got == status
        assert content.count(b"\n") == 1
        return content.decode()

    assert "no JSON" in said(400, b"{")
    assert "no result" in said(400)
    foreign = make(tmp_path / "other", seed=9)
    assert "another study" in said(400, json.dumps(play(foreign, 0, skill=1)).encode())
    good = json.dumps(play(server.study, 0, skill=1)).encode()
    assert "application/json" in said(415, good, {"Content-Type": "text/plain"})
    assert "at most" in said(413, b"", {**JSON, "Content-Length": str(LARGEST + 1)})
    assert "at most" in said(413, b"", {**JSON, "Content-Length": "9" * 5000})
    assert "Content-Length" in said(411, b"", {**JSON, "Content-Length": "-1"})
    assert "/results" in said(404, good, path="/")
    assert not (server.study.results / FILE).exists()


def test_a_page_of_another_name_is_refused(ask):
    """As one whose name was made to lead to this machine."""
    assert ask("GET", "/", headers={"Host": "evil.example"})[0] == 421
    assert ask("POST", "/results", b"{}", {**JSON, "Host": "evil.example:80"})[0] == 421
    assert ask("GET", "/", headers={"Host": "localhost:1"})[0] == 200


def test_models_are_handed_out_evenly(server, ask, play):
    def assigned() -> int:
        return json.loads(ask("GET", "/assignment")[2])["matchup"]

    assert Counter(assigned() for _ in range(6)) == {0: 3, 1: 3}
    # Of the three that were sent to 0, all finish; then it has as many as the other.
    for number in range(3):
        body = json.dumps(play(server.study, number, skill=1, matchup=0)).encode()
        assert ask("POST", "/results", body, JSON)[0] == 204
    assert Counter(assigned() for _ in range(4)) == {0: 2, 1: 2}


def test_every_model_for_each(make, tmp_path):
    with StudyServer(make(tmp_path / "s", session="all")) as server:
        assert server.assignment() is None


def test_what_was_kept_before_counts(make, play, write_lines, tmp_path):
    study = make(tmp_path / "s")
    write_lines(study.results / FILE, [play(study, n, skill=1, matchup=0) for n in range(3)])
    with StudyServer(study) as server:
        assert [server.assignment() for _ in range(3)] == [1, 1, 1]
        with pytest.raises(ValueError, match="there already"):
            server.keep(json.dumps(play(study, 0, skill=1, matchup=1)).encode())


def test_refusals_at_the_start(server, study, make, tmp_path):
    def said(study, **options) -> str:
        with pytest.raises(UserError) as caught:
            StudyServer(study, **options)
        return str(caught.value)

    port = server.server_port
    assert f"--port={port} is in use" in said(study, port=port)
    assert "0 to 65535" in said(study, port=70_000)
    assert "no address of this machine" in said(study, host="203.0.113.7")
    broken = make(tmp_path / "broken")
    (broken.results / FILE).write_text("{")
    assert "line 1: this is no JSON" in said(broken)
    (broken.page / "index.html").unlink()
    assert "holds no index.html" in said(broken)
