"""int8 for a network that normalises every image: int8 convolutions, the rest in float32.

Plain full-integer quantisation loses here what `docs/mobile.md` shows. What is done instead:

* only the convolutions are int8 (nearly all of the work and of the weights). Means and variances,
  the masks made from z (a threshold: rounded, it would drop other features) and tanh stay float32;
* the first convolution stays float32 too: x has flat areas, whose rounding errors do not average
  out, and the quantiser would give its result the wider range of the features beside it;
* the weights are `equalize.equalized` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

# Everything that the generators consist of, but the convolutions.
FLOAT_OPERATORS = (
    *("MEAN", "SQUARED_DIFFERENCE", "RSQRT", "ADD", "SUB", "MUL"),  # normalisation
    *("STRIDED_SLICE", "DEPTH_TO_SPACE", "LESS", "SELECT_V2"),  # masks from z
    *("LEAKY_RELU", "RELU", "CONCATENATION", "TANH"),
)
Representative = Callable[[], Iterator[dict[str, np.ndarray]]]


class Quantizer:
    """A model with the ranges of its features, ready to be written in int8.

    Args:
      saved_model: of a `core.Core`.
      representative: gives inputs by name, each as often as it is called.
    """

    def __init__(self, saved_model: Path, representative: Representative) -> None:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        # The public door to leaving operators out of quantisation.
        self._debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=representative,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(),
        )

    def convert(
        self, float_operators: Sequence[str] = FLOAT_OPERATORS, first_float: bool = True
    ) -> bytes:
        """The model in int8, its inputs and its output in float32.

        Args:
          float_operators: what stays float32, by the names of TFLite's schema.
          first_float: whether the first convolution does too.
        """
        options = self._debugger.options
        options.denylisted_ops = list(float_operators)
        options.denylisted_nodes = []
        if first_float:
            options.denylisted_nodes = [_first_convolution(self._debugger.calibrated_model)]
        return self._debugger.get_nondebug_quantized_model()


def _first_convolution(model: bytes) -> str:
    """The name of the tensor that the convolution of x gives: the first one there is."""
    from tensorflow.lite.tools import flatbuffer_utils

    content = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    graph = content.subgraphs[0]
    for operator in graph.operators:
        if flatbuffer_utils.opcode_to_name(content, operator.opcodeIndex) == "CONV_2D":
            return graph.tensors[operator.outputs[0]].name.decode()
    raise ValueError("a generator without a convolution")
