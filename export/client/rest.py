"""TensorFlow Serving's REST interface, as far as an export's signatures need it."""

from __future__ import annotations

import base64
import binascii
import json
import threading
import zlib
from typing import Any

import numpy as np
import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from tfpix2pix.base.connections import Clock, TimedSession
from tfpix2pix.export.client.retry import (
    MixedSizes,
    NoSuchThing,
    ServerError,
    TimedOut,
    Transient,
    said,
)
from tfpix2pix.export.wire import Expected

# Too many requests, bad gateway, unavailable, gateway time-out.
_TRANSIENT = (429, 502, 503, 504)
_CONNECT = 10.0
_CHUNK = 1 << 16
_LONGEST_ERROR = 1 << 16  # bytes of an answer that says why there is none


class RestTransport:
    """Predict requests in JSON, files in base64.

    Args:
      model: URL of the model, without ``:predict``.
      timeout: seconds for a request and the whole of its answer.
    """

    # JSON spells out numbers, about four bytes for each of 8 bits; PNG files are smaller.
    prefers_files = True
    # TensorFlow Serving's JSON knows no uint16.
    dtypes: tuple[str, ...] = ("uint8", "float32")

    def __init__(self, model: str, timeout: float) -> None:
        self._url = f"{model}:predict"
        self._timeout = timeout
        self._threads = threading.local()  # a requests.Session is not for several threads

    def predict(
        self, signature: str, inputs: dict[str, np.ndarray], output: str, expected: Expected
    ) -> np.ndarray:
        """Runs a signature; arrays of bytes are files.

        Raises:
          ServerError: it failed; `Transient` where it may work later.
        """
        values = {name: _to_json(value) for name, value in inputs.items()}
        body = {"signature_name": signature, "inputs": values}
        with self._session().within(self._timeout) as clock:
            content = self._exchange(body, expected, clock)
        try:
            return _from_json(_parsed(content)["outputs"], output)
        except (ValueError, KeyError, TypeError, OverflowError, binascii.Error):
            raise ServerError(
                "its answer is not that of TensorFlow Serving (no JSON with 'outputs')"
            ) from None

    def _exchange(self, body: dict[str, Any], expected: Expected, clock: Clock) -> bytes:
        """The body of the answer to a request.

        Raises:
          ServerError: there is none, or none that is taken.
        """
        begun = False
        try:
            with self._session().post(
                self._url,
                json=body,
                timeout=(min(_CONNECT, self._timeout), self._timeout),
                headers={"Accept-Encoding": "gzip"},
                stream=True,
                allow_redirects=False,
            ) as reply:
                begun = True
                if 300 <= reply.status_code < 400:
                    place = said(reply.headers.get("Location", "")) or "no address"
                    raise ServerError(
                        f"it redirects to {place} (HTTP {reply.status_code}), and no redirect is "
                        "followed; if you trust that address, give it as --model"
                    )
                if reply.status_code != 200:
                    raise _failure(reply.status_code, _error_text(reply))
                # A byte is 4/3 characters of base64, or one or two of a JSON text; a number of 17
                # digits with its sign, exponent and indentation has less than 64.
                content = _received(reply, expected.limit(number=64, byte=2))
        except ServerError:
            if not clock.expired:
                raise
        except (requests.RequestException, HTTPError, OSError, zlib.error) as error:
            if not clock.expired:
                raise _broken(error) from None
        if not clock.expired:
            return content
        self._session().close()
        if begun:
            # What drips will drip again.
            raise ServerError(f"its answer was not complete after {self._timeout:g} s")
        raise TimedOut("it did not answer in time")

    def close(self) -> None:
        """Nothing is held open that would not close by itself."""

    def _session(self) -> TimedSession:
        if not hasattr(self._threads, "session"):
            self._threads.session = TimedSession()
        return self._threads.session


def _to_json(value: np.ndarray) -> list[Any]:
    if value.dtype == object:
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return value.tolist()


def _from_json(value: Any, output: str) -> np.ndarray:
    if not isinstance(value, list):
        raise TypeError("no list")
    # The names of binary outputs end so, and their values are objects.
    if output.endswith("_bytes"):
        files = [base64.b64decode(item["b64"], validate=True) for item in value]
        return np.array([*files, None], object)[:-1]
    if value and isinstance(value[0], str):
        return np.array(value, object)
    return np.array(value, np.float64)


def _received(reply: requests.Response, limit: int) -> bytes:
    """The body of an answer, unpacked.

    Raises:
      ServerError: it is larger than `limit` bytes, or packed in a way that was not asked for.
      zlib.error: it is damaged.
    """
    packed = reply.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in ("identity", "", "gzip", "x-gzip"):
        raise ServerError(f"its answer is packed by {said(packed)}, which was not asked for")
    # Not by `requests`, which unpacks whole pieces whatever becomes of them.
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in packed else None
    content = bytearray()
    while not (unpack and unpack.eof):
        chunk = reply.raw.read(_CHUNK, decode_content=False)
        if not chunk:
            break
        content += unpack.decompress(chunk, limit + 1 - len(content)) if unpack else chunk
        if len(content) > limit:
            raise ServerError(
                f"its answer is longer than {limit:,} bytes, more than what was expected can have"
            )
    if unpack and not unpack.eof:
        raise zlib.error("cut short")
    return bytes(content)


def _parsed(content: bytes) -> Any:
    """A JSON text.

    Raises:
      ValueError: it is none.
      ServerError: it is nested as no answer is.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ServerError("its answer is JSON nested deeper than can be read") from None


def _error_text(reply: requests.Response) -> str:
    """What an answer that is an error says."""
    try:
        content = _received(reply, _LONGEST_ERROR)
        return str(_parsed(content)["error"])
    except (ServerError, zlib.error):
        return ""
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace")


def _broken(error: Exception) -> ServerError:
    """For an exchange that failed on the way."""
    if isinstance(error, (requests.Timeout, ReadTimeoutError)):
        return TimedOut("it did not answer in time")
    if isinstance(error, zlib.error):
        return ServerError(f"its answer is damaged ({error})")
    if isinstance(error, requests.RequestException) and not isinstance(
        error, requests.ConnectionError
    ):
        return ServerError(f"the request failed ({error})")
    return Transient(f"it cannot be reached ({_reason(error)})")


def _failure(status: int, text: str) -> ServerError:
    text = said(text)
    message = f"HTTP {status}{': ' + text if text else ''}"
    if "have different shapes" in text:
        return MixedSizes(message)
    if status in _TRANSIENT:
        return Transient(message)
    if status == 404 or "signature name" in text.lower():
        return NoSuchThing(message)
    return ServerError(message)


def _reason(error: Exception) -> str:
    """The operating system's words in a chain of wrappers."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        inner = getattr(cause, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((a for a in cause.args if isinstance(a, BaseException)), None)
        cause = inner or cause.__cause__ or cause.__context__
    return "connection failed"
