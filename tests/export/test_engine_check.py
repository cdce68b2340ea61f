"""ONNX and TFLite files from a stranger: looked at before an engine makes a session of one."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.export import open_model
from tfpix2pix.export.engine_check import Refused, check_stored
from tfpix2pix.export.tflite.check import check_tflite
from tfpix2pix.export.tflite.file import with_metadata


@pytest.fixture(scope="module")
def onnx():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    return pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def made(job, exported_run):
    """What the exporter hands to a format: any size, and one size."""
    return {size: job(exported_run, image_size=size) for size in (None, (32, 32))}


@pytest.fixture
def sessions(monkeypatch):
    """The engines' sessions that were made, by the name of the engine."""
    seen = []
    import onnxruntime

    from tfpix2pix.export.tflite import engine as tflite_engine

    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *a, **k: (seen.append("onnx"), session(*a, **k))[1]
    )
    found = tflite_engine._interpreter_class

    def interpreter_class(runtime):
        kind, name = found(runtime)
        return lambda **k: (seen.append("tflite"), kind(**k))[1], name

    monkeypatch.setattr(tflite_engine, "_interpreter_class", interpreter_class)
    return seen


# === ONNX ===


@pytest.fixture(scope="module")
def onnx_file(onnx, made, tmp_path_factory) -> Path:
    from tfpix2pix.export.onnx.format import FORMAT

    folder = tmp_path_factory.mktemp("onnx")
    (artifact,) = FORMAT.write(made[None], folder)
    return folder / artifact.path


@pytest.fixture
def changed(onnx, onnx_file, tmp_path):
    """``changed(change) -> path``: the file with its model changed by a function."""

    def make(change: Callable) -> Path:
        model = onnx.load(onnx_file)
        change(model)
        path = tmp_path / "changed.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return make


def before(model, kind: str, inputs: list[str], domain: str = "", **attributes) -> None:
    """Puts an operator between x and the first one that reads it."""
    import onnx

    first = next(node for node in model.graph.node if "x" in node.input)
    first.input[list(first.input).index("x")] = "added"
    node = onnx.helper.make_node(kind, inputs, ["added"], domain=domain, **attributes)
    model.graph.node.insert(0, node)


def constant(model, name: str, value: np.ndarray) -> str:
    import onnx

    model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return name


def tiled(model) -> None:
    before(model, "Tile", ["x", constant(model, "repeats", np.array([1, 9999, 9999, 1]))])


def expanded(model) -> None:
    before(model, "Expand", ["x", constant(model, "to", np.array([1, 99999, 99999, 3]))])


def filled(model) -> None:
    import onnx

    size = constant(model, "size", np.array([1, 99999, 99999, 3]))
    model.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", [size], ["big"]))


def looped(model) -> None:
    import onnx

    empty = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y2"], then_branch=empty))


def hidden_graph(model) -> None:
    import onnx

    graph = onnx.helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("extra", graph))


def external(model) -> None:
    import onnx

    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"


def with_function(model) -> None:
    model.functions.add(name="f", domain="evil")


def padded(model) -> None:
    import onnx

    last = next(node for node in model.graph.node if "y" in node.output)
    last.output[list(last.output).index("y")] = "small"
    pads = constant(model, "pads", np.array([0, 9999, 9999, 0] * 2))
    model.graph.node.append(onnx.helper.make_node("Pad", ["small", pads], ["y"]))


def doubled(model) -> None:
    """x beside itself, 30 times over: 2^30 times its size, by operators that we have."""
    import onnx

    last = "x"
    for i in range(30):
        node = onnx.helper.make_node("Concat", [last, last], [f"twice{i}"], axis=1)
        model.graph.node.insert(i, node)
        last = f"twice{i}"


