"""Which opset (version of ONNX's operators) a file is labelled with.

An engine refuses a file whose opset is newer than itself, and an operator's form may change from
one to the next. So a file gets the oldest opset in which each of its operators has the form that it
is written in; `--opset` asks for another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import UserError

if TYPE_CHECKING:
    import onnx

OLDEST = 7
"""The oldest that onnxruntime promises to run."""
_LOWEST_IR = 4  # before, weights had to be inputs as well
_LARGE = 64  # numbers of a weight that the checks do not need to see


def check_known(opset: int) -> None:
    """Refuses an opset that the installed packages do not know.

    Raises:
      UserError: it is newer.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise UserError(
            f"--opset={opset}: the installed onnx {onnx.__version__} knows opsets up to {newest}; "
            "give an older one, or leave --opset out for the oldest that holds the file"
        )


def label(model: onnx.ModelProto, wanted: int | None, path: str) -> int:
    """Labels a model with an opset, and with the oldest version of the file format that it has.

    Args:
      model: valid in the opset that it is labelled with.
      wanted: the opset; None for the oldest, from `OLDEST` on, in which the model is valid.
      path: of the file, for the message.

    Returns:
      The opset.

    Raises:
      UserError: the model is not valid in the opset that is wanted, or cannot be run with it.
    """
    light = _without_weights(model)
    made_in = next(each.version for each in model.opset_import if not each.domain)
    oldest = next((n for n in range(OLDEST, made_in) if _is_valid(light, n)), made_in)
    opset = oldest if wanted is None else wanted
    if opset < oldest:
        raise UserError(
            f"--opset={opset}: {path} needs opset {oldest} or newer (older ones have no such "
            f"{_refused(light, opset)}); give --opset={oldest}, or leave it out for the oldest "
            "that holds each file"
        )
    if opset != oldest and not (_is_valid(light, opset) and _runs(light)):
        raise UserError(
            f"--opset={opset}: {path} cannot be written or run in that opset with the installed "
            f"onnx and onnxruntime; give an older one, from {oldest} on, or leave it out"
        )
    set_opset(model, opset)
    return opset


def set_opset(model: onnx.ModelProto, opset: int) -> None:
    """Labels a model with an opset, whatever its operators are."""
    import onnx

    # Converters name further sets of operators, which are not used.
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", opset))
    version = onnx.helper.find_min_ir_version_for(list(model.opset_import))
    model.ir_version = max(_LOWEST_IR, version)


def _is_valid(light: onnx.ModelProto, opset: int) -> bool:
    import onnx

    set_opset(light, opset)
    try:
        onnx.checker.check_model(light, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return True


def _runs(light: onnx.ModelProto) -> bool:
    """Whether the installed onnxruntime loads it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal; errors come as exceptions
    try:
        onnxruntime.InferenceSession(
            light.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except MemoryError:
        raise
    # onnxruntime has an exception of its own for every kind of refusal.
    except Exception:
        return False
    return True


def _refused(light: onnx.ModelProto, opset: int) -> str:
    """The operators that are not in an opset in the form that the model has them."""
    import onnx

    set_opset(light, opset)
    context = onnx.checker.C.CheckerContext()
    context.ir_version, context.opset_imports = light.ir_version, {"": opset}
    names = set()
    for node in light.graph.node:
        try:
            onnx.checker.check_node(node, context)
        except onnx.checker.ValidationError:
            names.add(node.op_type)
    return ", ".join(sorted(names)) or "types"


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large weights as inputs: what is valid does not hang on their values."""
    import onnx

    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) < _LARGE:
            graph.initializer.append(tensor)
        else:
            graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    return light
