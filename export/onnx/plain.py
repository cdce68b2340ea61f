"""Any generator as tf2onnx translates it, for those whose layers `graph` has no rewriting for.

tf2onnx holds all weights dozens of times over, so it is shown a graph in which they are inputs.
What it then computes from them alone (turned axes, the phases of an up-sampling) is computed here
once and put into the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.export.onnx.layout import simplify
from tfpix2pix.export.onnx.logs import quiet_logs
from tfpix2pix.export.onnx.nodes import Graph
from tfpix2pix.export.onnx.opset import set_opset
from tfpix2pix.export.onnx.rewrites import use_instance_normalization

if TYPE_CHECKING:
    import onnx

    from tfpix2pix.export.core import Exportable

_SMALL = 1024  # constants of fewer numbers stay where they are: many say shapes and axes


def convert_function(core: Exportable, opset: int, output: str = "y") -> onnx.ModelProto:
    """The ONNX model of a network's function, in operators of that opset; `output` is the name of
    what it gives.

    Raises:
      ValueError: tf2onnx leaves operators that are none of ONNX's.
    """
    import tf2onnx
    from tf2onnx.tf_loader import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(core.run.get_concrete_function())
    definition = frozen.graph.as_graph_def()
    outputs = [frozen.outputs[0].name]
    inputs = [tensor.name for tensor in frozen.inputs]
    del frozen
    weights = _take_out_weights(definition)
    with quiet_logs():
        model, _ = tf2onnx.convert.from_graph_def(
            definition,
            input_names=[*inputs, *(f"{name}:0" for name in weights)],
            output_names=outputs,
            opset=opset,
        )
    odd = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if odd:
        raise ValueError(f"it leaves operators of {', '.join(sorted(odd))}")
    set_opset(model, opset)
    # Named like the function's: x, z and latent.
    names = dict(zip(inputs, (spec.name for spec in core.signature), strict=True))
    _rename(model, {**names, outputs[0]: output})
    graph = Graph(model)
    kept = [value for value in model.graph.input if value.name.removesuffix(":0") not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    graph.constants |= {f"{name}:0": value for name, value in weights.items()}
    fold(graph)
    simplify(graph, [spec.name for spec in core.signature if len(spec.shape) == 4])
    use_instance_normalization(graph)
    graph.finish()
    return model


def _take_out_weights(definition: object) -> dict[str, np.ndarray]:
    """Large constants of a TensorFlow graph, by name; placeholders stand in their places."""
    import tensorflow as tf

    weights = {}
    for node in definition.node:  # type: ignore[attr-defined]
        if node.op != "Const":
            continue
        value = tf.make_ndarray(node.attr["value"].tensor)
        if value.dtype != np.float32 or value.size < _SMALL:
            continue
        weights[node.name] = value
        dtype = node.attr["dtype"].type
        node.op = "Placeholder"
        node.attr.clear()
        node.attr["dtype"].type = dtype
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return weights


def _rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Gives tensors other names, everywhere."""
    for value in [*model.graph.input, *model.graph.output]:
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        for each in (node.input, node.output):
            for place, name in enumerate(each):
                each[place] = names.get(name, name)


def fold(graph: Graph) -> None:
    """Puts constants in the places of what is computed from constants alone."""
    import onnx
    import onnxruntime

    known, nodes = set(graph.constants), []
    for node in graph.nodes:
        if all(name in known for name in node.input if name):
            nodes.append(node)
            known.update(node.output)
    if not nodes:
        return
    inside = {id(node) for node in nodes}
    made = {name for node in nodes for name in node.output}
    rest = [node for node in graph.nodes if id(node) not in inside]
    wanted = sorted(made & {name for node in rest for name in node.input})
    model = onnx.ModelProto(ir_version=graph.model.ir_version)
    model.opset_import.extend(graph.model.opset_import)
    model.graph.name = "constants"
    model.graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    feeds = {}
    for name in sorted(read & set(graph.constants)):
        value = graph.constants[name]
        if value.size < _SMALL:
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
            continue
        feeds[name] = value
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    for name in wanted:
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal; errors come as exceptions
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    graph.constants |= dict(zip(wanted, session.run(wanted, feeds), strict=True))
    graph.nodes = rest
    graph.index()
