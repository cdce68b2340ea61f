"""TensorFlow Serving's REST interface, as far as an export's signatures need it."""

from __future__ import annotations

import base64
import binascii
import threading
from typing import Any

import numpy as np
import requests

from tfpix2pix.export.remote_retry import MixedSizes, NoSuchThing, ServerError, Transient

# Too many requests, bad gateway, unavailable, gateway time-out.
_TRANSIENT = (429, 502, 503, 504)
_CONNECT = 10.0


class RestTransport:
    """Predict requests in JSON, files in base64.

    Args:
      model: URL of the model, without ``:predict``.
      timeout: seconds that the server may be silent.
    """

    # JSON spells out numbers, about four bytes for each of 8 bits; PNG files are smaller.
    prefers_files = True
    # TensorFlow Serving's JSON knows no uint16.
    dtypes = ("uint8", "float32")

    def __init__(self, model: str, timeout: float) -> None:
        self._url = f"{model}:predict"
        self._timeout = timeout
        self._threads = threading.local()  # a requests.Session is not for several threads

    def predict(self, signature: str, inputs: dict[str, np.ndarray], output: str) -> np.ndarray:
        """Runs a signature; arrays of bytes are files.

        Raises:
          ServerError: it failed; `Transient` where it may work later.
        """
        values = {name: _to_json(value) for name, value in inputs.items()}
        body = {"signature_name": signature, "inputs": values}
        try:
            reply = self._session().post(self._url, json=body, timeout=(_CONNECT, self._timeout))
        except requests.Timeout:
            raise Transient("it did not answer in time") from None
        except requests.ConnectionError as error:
            raise Transient(f"it cannot be reached ({_reason(error)})") from None
        except requests.RequestException as error:
            raise ServerError(f"the request failed ({error})") from None
        if reply.status_code != 200:
            raise _failure(reply)
        try:
            return _from_json(reply.json()["outputs"], output)
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise ServerError(
                "its answer is not that of TensorFlow Serving (no JSON with 'outputs')"
            ) from None

    def close(self) -> None:
        """Nothing is held open that would not close by itself."""

    def _session(self) -> requests.Session:
        if not hasattr(self._threads, "session"):
            self._threads.session = requests.Session()
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


def _failure(reply: requests.Response) -> ServerError:
    try:
        text = str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = reply.text
    text = " ".join(text.split())[:300]
    message = f"HTTP {reply.status_code}{': ' + text if text else ''}"
    if "have different shapes" in text:
        return MixedSizes(message)
    if reply.status_code in _TRANSIENT:
        return Transient(message)
    if reply.status_code == 404 or "signature name" in text.lower():
        return NoSuchThing(message)
    return ServerError(message)


def _reason(error: requests.ConnectionError) -> str:
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
