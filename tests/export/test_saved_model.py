"""The SavedModel is the run: its weights, its pictures, whoever loads it, whatever the batch."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import config_of
from tfpix2pix.data import decode
from tfpix2pix.export.core import weights_of
from tfpix2pix.export.savedmodel.format import FORMAT, SavedModelEngine, saved_weights

pytest.importorskip("tensorflow_serving")


def picture(*shape: int, seed: int = 0, dtype=np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, shape, dtype, endpoint=True)


def levels(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other.astype(int))


def assert_same_picture(found: np.ndarray, expected: np.ndarray) -> None:
    """At most one level, where two roundings of a sum fall on two sides of a half."""
    assert found.dtype == expected.dtype
    off = levels(found, expected)
    assert off.max() <= 1
    assert np.mean(off > 0) < 1e-3


@pytest.fixture(scope="module")
def run(exported_run):
    return tfpix2pix.load(exported_run)


@pytest.fixture(scope="module")
def engine(saved_model):
    return FORMAT.open(saved_model)


@pytest.fixture(scope="module")
def signatures(engine):
    """The signatures, and what keeps their variables alive."""
    found = dict(engine._model.signatures)
    found["keep"] = engine._model
    return found


SMALL = (32, 64)


@pytest.fixture(scope="module")
def forms(engine, exported_run, job, tmp_path_factory):
    """``forms(inference, image_size)``: the job, its artefact, the folder that this was written to
    and its engine; each is made once. Read only."""

    @functools.cache
    def form(inference: str, image_size: tuple[int, int] | None):
        output, folder = (tmp_path_factory.mktemp(each) for each in ("output", "form"))
        made = job(exported_run, inference, image_size, output=output, name="m")
        if (inference, image_size) == ("paper", None):
            return made, None, None, engine
        for taken in ("3", "12", "notes"):
            (output / "saved_model" / taken).mkdir(parents=True)
        (artifact,) = FORMAT.write(made, folder)
        return made, artifact, folder, FORMAT.open(folder / artifact.path)

    return form


# === Weights ===


def test_the_weights_are_read_back_to_the_bit_without_running_it(run, saved_model):
    expected = weights_of(run.generator)
    found = saved_weights(saved_model)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value)


def test_no_signature_changes_a_variable(signatures):
    variables = signatures["keep"].weights
    before = {name: variable.numpy() for name, variable in variables.items()}
    assert len(before) > 10
    from tfpix2pix.export.contract import Contract
    from tfpix2pix.export.savedmodel.warmup import warmup_inputs

    text = signatures["contract"](query=tf.constant([""]))["contract"].numpy()[0]
    inputs = warmup_inputs(Contract.parse(text, "the model"))
    assert set(inputs) == set(signatures) - {"keep"}
    for name, values in inputs.items():
        signatures[name](**{key: tf.constant(value) for key, value in values.items()})
    for name, value in before.items():
        np.testing.assert_array_equal(variables[name].numpy(), value)
    for name in inputs:
        kinds = {op.type for op in _operations(signatures[name].graph)}
        assert not {kind for kind in kinds if kind.startswith("Assign")}
        assert not kinds & {"RandomUniform", "RandomStandardNormal", "PyFunc", "EagerPyFunc"}


def _operations(graph: tf.Graph | tf.types.experimental.PolymorphicFunction) -> list:
    """The operations of a graph, or a function's, and of every function in it."""
    if not isinstance(graph, tf.Graph):
        graph = graph.get_concrete_function().graph
    definition = graph.as_graph_def()
    nodes = [node for f in definition.library.function for node in f.node_def]

    class Kind:
        def __init__(self, kind: str) -> None:
            self.type = kind

    return [Kind(node.op) for node in [*definition.node, *nodes]]


@pytest.mark.parametrize("image_size", [None, SMALL])
@pytest.mark.parametrize("inference", ["paper", "deterministic"])
def test_converters_know_every_operator_of_the_network(forms, inference, image_size):
    """Core ML's converter and TensorFlow.js know no EnsureShape, the first no OnesLike either; of
    a SelectV2 of two numbers the first makes one number."""
    from tfpix2pix.export.core import Core

    strange = {"EnsureShape", "OnesLike", "ZerosLike", "SelectV2"}
    made, *_, engine = forms(inference, image_size)
    kinds = {each.type for each in _operations(Core(made.generator, made.contract).run)}
    assert "Conv2DBackpropInput" in kinds  # so functions inside functions are read
    assert not kinds & {*strange, "Assert"}
    function = engine._model.signatures["float"]
    saved = {each.type for each in _operations(function.graph)}
    assert "Conv2DBackpropInput" in saved
    assert not saved & strange
    # What is told of the shape is still known to whoever loads it.
    height, width = image_size or (None, None)
    assert function.structured_outputs["y"].shape.as_list() == [None, height, width, 3]