def unstored(model) -> None:
    import onnx

    tensor = onnx.TensorProto(name="big", data_type=onnx.TensorProto.FLOAT, dims=[100_000, 100_000])
    model.graph.initializer.append(tensor)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: before(m, "Gelu", ["x"], domain="com.microsoft"), r"'com\.microsoft\.Gelu'"),
        (lambda m: before(m, "ReadFile", ["x"], domain="evil"), r"the operator 'evil\.ReadFile'"),
        (lambda m: before(m, "NonMaxSuppression", ["x"]), "the operator 'NonMaxSuppression'"),
        (tiled, "the operator 'Tile'"),
        (expanded, "the operator 'Expand'"),
        (filled, "the operator 'ConstantOfShape'"),
        (looped, "the operator 'If'"),
        (hidden_graph, "holds a graph of its own"),
        (external, "are in another file"),
        (with_function, "functions of its own"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse weights"),
        (padded, r"it needs [\d,.]+ GiB for an image of 32x32 pixels"),
        (doubled, r"it needs [\d,.]+ GiB for an image of 32x32 pixels"),
        (unstored, "its weights 'big' claim more than it holds"),
    ],
)
def test_an_onnx_file_that_is_no_export_is_refused_before_it_runs(changed, sessions, change, said):
    path = changed(change)
    with pytest.raises(UserError, match=rf"changed\.onnx was not loaded: .*{said}") as caught:
        open_model(path)
    assert sessions == []
    assert "\n" not in str(caught.value)


def test_a_contract_of_a_larger_generator_than_the_onnx_file_holds(changed, made, sessions):
    contract = made[None].contract
    huge = dataclasses.replace(contract, config=contract.config.replace(ngf=512))

    def change(model):
        model.metadata_props[0].value = huge.to_json()

    with pytest.raises(
        UserError, match=r"generator of [\d,]+ weights \(ngf 512, loss l1\) and it holds"
    ):
        open_model(changed(change))
    assert sessions == []


def test_what_fails_in_onnxruntime_is_a_sentence(onnx_file):
    from tfpix2pix.export.onnx.format import FORMAT

    engine = FORMAT.open(onnx_file)
    with pytest.raises(UserError, match=r"failed in onnxruntime.*export again"):
        engine(np.zeros((1, 32, 32, 5), np.float32), np.zeros((1, 1, 1, 1), np.float32))


def test_the_whole_file_may_be_as_large_as_its_generator(made):
    contract = made[None].contract
    weights = made[None].generator.count_params()
    check_stored(contract, weights)
    with pytest.raises(Refused, match="and it holds"):
        check_stored(contract, weights // 2)


# === TFLite ===


@pytest.fixture(scope="module")
def tflite_files(made, tmp_path_factory) -> dict:
    from tfpix2pix.export.tflite.format import FORMAT

    files = {}
    for size, each in made.items():
        folder = tmp_path_factory.mktemp("tflite")
        (artifact,) = FORMAT.write(each, folder)
        files[size] = folder / artifact.path
    return files


@pytest.fixture
def rewritten(tflite_files, tmp_path):
    """``rewritten(change, size) -> path``: the file with its model changed by a function."""
    from tensorflow.lite.tools import flatbuffer_utils

    def make(change: Callable, size=None) -> Path:
        content = bytearray(tflite_files[size].read_bytes())
        model = flatbuffer_utils.convert_bytearray_to_object(content)
        change(model)
        path = tmp_path / "changed.tflite"
        path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
        return path

    return make


def as_custom(name: bytes) -> Callable:
    def change(model) -> None:
        code = model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = 32  # CUSTOM
        code.customCode = name

    return change


def as_builtin(number: int) -> Callable:
    def change(model) -> None:
        code = model.operatorCodes[0]
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)

    return change


