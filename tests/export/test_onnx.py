"""ONNX files: the pictures of Keras in onnxruntime, the contract inside, nothing superfluous."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.export import formats
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.onnx.opset import OLDEST
from tfpix2pix.models.weights import named_weights

onnx = pytest.importorskip("onnx")
pytest.importorskip("tf2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

FORMAT = formats.load_format("onnx")
QUANTIZED = ("none", "float16", "int8")


@pytest.fixture(scope="module")
def exported(job, exported_run, tmp_path_factory):
    """The job of the shared run, its folder, and its files by quantisation."""
    folder = tmp_path_factory.mktemp("onnx")
    made = job(exported_run, quantize=QUANTIZED)
    artifacts = FORMAT.write(made, folder)
    return made, folder, {each.quantize: each for each in artifacts}


@pytest.fixture(scope="module")
def engine(exported):
    _, folder, artifacts = exported
    return FORMAT.open(folder / artifacts["none"].path)


def inputs(made: formats.Job, batch: int, height: int, width: int, seed: int = 0):
    """x and z; z is that of the seeds 0, 1, ..., whether the export takes it or not."""
    shape = (batch, height, width, made.contract.config.x_channels)
    x = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
    return x, made.translator.noise(x, range(batch))


def export(make_run, job, tmp_path, inference="paper", image_size=None, **config):
    """A run of its own as float32 ONNX: the job, the engine and the model."""
    made = job(make_run(tmp_path / "run", **config), inference, image_size)
    (artifact,) = FORMAT.write(made, tmp_path / "out")
    path = tmp_path / "out" / artifact.path
    return made, FORMAT.open(path), onnx.load(path)


def operators(model) -> collections.Counter:
    return collections.Counter(node.op_type for node in model.graph.node)


def shapes(model) -> dict[str, list]:
    return {
        each.name: [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim]
        for each in [*model.graph.input, *model.graph.output]
    }


# === The same pictures ===


@pytest.mark.parametrize(
    ("batch", "height", "width"), [(1, 32, 32), (3, 32, 32), (2, 96, 64), (1, 32, 160)]
)
def test_any_size_and_batch_gives_what_keras_gives(exported, engine, batch, height, width):
    x, z = inputs(exported[0], batch, height, width)
    y = engine(x, z)
    assert y.dtype == np.float32
    expected = exported[0].translator.network(x, z)
    np.testing.assert_allclose(y, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.1  # features are alive


def test_z_is_an_input_that_counts(exported, engine):
    x, z = inputs(exported[0], 1, 32, 32)
    off = np.full_like(z, -1)
    with_z, without, other = engine(x, z), engine(x, off), engine(x, 1 - z)
    assert np.abs(with_z - without).max() > 0.1
    assert np.abs(with_z - other).max() > 0.1
    np.testing.assert_allclose(without, exported[0].translator.network(x, off), atol=1e-5, rtol=0)


def test_an_image_is_what_it_is_alone(exported, engine):
    x, z = inputs(exported[0], 3, 64, 64)
    together = engine(x, z)
    for i in range(3):
        alone = engine(x[i : i + 1], z[i : i + 1])
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "config",
    [
        {"norm": "batch", "std": 0.1},
        {"norm": "none", "std": 0.1},
        {"bias_layers": "pytorch", "input_channels": 1, "target_channels": 1},
        {"generator": "encoder_decoder", "input_channels": 4, "target_channels": 2, "ngf": 1},
        {"crop_size": 64, "load_size": 64, "dropout_layers": "pytorch"},
        {"crop_size": 128, "load_size": 128, "ngf": 2, "dropout": 0.3},
    ],
    ids=lambda config: ",".join(f"{key}={value}" for key, value in config.items()),
)
def test_every_kind_of_generator(make_run, job, tmp_path, config):
    made, engine, model = export(make_run, job, tmp_path, **config)
    side = made.contract.size_multiple
    x, z = inputs(made, 2, side, 2 * side)
    expected = made.translator.network(x, z)
    assert expected.std() > 0.02
    np.testing.assert_allclose(engine(x, z), expected, atol=1e-5, rtol=0)
    off = np.full_like(z, -1)
    assert np.abs(expected - made.translator.network(x, off)).max() > 1e-3  # z counts here
    found = operators(model)
    assert not {"Dropout", "BatchNormalization"} & set(found)
    normalised = config.get("norm", "instance") == "instance"
    levels = side.bit_length() - 1
    assert found["InstanceNormalization"] == (2 * levels - 3 if normalised else 0)


def test_int8_with_a_bias_in_every_layer(make_run, job, smooth_images, tmp_path):
    made = job(make_run(tmp_path / "run", bias_layers="pytorch", std=0.1), quantize=("int8",))
    (artifact,) = FORMAT.write(made, tmp_path)
    x = np.stack(list(smooth_images(4, 32, 3, seed=8)))
    z = made.translator.noise(x, range(4))
    expected = made.translator.network(x, z)
    assert expected.std() > 0.1
    difference = np.abs(FORMAT.open(tmp_path / artifact.path)(x, z) - expected)
    assert 0 < difference.mean() < 0.03


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_values_that_could_be_simplified_away(make_run, job, tmp_path, norm):
    """Scales of 1, offsets of 0 and the like, as imported and untrained weights have them."""
    from tfpix2pix.export.onnx.graph import convert

    made = job(make_run(tmp_path / "run", norm=norm, std=0.1))
    values = {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1, "bias": 0}
    for name, variable in named_weights(made.generator).items():
        if (last := name.split("/")[-1]) in values:
            variable.assign(np.full(variable.shape, values[last], np.float32))
    model = convert(made.generator, made.contract)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x, z = inputs(made, 2, 32, 64)
    (y,) = session.run(None, {"x": x, "z": z})
    expected = made.generator([x, z], training=False).numpy()
    np.testing.assert_allclose(y, expected, atol=1e-5, rtol=0)
    assert {
        float(v)
        for n, w in named_weights(made.generator).items()
        if n.endswith("gamma")
        for v in np.asarray(w)
    } == {1.0}


def test_deterministic_takes_no_z(make_run, job, tmp_path):
    made, engine, model = export(make_run, job, tmp_path, "deterministic")
    assert [each.name for each in model.graph.input] == ["x"]
    assert not engine.takes_noise
    x, z = inputs(made, 2, 32, 64)
    expected = made.translator.network(x, np.full_like(z, -1))
    np.testing.assert_allclose(engine(x, None), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(32, 32), (64, 64)])
def test_fixed_square_gives_what_keras_gives(make_run, job, tmp_path, size):
    made, engine, _ = export(make_run, job, tmp_path, image_size=size)
    x, z = inputs(made, 2, *size)
    np.testing.assert_allclose(engine(x, z), made.translator.network(x, z), atol=1e-5, rtol=0)


def test_fixed_size(make_run, job, tmp_path):
    made, engine, model = export(make_run, job, tmp_path, image_size=(32, 96))
    z_shape = list(made.contract.noise_shape(32, 96))
    assert shapes(model) == {
        "x": ["batch", 32, 96, 3],
        "z": ["batch", *z_shape],
        "y": ["batch", 32, 96, 3],
    }
    assert engine.image_size == (32, 96)
    x, z = inputs(made, 2, 32, 96)
    np.testing.assert_allclose(engine(x, z), made.translator.network(x, z), atol=1e-5, rtol=0)
    with pytest.raises(Exception, match=r"(?i)dimensions"):
        engine(*inputs(made, 1, 32, 32))


# === What is in the file ===


def test_the_graph_is_plain(exported):
    """Convolutions and activations alone: nothing of shapes, no transposes but the outer ones."""
    made, folder, artifacts = exported
    model = onnx.load(folder / artifacts["none"].path)
    found = operators(model)
    assert set(found) <= {
        *("Conv", "InstanceNormalization", "LeakyRelu", "Relu", "Tanh", "Concat", "DepthToSpace"),
        *("Transpose", "Split", "Less", "Where", "Mul", "Slice"),
    }
    assert found["Transpose"] == 3  # x, z, y
    weights = sum(int(np.prod(w.shape)) for w in made.generator.weights)
    assert (folder / artifacts["none"].path).stat().st_size < 4 * weights + 60_000


# What becomes of a normalisation does not know of the channels of x and y.
@pytest.mark.parametrize(
    ("norm", "channels"),
    [("instance_plain", (3, 1)), ("instance_plain", (1, 3)), ("instance", (1, 1))],
)
def test_the_graph_of_a_resnet_is_plain(make_run, job, tmp_path, norm, channels):
    """One operator a layer, and features of one channel are turned like any others: tf2onnx would
    reshape them, by way of five axes, and at times left a file behind that is not valid."""
    sides = dict(zip(("input_channels", "target_channels"), channels, strict=True))
    config = {"generator": "resnet6", "dropout": 0.0, "norm": norm, "std": 0.2}
    made, engine, model = export(make_run, job, tmp_path, "deterministic", **config, **sides)
    found = operators(model)
    assert set(found) <= {
        *("Add", "Conv", "ConvTranspose", "DepthToSpace", "InstanceNormalization", "Pad", "Relu"),
        *("Tanh", "Transpose"),
    }
    assert (found["Transpose"], found["InstanceNormalization"]) == (2, 1 + 2 + 12 + 2)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 32, 64, channels[0])).astype(np.float32)
    expected = made.translator.network(x, None)
    np.testing.assert_allclose(engine(x, None), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("image_size", [None, (32, 64)])
def test_without_z_the_float_files_are_what_ncnn_knows(make_run, job, tmp_path, image_size):
    """Transposed convolutions as such: it has them, and no DepthToSpace."""
    run = make_run(tmp_path / "run")
    made = job(run, "deterministic", image_size, ("none", "float16", "int8"))
    artifacts = {a.quantize: tmp_path / a.path for a in FORMAT.write(made, tmp_path)}
    known = {"Conv", "ConvTranspose", "InstanceNormalization", "LeakyRelu", "Relu", "Tanh"}
    known |= {"Concat", "Transpose"}
    found = operators(onnx.load(artifacts["none"]))
    assert set(found) == known
    assert found["ConvTranspose"] == 5  # one a level
    assert set(operators(onnx.load(artifacts["float16"]))) == known | {"Cast"}
    # Only convolutions have an int8 form.
    assert "ConvTranspose" not in operators(onnx.load(artifacts["int8"]))
    x, _ = inputs(made, 2, 32, 64)
    expected = made.translator.network(x, made.translator.noise(x, [0, 0], deterministic=True))
    for quantize, allowed in (("none", 1e-5), ("float16", 1e-2)):
        found = FORMAT.open(artifacts[quantize])(x, None)
        np.testing.assert_allclose(found, expected, atol=allowed, rtol=0)


@pytest.mark.parametrize(
    ("crop", "size", "cut"),
    [(crop, None, 2) for crop in (32, 64, 256, 1024)]
    + [(32, (1, 1), 1), (32, (2, 2), 1), (32, (1, 2), 0), (32, (4, 4), 0)]
    + [(64, (1, 1), 1), (64, (2, 2), 1)],
)
def test_no_convolution_is_taken_for_a_matrix_product(crop, size, cut):
    """No kernel has the size of its input with pads behind alone: onnxruntime's WebGPU forgets
    those (1.30). `size` is the export's in multiples of the crop size, None for any; `cut` how
    often that has to be avoided."""
    from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
    from tfpix2pix.algorithms.registry import default_generator
    from tfpix2pix.export.onnx.graph import convert, set_sizes

    config = Pix2PixConfig(crop_size=crop, load_size=crop, ngf=1)
    contract = Contract(config, "", 1, "0", "paper", size and (crop * size[0], crop * size[1]))
    model = convert(default_generator(config).build(), contract)
    assert operators(model)["Slice"] == cut
    every = [size] if size else [(h, w) for h in (1, 2, 4) for w in (1, 2, 3)]
    for height, width in every:
        sizes = (crop * height, crop * width)
        set_sizes(model, dataclasses.replace(contract, image_size=sizes))
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        shape = {
            each.name: [d.dim_value for d in each.type.tensor_type.shape.dim[2:]]
            for each in inferred.graph.value_info
        }
        convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
        assert len(convolutions) == 5 * crop.bit_length() - 5  # one down, four up for each level
        for node in convolutions:
            values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            behind_alone = not any(values["pads"][:2]) and any(values["pads"][2:])
            assert 0 not in shape[node.input[0]]
            assert not (behind_alone and list(values["kernel_shape"]) == shape[node.input[0]])


def test_sizes_are_written_whatever_rank_was_inferred():
    from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
    from tfpix2pix.export.onnx.graph import set_sizes

    kind = onnx.TensorProto.FLOAT
    x, y = (
        onnx.helper.make_tensor_value_info(name, kind, [None] * rank)
        for name, rank in (("x", 5), ("y", 3))
    )
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y]))
    config = Pix2PixConfig(dropout=0.0, input_channels=1)
    set_sizes(model, Contract(config, "", 1, "0", "deterministic", (256, 512)))
    assert shapes(model) == {"x": ["batch", 256, 512, 1], "y": ["batch", 256, 512, 3]}


def test_names_sizes_and_checker(exported):
    made, folder, artifacts = exported
    for artifact in artifacts.values():
        model = onnx.load(folder / artifact.path)
        onnx.checker.check_model(model, full_check=True)
        channels = made.contract.noise_channels
        assert shapes(model) == {
            "x": ["batch", "height", "width", 3],
            "z": ["batch", "z_height", "z_width", channels],
            "y": ["batch", "height", "width", 3],
        }
        assert all(
            each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
            for each in [*model.graph.input, *model.graph.output]
        )


# === The opset ===


def opset_of(model) -> int:
    (only,) = model.opset_import
    assert only.domain == ""
    return only.version


def relabelled(model, opset: int):
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.opset_import[0].version = opset
    made.ir_version = max(4, onnx.helper.find_min_ir_version_for(list(made.opset_import)))
    return made


def run(model, x, z) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    values = {"x": x, "z": z}
    return session.run(["y"], {each.name: values[each.name] for each in session.get_inputs()})[0]


@pytest.fixture(scope="module")
def run_64(make_run, tmp_path_factory):
    """A run with more than one layer of dropout: z is split, by sizes that are an input."""
    return make_run(tmp_path_factory.mktemp("run_64") / "run", crop_size=64, load_size=64)


@pytest.mark.parametrize("inference", ["paper", "deterministic"])
def test_the_opset_is_the_oldest_that_is_true(run_64, job, tmp_path, inference):
    """Older ones are not valid; newer ones, up to the one it was made in, give equal values."""
    made = job(run_64, inference, quantize=QUANTIZED)
    artifacts = {each.quantize: each for each in FORMAT.write(made, tmp_path)}
    # Split has such sizes since 13, DequantizeLinear an axis; nothing else needs so much.
    assert artifacts["int8"].opset == 13
    for quantize in ("none", "float16"):
        assert artifacts[quantize].opset == (13 if inference == "paper" else OLDEST)
    x, z = inputs(made, 2, 64, 128)
    for artifact in artifacts.values():
        model = onnx.load(tmp_path / artifact.path)
        assert opset_of(model) == artifact.opset
        assert model.ir_version <= 7
        if artifact.opset > OLDEST:
            with pytest.raises(onnx.checker.ValidationError):
                onnx.checker.check_model(relabelled(model, artifact.opset - 1), full_check=True)
        expected = run(model, x, z)
        assert expected.std() > 0.1
        for opset in range(artifact.opset + 1, 18):
            newer = relabelled(model, opset)
            onnx.checker.check_model(newer, full_check=True)
            np.testing.assert_array_equal(run(newer, x, z), expected)


def test_another_opset_can_be_asked_for(exported, exported_run, job, tmp_path):
    _, folder, artifacts = exported
    made = job(exported_run, quantize=("none", "int8"), opset=15)
    x, z = inputs(made, 2, 32, 64)
    for artifact in FORMAT.write(made, tmp_path):
        assert artifact.opset == 15
        model = onnx.load(tmp_path / artifact.path)
        assert opset_of(model) == 15
        oldest = FORMAT.open(folder / artifacts[artifact.quantize].path)
        np.testing.assert_array_equal(FORMAT.open(tmp_path / artifact.path)(x, z), oldest(x, z))


def test_an_opset_that_is_too_old_names_the_file_and_what_it_needs(
    job, exported_run, run_64, tmp_path
):
    with pytest.raises(UserError) as caught:
        FORMAT.write(job(run_64, opset=12), tmp_path)
    assert str(caught.value) == (
        "--opset=12: onnx/generator_float32.onnx needs opset 13 or newer (older ones have no such "
        "Split); give --opset=13, or leave it out for the oldest that holds each file"
    )
    assert not list(tmp_path.iterdir())
    # Without Split the float32 file has it, the 8-bit one not.
    assert FORMAT.write(job(exported_run, opset=12), tmp_path)[0].opset == 12
    made = job(exported_run, quantize=("int8",), opset=12)
    with pytest.raises(UserError, match=r"generator_int8.onnx needs .* no such DequantizeLinear"):
        FORMAT.write(made, tmp_path)


def test_files_of_earlier_versions_are_opened(exported, tmp_path):
    """They were labelled 17."""
    made, folder, artifacts = exported
    model = relabelled(onnx.load(folder / artifacts["none"].path), 17)
    onnx.save(model, tmp_path / "earlier.onnx")
    x, z = inputs(made, 1, 32, 32)
    y = FORMAT.open(tmp_path / "earlier.onnx")(x, z)
    np.testing.assert_allclose(y, made.translator.network(x, z), atol=1e-5, rtol=0)


# === What else is in the file ===


def test_the_contract_is_in_the_metadata(exported):
    made, folder, artifacts = exported
    assert set(artifacts) == set(QUANTIZED)
    for artifact in artifacts.values():
        model = onnx.load(folder / artifact.path)
        metadata = {each.key: each.value for each in model.metadata_props}
        assert list(metadata) == ["tfpix2pix"]
        assert Contract.parse(metadata["tfpix2pix"], "here") == made.contract
        assert FORMAT.open(folder / artifact.path).contract == made.contract
        assert model.producer_name == "tfpix2pix"
        assert "G(x, z)" in model.doc_string


def test_writing_is_silent(job, exported_run, tmp_path, capfd):
    made = job(exported_run, quantize=("int8",))
    capfd.readouterr()
    FORMAT.write(made, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_unknown_quantisations_are_left_out(job, exported_run, tmp_path):
    assert FORMAT.write(job(exported_run, quantize=("dynamic",)), tmp_path) == []
    assert not list(tmp_path.iterdir())


# === Quantised ===


def test_float16_rounds_weights_alone(exported, engine):
    made, folder, artifacts = exported
    path = folder / artifacts["float16"].path
    full = (folder / artifacts["none"].path).stat().st_size
    assert path.stat().st_size < 0.65 * full
    x, z = inputs(made, 2, 64, 64)
    difference = np.abs(FORMAT.open(path)(x, z) - made.translator.network(x, z))
    assert 0 < difference.max() < 1e-2
    assert difference.mean() < 5e-4


def test_int8_convolutions_with_float_normalisation(exported, smooth_images):
    """On images like those of the calibration; the loss on a real run is in docs/web.md."""
    made, folder, artifacts = exported
    path = folder / artifacts["int8"].path
    model = onnx.load(path)
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    sources = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type == "Conv":
            x, kernel = (sources[name] for name in node.input[:2])
            assert x.op_type == kernel.op_type == "DequantizeLinear"
            assert kinds[kernel.input[0]] == onnx.TensorProto.INT8
            assert len([a for a in kernel.attribute if a.name == "axis"]) == 1  # per channel
        if node.op_type == "InstanceNormalization":
            assert set(node.input[1:]) <= {n for n, kind in kinds.items() if kind == 1}
    x = np.stack(list(smooth_images(4, 32, 3, seed=8)))
    z = made.translator.noise(x, range(4))
    difference = np.abs(FORMAT.open(path)(x, z) - made.translator.network(x, z))
    assert 0 < difference.mean() < 0.03


# === Refusals ===


def test_damage_is_refused_in_a_sentence(exported, tmp_path):
    _, folder, artifacts = exported
    whole = (folder / artifacts["none"].path).read_bytes()
    for name, content in {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "text": b"not a model",
    }.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{name}.onnx") as caught:
            FORMAT.open(path)
        assert "\n" not in str(caught.value)


def test_another_model_is_refused(exported, tmp_path):
    _, folder, artifacts = exported
    model = onnx.load(folder / artifacts["none"].path)
    del model.metadata_props[:]
    path = tmp_path / "foreign.onnx"
    onnx.save(model, path)
    with pytest.raises(UserError, match="does not carry the contract"):
        FORMAT.open(path)


@pytest.mark.parametrize("package", ["tf2onnx", "onnx", "onnxruntime"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name)
    )
    with pytest.raises(UserError, match=rf"{package}.*tfpix2pix\[onnx\]"):
        FORMAT.check()


def test_weights_that_no_file_can_hold(job, exported_run, tmp_path, monkeypatch):
    from tfpix2pix.export.onnx import format as module

    monkeypatch.setattr(module, "_LARGEST", 10_000)
    with pytest.raises(UserError, match="2 GiB"):
        FORMAT.write(job(exported_run), tmp_path)