# === Pictures ===


@pytest.mark.parametrize(("height", "width"), [(32, 32), (45, 70), (1, 9), (5, 5)])
def test_the_image_signatures_give_the_runs_pictures(run, engine, height, width):
    images = picture(3, height, width, 3)
    found = engine.translate(images, [7, -2, 2**40])
    for image, seed, result in zip(images, (7, -2, 2**40), found, strict=True):
        assert_same_picture(result, run.translate(image, seed=seed))
    for image, result in zip(images, engine.translate(images), strict=True):
        assert_same_picture(result, run.translate(image))


def test_a_seed_gives_its_picture_and_another_seed_another(engine):
    image = picture(32, 40, 3)
    pictures = engine.translate(np.stack([image] * 3), [3, 3, 4])
    assert levels(pictures[0], pictures[1]).max() <= 1
    assert levels(pictures[0], pictures[2]).mean() > 0.5


def test_the_network_alone_is_the_generator(run, engine):
    x = np.random.default_rng(0).uniform(-1, 1, (3, 64, 32, 3)).astype(np.float32)
    for z in (run.noise(x, [1, 2, 3]), run.noise(x, [1, 2, 3], deterministic=True)):
        np.testing.assert_allclose(engine(x, z), run.network(x, z), rtol=0, atol=1e-5)


def test_an_engine_is_the_network_of_a_translator(run, engine):
    from tfpix2pix.inference import Translator

    contract = engine.contract
    model = Translator(contract.config, engine, contract.step, contract.spec)
    image = picture(45, 20, 3)
    assert_same_picture(model.translate(image, seed=3), run.translate(image, seed=3))
    fitted = model.translate(image, seed=3, fit=True, deterministic=True)
    assert_same_picture(fitted, run.translate(image, seed=3, fit=True, deterministic=True))


def test_images_of_one_batch_do_not_change_each_other(run, signatures):
    x = np.random.default_rng(0).uniform(-1, 1, (5, 32, 64, 3)).astype(np.float32)
    x[1] *= 0.01  # by its statistics it would disturb the others
    z = run.noise(x, range(5))
    together = signatures["float"](x=tf.constant(x), z=tf.constant(z))["y"].numpy()
    for i in range(5):
        alone = signatures["float"](x=tf.constant(x[i : i + 1]), z=tf.constant(z[i : i + 1]))["y"]
        np.testing.assert_allclose(together[i], alone[0], rtol=0, atol=1e-6)

    images = np.concatenate([picture(4, 64, 96, 3), np.full((1, 64, 96, 3), 128, np.uint8)])
    seeds = np.arange(5)
    function = signatures["seeded"]
    together = function(image=tf.constant(images), seed=tf.constant(seeds))["output"].numpy()
    alone = np.concatenate(
        [
            function(image=tf.constant(images[i : i + 1]), seed=tf.constant(seeds[i : i + 1]))[
                "output"
            ].numpy()
            for i in range(5)
        ]
    )
    off = levels(together, alone)
    assert off.max() <= 1
    assert np.mean(off > 0) < 1e-4


def test_files_of_several_sizes_go_in_and_png_files_come_out(run, signatures):
    images = [picture(20, 33, 3), picture(64, 32, 3, seed=1), picture(9, 9, 4, seed=2)]
    files = [tf.io.encode_png(image).numpy() for image in images]
    grey = tf.io.encode_png(picture(12, 40, 1)).numpy()
    jpeg = tf.io.encode_jpeg(picture(40, 30, 3), quality=90).numpy()
    deep = tf.io.encode_png(picture(10, 20, 3, dtype=np.uint16)).numpy()
    files += [grey, jpeg, deep]
    seeds = tf.constant(range(6), tf.int64)
    seeded = signatures["encoded_seeded"](image_bytes=tf.constant(files), seed=seeds)
    plain = signatures["encoded"](image_bytes=tf.constant(files))
    for i, file in enumerate(files):
        for result, seed in ((seeded, i), (plain, 0)):
            found = decode(result["output_bytes"].numpy()[i]).array
            assert_same_picture(found, run.translate(decode(file), seed=seed))


