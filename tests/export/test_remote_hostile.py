"""Servers that would hang us or fill the memory are left with a sentence."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import runpy
import struct
import threading
import time
import zlib
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.base.connections import TimedSession
from tfpix2pix.base.errors import UserError
from tfpix2pix.export.client.remote import open_remote
from tfpix2pix.export.client.retry import Retry
from tfpix2pix.export.savedmodel import serving_config
from tfpix2pix.export.savedmodel.format import CONTRACT

pytest.importorskip("tensorflow_serving")
import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

ONCE = Retry(attempts=1)
QUICK = Retry(attempts=4, first_wait=0.01, longest_wait=0.02)
ROOM = 100_000_000
LARGE = 300_000_000  # bytes that answers unpack to


class Rogue(ThreadingHTTPServer):
    """Answers the first request with a contract, and the others as `answer` says.

    Attributes:
      answer: writes what comes after the request to the connection.
      asked: requests so far.
      sent: bytes of endless answers.
    """

    daemon_threads = True

    def __init__(self, contract: str) -> None:
        self.contract, self.answer = contract, None
        self.asked, self.sent = 0, 0
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/models/m"


class _Handler(BaseHTTPRequestHandler):
    server: Rogue

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        with contextlib.suppress(OSError):  # the client has had enough
            if self.server.asked == 1:
                plain(json.dumps({"outputs": [self.server.contract]}).encode())(self)
            else:
                self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def plain(body: bytes, code: int = 200, **headers: str):
    """A whole answer."""

    def answer(handler: _Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def picture_answer(file: bytes):
    return plain(json.dumps({"outputs": [{"b64": base64.b64encode(file).decode()}]}).encode())


def drip(head: bytes):
    """Sends `head`, and then a byte now and then, without end."""

    def answer(handler: _Handler) -> None:
        handler.wfile.write(head)
        for _ in range(200):
            handler.wfile.write(b" ")
            time.sleep(0.1)

    return answer


def endless(head: bytes, chunk: bytes):
    def answer(handler: _Handler) -> None:
        handler.wfile.write(head)
        while handler.server.sent < LARGE:
            handler.wfile.write(chunk)
            handler.server.sent += len(chunk)

    return answer


def png(width: int, height: int, bits: int = 8, colours: int = 2) -> bytes:
    """A PNG that claims a size, and has the pixels of another."""
    data = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")):
        crc = zlib.crc32(name + content)
        data += struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)
    return data


@pytest.fixture
def rogue(saved_model):
    server = Rogue((saved_model / CONTRACT).read_text())
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def refused(server: Rogue, answer, retry: Retry = ONCE, timeout: float = 20, **options) -> str:
    """The sentence for an answer to a picture."""
    model = open_remote(server.url, timeout=timeout, retry=retry)
    server.answer = answer
    with pytest.raises(UserError) as error:
        model.translate(np.zeros((9, 12, 3), np.uint8), **options)
    text = str(error.value)
    assert text.startswith(server.url)
    assert text.isprintable()
    return text


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BOMB = gzip.compress(b'{"outputs": [' + b" " * LARGE, 1)


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"Content-Length: 1000\r\n\r\n",
        HEAD + b"\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n400\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n",
    ],
    ids=["length", "to the end", "chunks", "gzip", "an error"],
)
def test_an_answer_that_drips_has_a_deadline(rogue, head):
    # Each byte comes long before the time-out, all of them would take 20 s. It is not asked again.
    words = refused(rogue, drip(head), QUICK, timeout=1)
    assert "its answer was not complete after 1 s" in words
    assert rogue.asked == 2


def test_headers_that_drip_have_one_too(rogue):
    words = refused(rogue, drip(b"HTTP/1.1 200 OK\r\nX-A: "), QUICK, timeout=1)
    assert "its answer was not complete after 1 s" in words
    assert rogue.asked == 2
    rogue.asked = 0
    words = refused(rogue, drip(b""), QUICK, timeout=1)
    assert "it did not answer in time" in words
    assert rogue.asked == 1 + 2  # what has not begun may stand in a queue, so once more


def test_a_request_that_is_not_taken_has_a_deadline(rogue):
    def deaf(handler: _Handler) -> None:
        time.sleep(5)

    assert "did not answer in time" in refused(rogue, deaf, QUICK, timeout=0.5)


def test_a_deadline_leaves_the_next_exchange_alone(rogue):
    """One session: a deadline that is kept, one that passes, and one that is kept again."""
    rogue.asked = 1
    with TimedSession() as session:
        for answer, late in ((plain(b"{}"), False), (drip(HEAD + b"\r\n"), True)) * 2:
            rogue.answer = answer
            with session.within(0.5) as clock, contextlib.suppress(OSError):
                session.post(rogue.url, data=b"x", timeout=20)
            assert clock.expired is late
        time.sleep(0.6)  # after the exchange a clock rings no more
        rogue.answer = plain(b"{}")
        assert session.post(rogue.url, data=b"x", timeout=20).text == "{}"


def test_a_deadline_holds_through_a_proxy(rogue):
    rogue.asked, rogue.answer = 1, drip(HEAD + b"\r\n")
    with TimedSession() as session:
        session.proxies = {"http": rogue.url}
        with session.within(0.5) as clock, contextlib.suppress(OSError):
            session.post("http://nowhere.invalid/", data=b"x", timeout=20)
        assert clock.expired
    assert rogue.asked == 2


@pytest.mark.parametrize(
    "answer",
    [
        endless(HEAD + b"\r\n", b" " * 65536),
        endless(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"
        ),
        endless(HEAD + b"Content-Length: 99999999999\r\n\r\n", b" " * 65536),
        plain(BOMB, Content_Encoding="gzip"),
    ],
    ids=["to the end", "chunks", "length", "gzip bomb"],
)
def test_an_answer_is_received_as_far_as_a_picture_goes(rogue, peak_growth, answer):
    words = []
    assert peak_growth(lambda: words.append(refused(rogue, answer))) < ROOM
    assert re.search(r"its answer is longer than \d{3},\d{3} bytes, more than what was", words[0])
    assert rogue.sent < LARGE / 5


def test_an_endless_error_is_cut(rogue, peak_growth):
    head = b"HTTP/1.1 400 Bad\r\n\r\n"
    words = []
    call = lambda: words.append(refused(rogue, endless(head, b"\x1b[2Jx" * 9999)))  # noqa: E731
    assert peak_growth(call) < ROOM
    assert "HTTP 400" in words[0]


def test_no_other_packing_is_unpacked(rogue):
    words = refused(rogue, plain(b"xyz", Content_Encoding="br"))
    assert "its answer is packed by br, which was not asked for" in words
    rogue.asked = 0
    assert "damaged" in refused(rogue, plain(b"no gzip", Content_Encoding="gzip"))


@pytest.mark.parametrize("code", [200, 400])
def test_json_that_is_nested_too_deep(rogue, code):
    nested = b'{"outputs": ' + b"[" * 90_000 + b"]" * 90_000 + b"}"
    words = refused(rogue, plain(nested, code))
    assert ("nested deeper than can be read" in words) or (code == 400 and "HTTP 400" in words)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(rogue, saved_model, code):
    elsewhere = Rogue("")
    try:
        threading.Thread(target=elsewhere.serve_forever, args=(0.02,), daemon=True).start()
        words = refused(rogue, plain(b"", code, Location=elsewhere.url + "\x1b[2J"), QUICK)
        assert f"it redirects to {elsewhere.url}\\x1b[2J (HTTP {code})" in words
        assert "no redirect is followed" in words
        assert (rogue.asked, elsewhere.asked) == (2, 0)
    finally:
        elsewhere.shutdown()
        elsewhere.server_close()


@pytest.mark.parametrize(
    ("file", "found"),
    [
        (png(30_000, 30_000), "a PNG of 30000x30000 pixels"),
        (png(12, 8), "a PNG of 12x8 pixels"),
        (png(12, 9, 16), "of 16 bits"),
        (png(12, 9, 8, 6), "colour type 6"),
        (b"GIF89a" + bytes(99), "no PNG file"),
        (png(12, 9)[:30], "no PNG file"),
        (png(12, 9), "no PNG file"),
    ],
)
def test_a_picture_is_looked_at_before_it_is_decoded(rogue, peak_growth, file, found):
    words = []
    assert peak_growth(lambda: words.append(refused(rogue, picture_answer(file)))) < ROOM
    assert f"the server answered with {found}" in words[0] or found in words[0]
    assert "where a picture of 12x9 pixels was expected" in words[0]


@pytest.mark.parametrize(
    "outputs",
    [[[[[1e400]]]], [[[[10**400]]]], {"b64": 3}, [{"b64": "ÿ"}], [[1], [1, 2]], "text", None, []],
    ids=range(8),
)
def test_answers_of_other_kinds(rogue, outputs):
    content = plain(json.dumps({"outputs": outputs}).encode())
    for options in ({}, {"deterministic": True}):
        rogue.asked = 0
        assert re.search("answer", refused(rogue, content, **options))


def test_contracts_that_are_no_contracts(rogue):
    for text in ("[" * 200_000, '{"kind": 1', "x" * (17 << 20)):
        rogue.contract, rogue.asked = text, 0
        with pytest.raises(UserError, match=r"contract|longer"):
            open_remote(rogue.url, retry=ONCE)


def test_what_an_export_does_not_take_is_not_sent(rogue):
    contract = json.loads(rogue.contract)
    rogue.contract = json.dumps({**contract, "max_pixels": 64 * 64})
    model = open_remote(rogue.url, retry=ONCE)
    for options in ({}, {"deterministic": True}):
        with pytest.raises(ValueError, match=r"96x64 pixels .*at most 4,096; use --fit"):
            model.translate(np.zeros((64, 65, 3), np.uint8), **options)
    assert rogue.asked == 1


def test_the_command_says_it_in_a_sentence(rogue, run_cli, tmp_path):
    from PIL import Image

    Image.new("RGB", (12, 9)).save(tmp_path / "in.png")
    rogue.answer = plain(b'{"outputs": ' + b"[" * 150_000)
    flags = (f"--model={rogue.url}", "--input=in.png", "--output=out.png")
    done = run_cli("translate", *flags, timeout=120)
    assert done.returncode != 0
    assert "nested deeper than can be read" in done.stderr
    rogue.asked, rogue.answer = 1, plain(b"", 302, Location="http://127.0.0.1:9/elsewhere")
    done = run_cli("translate", *flags, timeout=120)
    assert done.returncode == 2
    assert "it redirects to http://127.0.0.1:9/elsewhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (drip(HEAD + b"\r\n"), "not complete after 1 s"),
        (drip(b"HTTP/1.1 200 OK\r\nX-A: "), "not complete after 1 s"),
        (endless(HEAD + b"\r\n", b" " * 65536), "longer than 200,000 bytes"),
        (plain(b"[" * 150_000), "nested too deep"),
        (plain(b"", 302, Location="http://127.0.0.1:9/"), "redirects to 'http://127.0.0.1:9/'"),
        (plain(b"x" * 9999, 400), "HTTP 400: x{500}$"),
    ],
    ids=["drips", "drips in headers", "endless", "nested", "redirect", "an error"],
)
def test_the_smoke_test_is_a_client_too(rogue, answer, words):
    script = Path(serving_config.__file__).parent / "serving_files" / "smoke_test.py"
    names = runpy.run_path(str(script))
    rogue.asked, rogue.answer = 1, answer
    with pytest.raises(names["Failure"], match=words):
        names["ask"](rogue.url, {"inputs": []}, timeout=1, limit=200_000)
    assert rogue.sent < LARGE / 5


# === gRPC ===


class _Rogue(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, contract: str) -> None:
        self.contract, self.answer = contract, None
        self.asked = 0

    def Predict(self, request, context):
        self.asked += 1
        if request.model_spec.signature_name != "contract":
            return self.answer(context)
        return reply("contract", tf.make_tensor_proto([self.contract]))


def reply(name: str, value) -> predict_pb2.PredictResponse:
    found = predict_pb2.PredictResponse()
    found.outputs[name].CopyFrom(value)
    return found


@pytest.fixture
def grpc_rogue(saved_model):
    server = grpc.server(futures.ThreadPoolExecutor(4))
    servicer = _Rogue((saved_model / CONTRACT).read_text())
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    servicer.url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}/m"
    server.start()
    yield servicer
    server.stop(None).wait()


def claimed(shape: list[int], dtype=tf.uint8):
    """One value, said to fill a shape."""
    value = tf.make_tensor_proto(b"1" if dtype == tf.string else 1, dtype, [1])
    del value.tensor_shape.dim[:]
    for side in shape:
        value.tensor_shape.dim.add().size = side
    return value


def packed(context):
    context.set_compression(grpc.Compression.Gzip)
    value = claimed([1, 9, 12, 3])
    value.tensor_content = bytes(LARGE)
    return reply("output", value)


def slow(context):
    time.sleep(3)
    return reply("output", claimed([1, 9, 12, 3]))


GRPC = {
    "a claim": (lambda _: reply("output", claimed([30000, 30000, 3, 1])), "30000.*was expected"),
    "texts": (lambda _: reply("output", claimed([1, 9, 12, 3], tf.string)), "answer is damaged"),
    "large": (
        lambda _: reply("output", tf.make_tensor_proto(np.zeros(LARGE, np.uint8))),
        "its answer is larger than is taken",
    ),
    "packed": (packed, "its answer is larger than is taken"),
    "slow": (slow, "did not answer in time"),
}


@pytest.mark.parametrize(("answer", "words"), GRPC.values(), ids=GRPC)
def test_over_grpc(grpc_rogue, answer, words):
    model = open_remote(grpc_rogue.url, timeout=1 if answer is slow else 20, retry=QUICK)
    grpc_rogue.answer = answer

    with pytest.raises(UserError, match=words) as error:
        model.translate(np.zeros((9, 12, 3), np.uint8))
    assert str(error.value).startswith(grpc_rogue.url)
    assert grpc_rogue.asked == 1 + (2 if answer is slow else 1)
    model.close()
