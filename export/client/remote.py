"""Translating by a server: an export behind TensorFlow Serving, used like a run.

from tfpix2pix.export.client.remote import open_remote

model = open_remote("http://localhost:8501/v1/models/facades")
picture = model.translate(image, seed=3)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.export import wire
from tfpix2pix.export.client.retry import (
    MixedSizes,
    NoSuchThing,
    Retrier,
    Retry,
    ServerError,
    check_shape,
)
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.wire import Expected
from tfpix2pix.inference import Tile, Translator, pad
from tfpix2pix.inference.labels import Labels, as_labels, marked

if TYPE_CHECKING:
    import numpy.typing as npt

    from tfpix2pix.data import Decoded

TIMEOUT = 60.0
# Bytes of a contract, at most: a config, and a palette of up to 65,536 classes.
_LONGEST_CONTRACT = 1 << 23
_EXPECTED = (
    "expected http://HOST:8501/v1/models/NAME, with /versions/N behind it where one is meant, or "
    "grpc://HOST:8500/NAME, with ?version=N"
)


class Transport(Protocol):
    """A way to a server."""

    prefers_files: bool
    """Whether PNG files are the better way to send 8 and 16 bits."""

    dtypes: tuple[str, ...]
    """Types of image arrays that it can carry."""

    def predict(
        self, signature: str, inputs: dict[str, np.ndarray], output: str, expected: Expected
    ) -> np.ndarray:
        """The output of that name of a signature; arrays of type object hold bytes.

        An answer that is larger than `expected` can be is not received to its end, and one that
        is not whole at the deadline is not waited for.

        Raises:
          ServerError: it failed.
        """

    def close(self) -> None:
        """Lets go of the connection."""


class Server:
    """Requests to one model, with retries and errors in sentences.

    Args:
      url: for messages.
      transport: the way there.
      retry: how patiently to try.
    """

    def __init__(self, url: str, transport: Transport, retry: Retry) -> None:
        self.url, self.transport = url, transport
        self._retrier = Retrier(retry)

    def predict(
        self,
        signature: str,
        inputs: dict[str, np.ndarray],
        output: str,
        expected: Expected,
        not_for: tuple[type[Exception], ...] = (),
    ) -> np.ndarray:
        """See `Transport.predict`.

        Args:
          signature, inputs, output, expected: of the request and its answer.
          not_for: errors that are raised as they are, at once.

        Raises:
          UserError: it failed, as often as it was tried.
        """

        def ask() -> np.ndarray:
            found = self.transport.predict(signature, inputs, output, expected)
            check_shape(found.shape, expected)
            return found

        try:
            return self._retrier(ask, not_for)
        except not_for:
            raise
        except NoSuchThing as error:
            raise UserError(
                f"{self.url}: the server has no such model, version or signature '{signature}' "
                f"({error}); check the address, and whether the server has finished loading"
            ) from None
        except ServerError as error:
            raise UserError(
                f"{self.url}: {error}; see that the server runs and what its log says"
            ) from None


class RemoteNetwork:
    """The network of a served export alone, float32 in and out, as `inference.Network`."""

    def __init__(self, server: Server, contract: Contract) -> None:
        self._server = server
        self._channels, self.argmax = contract.result_channels, contract.argmax
        self.takes_noise, self.image_size = contract.noise, contract.image_size
        self.max_pixels, self.latent_size = contract.max_pixels, contract.latent_size

    def __call__(
        self, x: np.ndarray, z: np.ndarray | None, latent: np.ndarray | None = None
    ) -> np.ndarray:
        given = {"x": x, "z": z, "latent": latent}
        inputs = {name: value for name, value in given.items() if value is not None}
        expected = Expected((*x.shape[:3], self._channels))
        y = self._server.predict("float", inputs, "y", expected)
        return y.astype(np.float32)


class RemoteEncoder:
    """The encoder of a served export, as `inference.Encodes`."""

    def __init__(self, server: Server, contract: Contract) -> None:
        self._server, self._size = server, contract.latent_size

    def __call__(self, y: np.ndarray) -> np.ndarray:
        expected = Expected((len(y), self._size))
        return self._server.predict("encoder", {"y": y}, "latent", expected).astype(np.float32)


class RemoteTranslator(Translator):
    """A `Translator` whose network, and whatever else can, runs on a server.

    Pictures go there at the depth of the run and come back so; noise and latent are drawn there,
    from the seed, unless a latent is given. Only for `fit`, for probabilities, and for
    `deterministic` with an export that has noise, x, z and latent are made here. Threads may call
    it at the same time.

    Attributes:
      contract: what the server said it serves.
      parallel: requests at a time that use a server well.
    """

    parallel = 8
    is_local = False

    def __init__(self, server: Server, contract: Contract) -> None:
        super().__init__(
            contract.config,
            RemoteNetwork(server, contract),
            contract.step,
            contract.spec,
            contract.checkpoint,
            contract.weights,
            contract.direction,
            (lambda: RemoteEncoder(server, contract)) if contract.encodes else None,
        )
        self.contract = contract
        self._server = server
        self._taken, self._given = wire.input_kind(self.spec), wire.output_kind(self.spec)
        self._has_files = wire.has_files(self.spec)

    def translate(
        self,
        image: np.ndarray | Decoded,
        *,
        seed: int = 0,
        latent: npt.ArrayLike | None = None,
        deterministic: bool = False,
        fit: bool = False,
        notes: list[str] | None = None,
        tile: Tile = "auto",
        progress: Callable[[float], None] | None = None,
        labels: Labels = "raw",
    ) -> np.ndarray:
        """See `Translator.translate`. A server makes no tiles.

        Raises:
          UserError: the server cannot be reached, or does not do it; one sentence with its address.
          ValueError: as `Translator.translate`.
        """
        if not -(2**63) <= seed < 2**63:
            raise ValueError(f"seed {seed} does not fit in 64 bits")
        self.check_labels(labels)
        image = self._decoded(image)
        if latent is not None:
            latent = self._drawn(seed, latent, deterministic).latent
        here = fit or labels == "probabilities" or (deterministic and self.takes_noise)
        if here or not self._can_send(image):
            return super().translate(
                image,
                seed=seed,
                latent=latent,
                deterministic=deterministic,
                fit=fit,
                notes=notes,
                labels=labels,
            )
        picture = self.spec.input_pixels(image, notes)
        height, width = picture.shape[:2]
        self._check_size(height + -height % self.stride, width + -width % self.stride)
        if self.network.image_size:
            # Padding pixels is padding x, which is made of each pixel alone.
            picture = pad(picture, self.stride)
        picture = self._send(picture, seed, latent)[:height, :width]
        result = as_labels(self.spec, picture, labels)
        # A server sees values in their places, so that it cannot know.
        return marked(self.spec, result, self.spec.missing(image), labels, image.nodata)

    def close(self) -> None:
        """Lets go of the connection."""
        self._server.transport.close()

    def _can_send(self, image: Decoded) -> bool:
        """Whether the server takes this picture at full depth."""
        from tfpix2pix.data import LabSpec

        if isinstance(self.spec, LabSpec):
            return image.array.dtype == np.uint8
        carried = self._server.transport.dtypes
        return self._has_files or {self._taken.dtype, self._given.dtype} <= set(carried)

    def _send(self, picture: np.ndarray, seed: int, latent: np.ndarray | None) -> np.ndarray:
        way, more = "seeded" if self.contract.seeded else "", {}
        if latent is not None:
            way, more["latent"] = "latent", latent[None]
        if self.takes_noise or way == "seeded":
            more["seed"] = np.array([seed], np.int64)
        if not (self._has_files and self._server.transport.prefers_files):
            inputs = {"image": np.ascontiguousarray(picture[None]), **more}
            signature = wire.signature_name("", way)
            try:
                # Files have no sizes that could differ within a batch of the server.
                unless = (MixedSizes,) if self._has_files else ()
                expected = Expected((1, *picture.shape[:2], self._given.channels))
                found = self._server.predict(signature, inputs, "output", expected, unless)
            except MixedSizes:
                pass
            else:
                return found[0].astype(self._given.dtype)
        data = np.array([wire.to_png(picture), None], object)[:1]
        signature = wire.signature_name("encoded", way)
        height, width = picture.shape[:2]
        expected = Expected((1,), wire.longest_png(height, width, self._given))
        inputs = {"image_bytes": data, **more}
        found = self._server.predict(signature, inputs, "output_bytes", expected)
        try:
            return wire.from_png(found[0], self._given, (height, width))
        except (ValueError, IndexError) as error:
            raise UserError(
                f"{self._server.url}: the server answered with {error}, where a picture "
                f"of {width}x{height} pixels was expected; see what runs there"
            ) from None


def open_remote(
    url: str, *, timeout: float = TIMEOUT, retry: Retry | None = None
) -> RemoteTranslator:
    """Opens a model on a server, asking the server what it is.

    Args:
      url: ``http(s)://HOST:8501/v1/models/NAME[/versions/N]`` (REST) or
        ``grpc://HOST:8500/NAME[?version=N]`` (needs the extra ``serving``).
      timeout: seconds for one request and the whole of its answer.
      retry: how patiently to try; `Retry()` by default.

    Raises:
      UserError: no such address, the server cannot be reached, or does not serve an export of this
        package.
    """
    shown, transport = _transport(url, timeout)
    server = Server(shown, transport, retry or Retry())
    query = {"query": np.array([b"", None], object)[:1]}
    try:
        expected = Expected((1,), _LONGEST_CONTRACT)
        found = server.predict("contract", query, "contract", expected, (NoSuchThing,))
    except NoSuchThing as error:
        raise UserError(
            f"{shown}: the server has no such model, or one that is no tfpix2pix export (its "
            f"signature 'contract' is missing; {error}); check the name, and whether the server "
            "has finished loading"
        ) from None
    return RemoteTranslator(server, Contract.parse(_text(found[0]), shown))


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _transport(url: str, timeout: float) -> tuple[str, Transport]:
    """The address as messages show it (without a password), and the way there."""
    shown = re.sub(r"(?<=://)[^/]*@", "", url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UserError(f"--model={shown}: {_EXPECTED}") from None
    host = parts.hostname or ""
    if parts.scheme in ("http", "https") and host:
        path = re.fullmatch(
            r"(.*/v1/models/[^/:]+(?:/(?:versions/\d+|labels/[^/:]+))?)(?::predict)?/?", parts.path
        )
        if path and not parts.query:
            from tfpix2pix.export.client.rest import RestTransport

            model = urlunsplit(parts._replace(path=path[1], fragment=""))
            return shown, RestTransport(model, timeout)
    if parts.scheme == "grpc" and host:
        name = unquote(parts.path.strip("/"))
        query = parse_qs(parts.query, keep_blank_values=True)
        version = query.pop("version", ["0"])
        good = name and "/" not in name and not query and version[-1].isdecimal()
        if good:
            from tfpix2pix.export.client.grpc import GrpcTransport

            host = f"[{host}]" if ":" in host else host
            return shown, GrpcTransport(
                f"{host}:{port or 8500}", name, int(version[-1]) or None, timeout
            )
    raise UserError(f"--model={shown}: {_EXPECTED}")