@pytest.mark.parametrize("bad", [b"", b"no image", b"\x89PNG\r\n\x1a\nhalf a file" + bytes(40)])
def test_what_is_no_image_is_an_error_in_words(signatures, bad):
    good = tf.io.encode_png(picture(8, 8, 3)).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError, match="PNG"):
        signatures["encoded"](image_bytes=tf.constant([good, bad]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="no pixels"):
        signatures["serving_default"](image=tf.zeros([1, 0, 4, 3], tf.uint8))


# === Other runs ===

PALETTE = json.dumps(
    {
        "name": "two",
        "classes": [
            {"name": "sky", "color": [0, 0, 255], "index": 0, "void": False},
            {"name": "wall", "color": [200, 40, 0], "index": 1, "void": False},
        ],
    }
)
LABELS = {"label_palette": "two", "label_side": "input", "palette": PALETTE, "target_channels": 3}


@pytest.mark.parametrize(
    ("changes", "image"),
    [
        (
            {"input_channels": 1, "target_channels": 2, "norm": "batch"}
            | {"dropout_layers": "paper", "crop_size": 64, "load_size": 64},
            picture(20, 33, 1),
        ),
        (
            {"input_channels": 3, "target_channels": 1, "bias_layers": "pytorch"}
            | {"input_dtype": "uint16", "target_dtype": "uint16"},
            picture(20, 33, 3, dtype=np.uint16),
        ),
        (LABELS | {"input_channels": 3}, picture(20, 33, 3)),
    ],
    # Labels as one-hot, Lab, floats and what no file holds: test_remote.py.
    ids=["grey, batch norm", "16 bits, biases", "labels"],
)
def test_every_form_of_run_gives_its_pictures(make_run, job, tmp_path, changes, image):
    workdir = make_run(tmp_path / "run", **changes)
    (artifact,) = FORMAT.write(job(workdir), tmp_path / "out")
    run, engine = tfpix2pix.load(workdir), FORMAT.open(tmp_path / "out" / artifact.path)
    (found,) = engine.translate(image[None], [5])
    expected = run.translate(image, seed=5)
    assert found.dtype == expected.dtype
    assert levels(found, expected).max() <= (20 if found.dtype == np.uint16 else 1)
    file = tf.io.encode_png(image).numpy()
    signature = engine._model.signatures["encoded_seeded"]
    result = signature(image_bytes=tf.constant([file]), seed=tf.constant([5], tf.int64))
    off = levels(decode(result["output_bytes"].numpy()[0]).array, expected)
    assert off.max() <= (20 if found.dtype == np.uint16 else 1)


def test_without_noise_there_are_no_seeds(run, forms):
    _, artifact, folder, engine = forms("deterministic", None)
    assert artifact.notes
    assert set(engine._model.signatures) == {"serving_default", "encoded", "float", "contract"}
    assert not engine.takes_noise
    image = picture(40, 33, 3)
    (found,) = engine.translate(image[None], [9])
    assert_same_picture(found, run.translate(image, deterministic=True))
    assert saved_weights(folder / artifact.path).keys() == weights_of(run.generator).keys()


def test_an_export_of_one_size_takes_that_size(run, forms):
    *_, engine = forms("paper", SMALL)
    signatures = engine._model.signatures
    spec = signatures["serving_default"].structured_input_signature[1]["image"]
    assert spec.shape.as_list() == [None, 32, 64, 3]
    image = picture(32, 64, 3)
    assert_same_picture(engine.translate(image[None], [1])[0], run.translate(image, seed=1))
    # A smaller file is padded to it; a larger one is refused.
    small = picture(30, 50, 3)
    file = tf.io.encode_png(small).numpy()
    result = signatures["encoded"](image_bytes=tf.constant([file]))["output_bytes"].numpy()
    assert_same_picture(decode(result[0]).array, run.translate(small))
    large = tf.io.encode_png(picture(33, 64, 3)).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError, match="32x64 pixels"):
        signatures["encoded"](image_bytes=tf.constant([large]))


# === Writing and opening ===


def test_the_version_is_the_next_free_one(forms):
    _, artifact, folder, _ = forms("deterministic", SMALL)
    assert artifact.path == "saved_model/13"
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*.*")}
    assert "saved_model/13/assets.extra/contract.json" in found
    assert "saved_model/13/saved_model.pb" in found


