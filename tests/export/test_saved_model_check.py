"""A SavedModel from a stranger: what no export of ours holds is refused by name, and not run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfpix2pix.base.errors import UserError
from tfpix2pix.export import open_model
from tfpix2pix.export.savedmodel.check import OPERATORS, check_saved_model
from tfpix2pix.export.savedmodel.format import CONTRACT, SavedModelEngine, saved_weights

pytest.importorskip("tensorflow_serving")


def read(path: Path) -> saved_model_pb2.SavedModel:
    return saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())


@pytest.fixture
def changed(saved_model, tmp_path):
    """``changed(change) -> path``: the SavedModel with its graph changed by a function."""

    def make(change: Callable[[saved_model_pb2.MetaGraphDef], None]) -> Path:
        path = Path(shutil.copytree(saved_model, tmp_path / "changed"))
        model = read(path)
        change(model.meta_graphs[0])
        (path / "saved_model.pb").write_bytes(model.SerializeToString())
        return path

    return make


def function_of(graph: saved_model_pb2.MetaGraphDef, part: str):
    return next(f for f in graph.graph_def.library.function if part in f.signature.name)


# === Real ones that do harm ===


def with_contract(module: tf.Module, path: Path, saved_model: Path, **signatures) -> Path:
    tf.saved_model.save(module, str(path), signatures=signatures)
    (path / CONTRACT).parent.mkdir()
    shutil.copyfile(saved_model / CONTRACT, path / CONTRACT)
    return path


def test_a_model_that_reads_and_writes_files_is_refused_and_not_run(saved_model, tmp_path):
    secret, mark = tmp_path / "secret", tmp_path / "mark"
    secret.write_text("secret")

    class Harmful(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], name="x")])
        def run(self, x):
            text = tf.io.read_file(str(secret))
            with tf.control_dependencies([tf.io.write_file(str(mark), text)]):
                return {"y": tf.identity(x)}

    module = Harmful()
    path = with_contract(module, tmp_path / "model", saved_model, float=module.run)
    tf.saved_model.load(str(path)).signatures["float"](x=tf.zeros([1, 1, 1, 3]))
    assert mark.read_text() == "secret", "it would do harm where it is run"
    mark.unlink()
    with pytest.raises(
        UserError, match=r"model was not loaded: it runs the operator '(Read|Write)"
    ):
        open_model(path)
    assert not mark.exists()


def test_a_model_that_acts_while_it_is_loaded_is_refused(saved_model, tmp_path):
    """A table is filled from a file that the SavedModel brings, as soon as it is loaded."""
    (tmp_path / "words.txt").write_text("a\nb\n")

    class Table(tf.Module):
        def __init__(self):
            super().__init__()
            initializer = tf.lookup.TextFileInitializer(
                str(tmp_path / "words.txt"),
                *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
                *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
            )
            self.table = tf.lookup.StaticHashTable(initializer, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
        def run(self, x):
            return {"y": self.table.lookup(x)}

    module = Table()
    path = with_contract(module, tmp_path / "model", saved_model, float=module.run)
    with pytest.raises(UserError, match=r"it holds the asset 'words\.txt'"):
        SavedModelEngine(path)
    model = read(path)
    del model.meta_graphs[0].asset_file_def[:]
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="was not loaded: it "):
        SavedModelEngine(path)


# === Ours, with one thing changed ===


@pytest.mark.parametrize(
    "operator",
    [
        *("ReadFile", "WriteFile", "SaveV2", "RestoreV2", "MatchingFiles", "PrintV2", "PyFunc"),
        *("EagerPyFunc", "AssignVariableOp", "TFRecordReaderV2", "no such one"),
    ],
)
@pytest.mark.parametrize("part", ["inference_run", "signature_wrapper", "while"])
def test_every_function_is_looked_through(changed, operator, part):
    def change(graph):
        function_of(graph, part).node_def[0].op = operator

    with pytest.raises(UserError, match=f"it runs the operator '{operator}'"):
        SavedModelEngine(changed(change))


def test_the_graph_outside_of_functions_is_looked_through(changed):
    path = changed(lambda graph: graph.graph_def.node.add(name="evil", op="WriteFile"))
    with pytest.raises(UserError, match="it runs the operator 'WriteFile'"):
        SavedModelEngine(path)


def test_the_functions_that_save_are_called_by_nothing(changed):
    def change(graph):
        saver = function_of(graph, "traced_save").signature.name
        node = function_of(graph, "inference_run").node_def.add(op="StatefulPartitionedCall")
        node.attr["f"].func.name = saver

    with pytest.raises(UserError, match=r"calls '__inference__traced_save.*writes or reads files"):
        SavedModelEngine(changed(change))


def test_the_functions_that_save_are_no_objects(changed):
    def change(graph):
        saver = function_of(graph, "traced_save").signature.name
        graph.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = saver

    with pytest.raises(UserError, match="writes or reads files"):
        SavedModelEngine(changed(change))


def run_at_start(graph) -> None:
    node = graph.graph_def.node.add(name="start", op="StatefulPartitionedCall")
    node.attr["f"].func.name = function_of(graph, "inference_run").signature.name
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "start"


def collect(graph) -> None:
    graph.collection_def["saved_model_main_op"].node_list.value[:] = ["StatefulPartitionedCall"]


def other_object(identifier: str) -> Callable:
    return lambda graph: setattr(
        graph.object_graph_def.nodes[0].user_object, "identifier", identifier
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (run_at_start, "it runs 'start' when it is loaded"),
        (collect, "it runs 'StatefulPartitionedCall' when it is loaded"),
        (lambda g: g.collection_def["tables"].node_list.value.append("a"), "collection 'tables'"),
        (lambda g: g.asset_file_def.add(filename="a.txt"), "the asset 'a.txt'"),
        (lambda g: g.ClearField("object_graph_def"), "not one graph with its objects"),
        (lambda g: g.object_graph_def.nodes.add().resource.SetInParent(), "of the kind 'resource'"),
        (lambda g: g.object_graph_def.nodes.add().asset.SetInParent(), "of the kind 'asset'"),
        (other_object("_tf_keras_model"), "the object '_tf_keras_model'"),
        (other_object("optimizer"), "the object 'optimizer'"),
        (
            lambda g: setattr(g.object_graph_def.nodes[0], "registered_name", "a.B"),
            "an object of the class 'a.B'",
        ),
    ],
)
def test_what_acts_while_it_is_loaded_is_refused(changed, change, said):
    with pytest.raises(UserError, match=f"was not loaded: .*{said}"):
        SavedModelEngine(changed(change))


def test_a_constant_of_40_gb_in_a_few_bytes_is_refused(changed):
    def change(graph):
        node = function_of(graph, "inference_run").node_def.add(name="big", op="Const")
        tensor = tf.make_tensor_proto(1.0, tf.float32)
        for _ in range(2):
            tensor.tensor_shape.dim.add(size=100_000)
        node.attr["value"].tensor.CopyFrom(tensor)
        node.attr["dtype"].type = tf.float32.as_datatype_enum

    with pytest.raises(UserError, match="its constants claim more than it holds"):
        SavedModelEngine(changed(change))


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_another_graph_beside_it_is_refused(changed, name):
    path = changed(lambda graph: None)
    (path / name).write_bytes(b"")
    with pytest.raises(UserError, match=f"it holds {name}"):
        SavedModelEngine(path)


def test_variables_that_claim_more_than_is_stored_are_refused_before_memory_is_taken(changed):
    path = changed(lambda graph: None)
    data = path / "variables" / "variables.data-00000-of-00001"
    with open(data, "r+b") as file:
        file.truncate(data.stat().st_size // 2)
    for read_it in (SavedModelEngine, saved_weights):
        with pytest.raises(UserError, match="damaged SavedModel"):
            read_it(path)


# === What is ours is taken ===


@pytest.mark.parametrize(
    "changes",
    [
        {"inference": "deterministic", "image_size": (32, 64)},
        {"norm": "batch", "target_dtype": "uint16", "target_range": "0:4095"},
        {"norm": "none", "generator": "encoder_decoder", "input_dtype": "float32"},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())),
)
def test_no_operator_of_ours_is_missing(make_run, job, tmp_path, changes):
    from tfpix2pix.export.savedmodel.format import FORMAT

    options = {k: changes.pop(k) for k in ("inference", "image_size") if k in changes}
    made = job(make_run(tmp_path / "run", **changes), **options)
    (artifact,) = FORMAT.write(made, tmp_path / "out")
    check_saved_model(tmp_path / "out" / artifact.path)


def test_no_operator_that_is_allowed_touches_anything_but_tensors():
    """By TensorFlow's own list: those that have a state, but for calls, variables and checks."""
    from tensorflow.python.framework import op_def_registry

    stateful = {name for name in OPERATORS if (d := op_def_registry.get(name)) and d.is_stateful}
    assert stateful <= {
        *("Assert", "If", "While", "StatefulPartitionedCall", "VarHandleOp", "ReadVariableOp"),
        "StatelessRandomGetAlg",  # which kind of generator the device has
    }
    assert not {name for name in OPERATORS if "File" in name or "Py" in name or "Print" in name}


def test_what_fails_while_it_runs_is_a_sentence(saved_model):
    engine = SavedModelEngine(saved_model)
    x = np.zeros((1, 32, 32, 3), np.float32)
    with pytest.raises(UserError, match=r"failed in TensorFlow.*export again"):
        engine(x, np.zeros((1, 2, 2, 7), np.float32))
