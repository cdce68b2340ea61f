"""What stands in a ``.tflite`` file: metadata, put in and read back, and the operators.

The contract is a metadata entry of the FlatBuffer, ``tfpix2pix``, whose buffer is the JSON text;
beside it stands the standard one of `tflite_metadata`.
Schema: tensorflow/lite/schema/schema.fbs, as the packages of the interpreters carry it.
"""

from __future__ import annotations

import mmap
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export.tflite import metadata as tflite_metadata

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract

METADATA = "tfpix2pix"
_IDENTIFIER = b"TFL3"
_CONVOLUTIONS = ("CONV_2D", "TRANSPOSE_CONV")


def with_metadata(model: bytes, contract: Contract, encoder: bool = False) -> bytes:
    """The model with its contract, with the standard metadata that Android Studio reads, and with
    its inputs in the network's order: x is input 0.

    Packed anew as TensorFlow's converter itself does to enter the metadata of the conversion.

    Args:
      model: the file's content.
      contract: of the export.
      encoder: whether it is the encoder, and not the generator.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    content = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    classes = schema()
    # The converter has them in the order of their names.
    names = {each.tensorIndex: each.name.decode() for each in content.signatureDefs[0].inputs}
    graph, order = content.subgraphs[0], ("y",) if encoder else ("x", "z", "latent")
    graph.inputs = sorted(graph.inputs, key=lambda place: order.index(names[place]))
    inputs = [names[place] for place in graph.inputs]
    entries = {
        METADATA: contract.to_json().encode(),
        tflite_metadata.NAME: tflite_metadata.standard_metadata(contract, inputs, encoder),
    }
    content.metadata = list(content.metadata or [])
    content.buffers = list(content.buffers)
    for name, data in entries.items():
        buffer, entry = classes.BufferT(), classes.MetadataT()
        buffer.data = np.frombuffer(data, np.uint8)
        entry.name, entry.buffer = name, len(content.buffers)
        content.buffers.append(buffer)
        content.metadata.append(entry)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def read_metadata(path: Path, name: str = METADATA) -> bytes | None:
    """The metadata entry of that name; None where there is none.

    Raises:
      ValueError: the file is no TFLite model, or damaged.
      OSError: it cannot be read.
    """
    with opened_model(path) as model:
        for i in range(model.MetadataLength()):
            entry = model.Metadata(i)
            if entry.Name() == name.encode():
                data = model.Buffers(entry.Buffer()).DataAsNumpy()
                return bytes(data) if isinstance(data, np.ndarray) else b""
    return None


def check_whole(path: Path) -> None:
    """Follows every offset, for interpreters that crash where one leads out of the file.

    Raises:
      ValueError: the file is no TFLite model, or was cut.
      OSError: it cannot be read.
    """
    read_operators(path)
    with opened_model(path) as model:
        for i in range(model.BuffersLength()):
            # Refused by NumPy where it would reach beyond the file.
            model.Buffers(i).DataAsNumpy()
        for i in range(model.SignatureDefsLength()):
            model.SignatureDefs(i).SignatureKey()


@dataclass(frozen=True)
class Operator:
    """An operator of a model.

    Attributes:
      name: of the schema: ``CONV_2D``, or ``CUSTOM``, also where TensorFlow has to run it.
      types: of its tensors, inputs first (``FLOAT32``, ``INT8``); what is absent is left out.
      macs: multiplications of a convolution for one image; 0 elsewhere, and where the size is open.
    """

    name: str
    types: tuple[str, ...]
    macs: int

    @property
    def is_convolution(self) -> bool:
        return self.name in _CONVOLUTIONS

    @property
    def is_int8(self) -> bool:
        """A convolution of int8 activations with int8 weights."""
        # The first tensor of a transposed convolution is its output's shape.
        data = self.types[1:] if self.name == "TRANSPOSE_CONV" else self.types
        return self.is_convolution and data[0] == data[1] == data[-1] == "INT8"


def read_operators(path: Path) -> list[Operator]:
    """Every operator of a model, in the order in which they run.

    Raises:
      ValueError: the file is no TFLite model, or damaged.
      OSError: it cannot be read.
    """
    classes = schema()
    names = names_of(classes.BuiltinOperator)
    types_ = names_of(classes.TensorType)
    found = []
    with opened_model(path) as model:
        for s in range(model.SubgraphsLength()):
            graph = model.Subgraphs(s)
            for i in range(graph.OperatorsLength()):
                operator = graph.Operators(i)
                code = model.OperatorCodes(operator.OpcodeIndex())
                # Old readers know the first 127 operators by the field of one byte.
                number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
                inputs = [operator.Inputs(k) for k in range(operator.InputsLength())]
                outputs = [operator.Outputs(k) for k in range(operator.OutputsLength())]
                tensors = [graph.Tensors(k) for k in inputs + outputs if k >= 0]
                found.append(
                    Operator(
                        names[number],
                        tuple(types_[tensor.Type()] for tensor in tensors),
                        _macs(names[number], [list(t.ShapeAsNumpy()) for t in tensors])
                        if names[number] in _CONVOLUTIONS
                        else 0,
                    )
                )
    return found


def _macs(name: str, shapes: list[list[int]]) -> int:
    if name == "CONV_2D":  # x [1, H, W, C], weights [C_out, k, k, C], ..., y
        positions, weights = shapes[-1], shapes[1]
    else:  # shape of y, weights [C_out, k, k, C], x [1, H, W, C], ...: each x meets every weight
        positions, weights = shapes[2], shapes[1]
    return int(np.prod(positions[1:3]) * np.prod(weights))


def names_of(enumeration: type) -> dict[int, str]:
    """The names of the schema's numbers."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


class opened_model:
    """The model in a file, read in place: nothing but what is asked for comes into memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self):
        with open(self._path, "rb") as file:
            head = file.read(8)
            if head[4:] != _IDENTIFIER:
                raise ValueError("it does not begin as a TFLite model does")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return schema().Model.GetRootAs(self._map, 0)

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        import struct

        # Not closed: arrays may still look into it; it goes with the last of them.
        del self._map
        if isinstance(
            error,
            (struct.error, IndexError, TypeError, OverflowError, KeyError, AttributeError),
        ):
            raise ValueError("its offsets lead out of the file") from None


def schema() -> types.ModuleType:
    """The classes that FlatBuffers made of the schema, from whichever package is installed."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated
