"""int8 for a network that normalises every image: int8 convolutions, the rest in float32.

Plain full-integer quantisation loses here what `docs/mobile.md` shows. What is done instead:

* only the convolutions are int8 (nearly all of the work and of the weights). Means and variances,
  the masks made from z (a threshold: rounded, it would drop other features) and tanh stay float32;
* the first convolution stays float32 too: the quantiser would give its result the range of the
  features that it is concatenated with, which is several times as wide;
* what the last convolution hands to tanh is cut where tanh is flat: a net that draws white paper
  gives values of tens, and int8 steps of their size would be steps of grey. Logits keep
  their range. Where it reads x beside its features (`last_channels`), whose range is another one,
  it stays float32;
* the weights are `equalize.equalized` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

# Everything that the generators consist of, but the convolutions.
FLOAT_OPERATORS = (
    *("MEAN", "SQUARED_DIFFERENCE", "RSQRT", "ADD", "SUB", "MUL", "RESHAPE"),  # normalisation
    *("STRIDED_SLICE", "DEPTH_TO_SPACE", "GREATER_EQUAL", "LESS", "CAST"),  # masks from z
    *("LEAKY_RELU", "RELU", "CONCATENATION", "PAD", "MIRROR_PAD", "TANH"),
    "DEPTHWISE_CONV_2D",  # fixed filters
    *("REDUCE_MAX", "SOFTMAX", "ARG_MAX", "EXPAND_DIMS"),  # of logits
)
# Families of generators whose first convolution sees x, and whose last one gives y.
KNOWN = ("unet", "unet_variant", "resnet")
TANH_RANGE = 3.5
"""Beyond it tanh is within 0.002 of its limit, a quarter of a level of 8 bits."""
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
        self,
        float_operators: Sequence[str] = FLOAT_OPERATORS,
        special_ends: bool = True,
        float_last: bool = False,
        tanh: bool = True,
    ) -> bytes:
        """The model in int8, its inputs and its output in float32.

        Args:
          float_operators: what stays float32, by the names of TFLite's schema.
          special_ends: whether the first convolution stays float32, and the range of the last one
            ends where tanh is flat.
          float_last: whether the last convolution stays float32 too.
          tanh: whether there is tanh behind the last convolution.
        """
        debugger = self._debugger
        calibrated = debugger.calibrated_model
        options = debugger.options
        options.denylisted_ops = list(float_operators)
        options.denylisted_nodes = []
        if special_ends:
            narrow, first, last = _with_narrow_end(calibrated, TANH_RANGE if tanh else np.inf)
            options.denylisted_nodes = [first, last] if float_last else [first]
            debugger.calibrated_model = narrow
        try:
            return debugger.get_nondebug_quantized_model()
        finally:
            debugger.calibrated_model = calibrated


def _with_narrow_end(model: bytes, most: float) -> tuple[bytes, str, str]:
    """The calibrated model, the range of its last convolution cut to -most..most, and the names of
    the tensors that its first and its last convolution give.

    The calibrator leaves the least and the largest value seen of a tensor in its quantisation.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    content = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    graph = content.subgraphs[0]

    results = [
        graph.tensors[each.outputs[0]]
        for each in graph.operators
        if flatbuffer_utils.opcode_to_name(content, each.opcodeIndex)
        in ("CONV_2D", "TRANSPOSE_CONV")
    ]
    seen = results[-1].quantization
    seen.min = np.maximum(seen.min, -most)
    seen.max = np.minimum(seen.max, most)
    first, last = (results[place].name.decode() for place in (0, -1))
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content)), first, last
