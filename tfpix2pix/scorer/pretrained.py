"""ImageNet's weights of VGG-16, through Keras, where they can be had within a minute."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.models.weights import named_weights

FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
LONGEST = 60.0  # seconds for a download of 59 MB
_CONNECT = 10.0  # seconds until a silent server counts as none


def vgg_weights(required: bool, say: Callable[[str], None]) -> dict[str, np.ndarray]:
    """The 13 convolutions by name (``block1_conv1/kernel``).

    Args:
      required: whether there is no doing without them.
      say: told in a sentence where they cannot be had.

    Returns:
      Empty where they cannot be had and are not required.

    Raises:
      UserError: they are required.
    """
    cached = Path(os.environ.get("KERAS_HOME", "~/.keras"), "models", FILE).expanduser()
    if not cached.exists():
        say("fetching ImageNet's weights of VGG-16 (59 MB, once)")
    found: list[dict[str, np.ndarray]] = []
    failure: list[str] = []

    def load() -> None:
        import tensorflow as tf

        try:
            vgg = tf.keras.applications.VGG16(include_top=False, weights="imagenet")
            found.append({name: w.numpy() for name, w in named_weights(vgg).items()})
        except Exception as error:  # whatever a download or a damaged file can raise
            failure.append(_reason(error))

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_CONNECT)
    try:
        # A thread that may be left behind: a download that drips cannot be ended otherwise.
        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        thread.join(LONGEST)
    finally:
        socket.setdefaulttimeout(before)
    if found:
        return found[0]
    reason = failure[0] if failure else f"not there within {LONGEST:.0f} s"
    if required:
        raise UserError(
            f"--init=imagenet: the weights of VGG-16 cannot be had ({reason}); put {FILE} into "
            f"{cached.parent}, or give --init=scratch"
        )
    say(f"note: ImageNet's weights cannot be had ({reason}), so the scorer learns from scratch")
    return {}


def _reason(error: Exception) -> str:
    """What went wrong, without the address."""
    text = re.sub(r"( on)? \S+://\S+", "", " ".join(str(error).split()))
    return text[:160] or type(error).__name__
