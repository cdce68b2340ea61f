"""Hands out a page to draw on, as a rule on this machine alone."""

from __future__ import annotations

from collections.abc import Mapping

from tfpix2pix.base.serving import Content, FileServer

HEADERS = {
    # Together they isolate the page, and browsers let WebAssembly use several threads only then.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What is drawn stays here: nothing is loaded from or sent to another place.
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
}


def serve(content: Mapping[str, Content], host: str = "127.0.0.1", port: int = 0) -> FileServer:
    """A server of a page, which serves when its `serve_forever` or `serve_until_stopped` is called.

    Args:
      content: of `page.page_files`, and whatever else belongs to it.
      host: address to listen on; of loopback only this machine comes in.
      port: 0 for a free one.

    Raises:
      UserError: the port or the host cannot be had.
    """
    return FileServer(content, host, port, HEADERS)
