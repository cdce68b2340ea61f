"""A small server for a study: the page's files, and a place that takes results.

It hands out the files that were in the page's folder when it started. What is posted must be a
whole result of this study.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown
from tfpix2pix.base.serving import INDEX, FileHandler, FileServer, files_of
from tfpix2pix.study.folder import Study
from tfpix2pix.study.results import LARGEST, Session, parse_result, read_results

FILE = "served.jsonl"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'self'; base-uri 'none'",
}


class StudyServer(FileServer):
    """Serves a study until `shutdown`.

    Args:
      study: to serve.
      host: address to listen on; of loopback only this machine comes in.
      port: 0 for a free one.
      on_result: told of each session that was kept, and how many there are now.

    Raises:
      UserError: the port or the host cannot be had, or the study's results are broken.
    """

    def __init__(
        self,
        study: Study,
        host: str = "127.0.0.1",
        port: int = 0,
        on_result: Callable[[Session, int], None] = lambda session, count: None,
    ) -> None:
        self.study, self._on_result = study, on_result
        if not (study.page / INDEX).is_file():
            raise UserError(
                f"{shown(study.page)} holds no {INDEX}; make the study anew by "
                "`tfpix2pix study --make`"
            )
        study.results.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        some = any(study.results.glob("*.jsonl"))
        self._kept = {s.participant: s for s in (read_results(study) if some else ())}
        self._handed_out: Counter[int] = Counter()
        super().__init__(files_of(study.page), host, port, _HEADERS, _Handler)

    def assignment(self) -> int | None:
        """The matchup of the next participant: the one with the fewest; None for all of them."""
        if self.study.settings.session == "all":
            return None
        with self._lock:
            finished = Counter(s.matchup for s in self._kept.values())
            places = range(len(self.study.matchups))
            chosen = min(places, key=lambda place: finished[place] + self._handed_out[place])
            self._handed_out[chosen] += 1
            return chosen

    def keep(self, content: bytes) -> None:
        """Appends a result; one that is there already, sent again, is not kept twice.

        Raises:
          ValueError: it is no whole result of this study, or another one of this participant.
          OSError: it cannot be written.
        """
        session = parse_result(self.study, content)
        with self._lock:
            before = self._kept.get(session.participant)
            if before == session:
                return
            if before is not None:
                raise ValueError("another result of this participant is there already")
            _append(self.study.results / FILE, json.dumps(json.loads(content)).encode())
            self._kept[session.participant] = session
            if session.matchup is not None:
                self._handed_out[session.matchup] = max(0, self._handed_out[session.matchup] - 1)
            count = len(self._kept)
        self._on_result(session, count)

    def server_close(self) -> None:
        """A result that is being written is written."""
        with self._lock:
            super().server_close()


def _append(path: Path, line: bytes) -> None:
    """Adds a line as a whole: in one write, behind the end of a line, and onto the disk."""
    with open(path, "a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        # A line that a full disk or a power cut left unfinished does not take this one along.
        file.seek(max(0, end - 1))
        whole = (b"\n" if file.read(1) not in (b"", b"\n") else b"") + line + b"\n"
        if file.write(whole) != len(whole):
            file.truncate(end)
            raise OSError(errno.ENOSPC, "no room left on the device")
        os.fsync(file.fileno())


class _Handler(FileHandler):
    server: StudyServer

    def give(self, path: str) -> None:
        if path == "/assignment":
            content = json.dumps({"matchup": self.server.assignment()}).encode()
            self.answer(HTTPStatus.OK, content, "application/json")
        else:
            super().give(path)

    def do_POST(self) -> None:
        # The rest of what comes may be left unread.
        self.close_connection = True
        if self.is_foreign():
            return
        if self.path != "/results":
            self.say(HTTPStatus.NOT_FOUND, "results are sent to /results")
            return
        # Pages of other places can send other kinds without asking.
        if self.headers.get_content_type() != "application/json":
            self.say(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self.say(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length")
            return
        if len(length) > 12 or int(length) > LARGEST:
            self.say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a result has at most {LARGEST:,} bytes")
            return
        content = self.rfile.read(int(length))
        try:
            self.server.keep(content)
        except ValueError as error:
            self.say(HTTPStatus.BAD_REQUEST, str(error))
        except OSError as error:
            said = f"the result cannot be written ({error.strerror or error})"
            self.say(HTTPStatus.INTERNAL_SERVER_ERROR, said)
        else:
            self.answer(HTTPStatus.NO_CONTENT, b"", "")