def changed_constant(model, operator: int, place: int, values: list[int]) -> None:
    """Lets the last operator of a code read other whole numbers at a place."""
    graph = model.subgraphs[0]
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes]
    node, tensor = next(
        (node, graph.tensors[node.inputs[place]])
        for node in reversed(graph.operators)
        if codes[node.opcodeIndex] == operator and graph.tensors[node.inputs[place]].type == 2
    )
    # A buffer of its own: equal constants share one.
    buffer, other = copy.copy(model.buffers[tensor.buffer]), copy.copy(tensor)
    buffer.data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)
    other.buffer = len(model.buffers)
    node.inputs[place] = len(graph.tensors)
    model.buffers.append(buffer)
    graph.tensors.append(other)


def upscaled(model) -> None:
    """The size that the last transposed convolution makes, said by a constant."""
    changed_constant(model, 67, 0, [1, 99_999, 99_999, 3])


def multiplied(model) -> None:
    """The factor 2 by which a size is multiplied in a file of any size."""
    changed_constant(model, 18, 1, [2_000_000])


def recorded(model) -> None:
    tensor = next(t for t in model.subgraphs[0].tensors if b"x" in t.name and len(t.shape) == 4)
    tensor.shape = np.array([1, 99_999, 99_999, 3], np.int32)


def claimed(model) -> None:
    weights = max(
        model.subgraphs[0].tensors,
        key=lambda t: 0 if model.buffers[t.buffer].data is None else np.prod(t.shape),
    )
    weights.shape = np.array([99_999, 99_999, 4, 4], np.int32)


@pytest.mark.parametrize(
    ("change", "size", "said"),
    [
        (as_custom(b"FlexReadFile"), None, "the operator 'FlexReadFile'"),
        (as_custom(b"Mine"), None, "the operator 'Mine'"),
        (as_builtin(119), None, "the operator 'WHILE'"),
        (as_builtin(69), None, "the operator 'TILE'"),
        (as_builtin(129), None, "the operator 'CALL_ONCE'"),
        (as_builtin(142), None, "the operator 'VAR_HANDLE'"),
        (lambda m: m.subgraphs.append(m.subgraphs[0]), None, "not one graph"),
        (multiplied, None, r"it needs [\d,.]+ GiB for an image of 32x32 pixels"),
        (upscaled, (32, 32), r"it needs [\d,.]+ GiB for an image of 32x32 pixels"),
        (recorded, (32, 32), r"its input x has the size \[1, 99999, 99999, 3\]"),
        (claimed, None, "a constant claims another size than it has"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_a_tflite_file_that_is_no_export_is_refused_before_it_runs(
    rewritten, sessions, change, size, said
):
    path = rewritten(change, size)
    with pytest.raises(UserError, match=rf"changed\.tflite was not loaded: .*{said}") as caught:
        open_model(path)
    assert sessions == []
    assert "\n" not in str(caught.value)


def test_a_contract_of_a_larger_generator_than_the_tflite_file_holds(made, tflite_files, tmp_path):
    contract = made[None].contract
    huge = dataclasses.replace(contract, config=contract.config.replace(ngf=512, dropout=0.25))
    plain = tflite_files[None].read_bytes()
    path = tmp_path / "huge.tflite"
    # Two contracts in one file: the first counts, and nothing of the second is used.
    path.write_bytes(with_metadata(plain, huge))
    assert open_model(path).config.ngf == contract.config.ngf
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(plain))
    model.metadata = []
    bare = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    path.write_bytes(with_metadata(bare, huge))
    with pytest.raises(
        UserError, match=r"generator of [\d,]+ weights \(ngf 512, loss l1\) and it holds"
    ):
        open_model(path)


def test_what_fails_in_the_interpreter_is_a_sentence(tflite_files):
    from tfpix2pix.export.tflite.format import FORMAT

    engine = FORMAT.open(tflite_files[None])
    with pytest.raises(UserError, match=r"failed in .*export again"):
        engine(np.zeros((1, 32, 32, 5), np.float32), np.zeros((1, 1, 1, 1), np.float32))


@pytest.mark.parametrize("size", [None, (32, 32)])
def test_what_is_ours_is_taken(tflite_files, made, size):
    assert check_tflite(tflite_files[size]) == made[size].contract