def test_it_loads_where_this_package_cannot_be_imported(saved_model, engine, tmp_path):
    """By TensorFlow alone and by its saved_model_cli, in one process: it takes long to start."""
    image = picture(20, 33, 3)
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "images.npy", image[None])
    (tmp_path / "tfpix2pix.py").write_text("raise ImportError('not here')\n")
    code = """
import sys
import numpy as np, tensorflow as tf
try:
    import tfpix2pix
except ImportError:
    pass
else:
    raise SystemExit("tfpix2pix can be imported")
folder = sys.argv[1]
model = tf.saved_model.load(folder)
image = tf.constant(np.load("image.npy")[None])
result = model.signatures["seeded"](image=image, seed=tf.constant([5], tf.int64))["output"]
np.save("result.npy", result.numpy()[0])
print(sorted(model.signatures))

# As the command's entry point does.
from tensorflow.python.tools import saved_model_cli
for args in (
    ["show", "--dir", folder, "--all"],
    ["run", "--dir", folder, "--tag_set", "serve", "--signature_def", "serving_default",
     "--inputs", "image=images.npy", "--outdir", ".", "--overwrite"],
):
    sys.argv = ["saved_model_cli", *args]
    try:
        saved_model_cli.main()
    except SystemExit as end:
        assert not end.code, end.code
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved_model)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names = ["contract", "encoded", "encoded_seeded", "float", "seeded", "serving_default"]
    assert str(names) in done.stdout
    expected = engine.translate(image[None], [5])[0]
    assert_same_picture(np.load(tmp_path / "result.npy"), expected)
    for name in names:
        assert f"signature_def['{name}']" in done.stdout
    for name in ("image_bytes", "output_bytes", "DT_UINT8", "(-1, -1, -1, 3)"):
        assert name in done.stdout
    assert_same_picture(np.load(tmp_path / "output.npy"), engine.translate(image[None]))


def test_damaged_folders_are_refused_in_a_sentence(saved_model, tmp_path):
    import shutil

    def copy(name: str) -> Path:
        return Path(shutil.copytree(saved_model, tmp_path / name))

    no_contract = copy("1")
    (no_contract / "assets.extra" / "contract.json").unlink()
    no_graph = copy("2")
    (no_graph / "saved_model.pb").write_bytes(b"nonsense")
    cut = copy("3")
    data = cut / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    no_variables = copy("4")
    shutil.rmtree(no_variables / "variables")
    with pytest.raises(UserError, match=r"1 holds no assets\.extra/contract\.json"):
        SavedModelEngine(no_contract)
    for path in (no_graph, cut, no_variables):
        with pytest.raises(UserError, match=f"{path} is a damaged SavedModel .*export again"):
            SavedModelEngine(path)
    for path in (cut, no_variables):
        with pytest.raises(UserError, match="damaged SavedModel"):
            saved_weights(path)
    with pytest.raises(UserError, match="holds no"):
        SavedModelEngine(tmp_path / "none")


def test_the_contract_is_the_same_in_the_graph_and_beside_it(saved_model, signatures, run):
    texts = signatures["contract"](query=tf.constant(["", "what?"]))["contract"].numpy()
    assert len(set(texts.tolist())) == 1
    assert texts[0].decode() == (saved_model / "assets.extra" / "contract.json").read_text()
    values = json.loads(texts[0])
    assert values["checkpoint"] == {"step": 5, "sha256": run.checkpoint}
    assert config_of(values["config"]) == run.config


def test_every_signature_runs_in_a_session_as_servers_run_it(saved_model, engine):
    # TensorFlow Serving loads the graph into a session and feeds tensors by their names.
    from tensorflow_serving.apis import prediction_log_pb2

    file = saved_model / "assets.extra" / "tf_serving_warmup_requests"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(file))]
    found = {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        definition = tf.compat.v1.saved_model.load(session, ["serve"], str(saved_model))
        for record in records:
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            name = request.model_spec.signature_name
            signature = definition.signature_def[name]
            inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
            feed = {signature.inputs[k].name: v for k, v in inputs.items()}
            fetch = {k: v.name for k, v in signature.outputs.items()}
            found[name] = inputs, session.run(fetch, feed)
    served = set(definition.signature_def) - {"__saved_model_init_op"}
    assert set(found) == served
    inputs, outputs = found["seeded"]
    assert_same_picture(outputs["output"], engine.translate(inputs["image"], inputs["seed"]))
    inputs, outputs = found["encoded"]
    image = decode(inputs["image_bytes"][0]).array
    assert_same_picture(decode(outputs["output_bytes"][0]).array, engine.translate(image[None])[0])
    inputs, outputs = found["float"]
    np.testing.assert_allclose(outputs["y"], engine(**inputs), rtol=0, atol=1e-5)
