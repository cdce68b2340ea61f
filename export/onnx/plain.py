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
from tfpix2pix.export.onnx.rewrites import (
    use_bare_instance_normalization,
    use_instance_normalization,
)

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
    weights: dict[str, np.ndarray] = {}
    model = translated(core, opset, output, weights)
    odd = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if odd:
        raise ValueError(f"it leaves operators of {', '.join(sorted(odd))}")
    graph = Graph(model)
    kept = [value for value in model.graph.input if value.name.removesuffix(":0") not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    graph.constants |= {f"{name}:0": value for name, value in weights.items()}
    fold(graph)
    simplify(graph, [spec.name for spec in core.signature if len(spec.shape) == 4])
    use_instance_normalization(graph)
    use_bare_instance_normalization(graph, _channels(graph))
    graph.finish()
    return model


def translated(
    core: Exportable,
    opset: int,
    output: str = "y",
    weights: dict[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    """tf2onnx's translation of a network's function, in which a Transpose stays one.

    tf2onnx would put a Reshape in the place of one that moves no number, for features of one
    channel by way of five axes. Where its order of work, which differs from run to run, lets it do
    so at the output itself, the last Squeeze is lost and the file is not valid. What rewrites the
    graph afterwards wants Transposes anyway.

    Args:
      core: the network. Its inputs have the names of its signature.
      opset: of the operators.
      output: the name of what it gives.
      weights: takes the large weights, which are inputs then; None to leave them in.
    """
    import tensorflow as tf
    from tf2onnx import optimizer
    from tf2onnx.tf_loader import convert_variables_to_constants_v2, tf_optimize
    from tf2onnx.tfonnx import process_tf_graph

    class KeepTransposes(optimizer.TransposeOptimizer):  # type: ignore[misc]
        def post_optimize_action(self) -> None:
            pass

    frozen = convert_variables_to_constants_v2(core.run.get_concrete_function())
    definition = frozen.graph.as_graph_def()
    inputs, result = [tensor.name for tensor in frozen.inputs], frozen.outputs[0].name
    del frozen
    names = dict(zip(inputs, (spec.name for spec in core.signature), strict=True))
    if weights is not None:
        weights |= _take_out_weights(definition)
        inputs += [f"{name}:0" for name in weights]
    passes = {**optimizer._get_optimizers(), "optimize_transpose": KeepTransposes}
    with quiet_logs():
        with tf.Graph().as_default():  # whose protocol buffers are not to be had eagerly
            definition = tf_optimize(inputs, [result], definition)
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(definition, name="")
            made = process_tf_graph(graph, opset=opset, input_names=inputs, output_names=[result])
            model = optimizer.optimize_graph(made, optimizers=passes).make_model("generator")
    set_opset(model, opset)
    _rename(model, {**names, result: output})
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


def _channels(graph: Graph) -> dict[str, int]:
    """The channels of each tensor of features with channels first, where they can be inferred."""
    import onnx

    model = onnx.ModelProto(ir_version=graph.model.ir_version)
    model.opset_import.extend(graph.model.opset_import)
    model.graph.name = "shapes"
    model.graph.node.extend(graph.nodes)
    model.graph.input.extend(graph.graph.input)
    for name, value in graph.constants.items():
        _give(model, name, value)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    sizes = {value.name: value.type.tensor_type.shape.dim for value in inferred}
    return {
        name: dims[1].dim_value
        for name, dims in sizes.items()
        if len(dims) == 4 and dims[1].dim_value
    }


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
        if not _give(model, name, graph.constants[name]):
            feeds[name] = graph.constants[name]
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


def _give(model: onnx.ModelProto, name: str, value: np.ndarray) -> bool:
    """Puts a constant into a model, a large one as an input; returns whether its value is there."""
    import onnx

    if value.size < _SMALL:
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        return True
    kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    model.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    return False
