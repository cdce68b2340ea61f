"""What layers compute in: float32, or half precision around float32 weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

POLICIES = {"none": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


@contextlib.contextmanager
def layers_compute_in(precision: str) -> Iterator[None]:
    """Layers that are made inside compute so, whatever Keras's policy is, which comes back after.

    Weights are float32 in any case, so a checkpoint fits networks of every precision. A model of
    half-precision layers is itself made as ``none``: Keras 3's would cast its inputs, z among them.

    Args:
      precision: ``none`` (float32), ``float16`` or ``bfloat16``.

    Raises:
      ValueError: another precision.
    """
    if precision not in POLICIES:
        raise ValueError(f"precision must be one of {', '.join(POLICIES)}, got {precision!r}")
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(POLICIES[precision])
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
