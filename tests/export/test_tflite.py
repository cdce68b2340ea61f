"""TFLite files give Keras's pictures, in every precision and size, with what phones have."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.evaluation.pixels import PSNR
from tfpix2pix.export.tflite.engine import TFLiteEngine, runtimes
from tfpix2pix.export.tflite.file import read_metadata, read_operators, with_metadata
from tfpix2pix.export.tflite.format import FORMAT
from tfpix2pix.models.weights import named_weights

if not runtimes():
    pytest.skip("no TFLite interpreter is installed", allow_module_level=True)

SIZE = 32
QUANTIZE = ("none", "float16", "dynamic", "int8")
# Largest and mean difference to Keras, of y in [-1, 1]: about three times what was seen.
BOUNDS = {
    "none": (2e-6, 2e-7),
    "float16": (3e-3, 3e-4),
    "dynamic": (0.08, 8e-3),
    "int8": (0.4, 0.04),
}


class Exported:
    """A job, its files, and its Keras network beside them."""

    def __init__(self, job, folder: Path) -> None:
        self.job, self.folder = job, folder
        self.artifacts = {a.quantize: a for a in FORMAT.write(job, folder)}

    def path(self, quantize: str = "none") -> Path:
        return self.folder / self.artifacts[quantize].path

    def open(self, quantize: str = "none", threads: int = 1, runtime=None) -> TFLiteEngine:
        return TFLiteEngine(self.path(quantize), threads, runtime)

    def inputs(self, height: int, width: int, count: int, seed: int = 0, off: bool = False):
        random = np.random.default_rng(seed)
        channels = self.job.contract.config.x_channels
        x = random.uniform(-1, 1, (count, height, width, channels)).astype(np.float32)
        return x, self.job.translator.noise(x, range(seed, seed + count), off)

    def keras(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        return self.job.translator.network(x, z)


@pytest.fixture(scope="module")
def run(make_run, tmp_path_factory):
    """A run whose weights are small enough to leave tanh where it is steep."""
    return make_run(tmp_path_factory.mktemp("runs") / "small", std=0.05)


@pytest.fixture(scope="module")
def free(run, job, tmp_path_factory):
    """Any size, the paper's inference, every precision."""
    made = job(run, quantize=QUANTIZE)
    return Exported(made, tmp_path_factory.mktemp("free"))


@pytest.fixture(scope="module")
def fixed(run, job, tmp_path_factory):
    """64 x 32 pixels (height x width), the paper's inference, every precision."""
    made = job(run, image_size=(2 * SIZE, SIZE), quantize=QUANTIZE)
    return Exported(made, tmp_path_factory.mktemp("fixed"))


@pytest.fixture(scope="module")
def plain(run, job, tmp_path_factory):
    """Without z."""
    made = job(run, inference="deterministic", quantize=("none", "int8"))
    return Exported(made, tmp_path_factory.mktemp("plain"))


def check(found: np.ndarray, expected: np.ndarray, quantize: str) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    difference = np.abs(found - expected)
    most, mean = BOUNDS[quantize]
    assert difference.max() <= most
    assert difference.mean() <= mean


# === The same results ===


@pytest.mark.parametrize("quantize", QUANTIZE)
@pytest.mark.parametrize(
    ("height", "width", "count"), [(SIZE, SIZE, 1), (SIZE, 3 * SIZE, 3), (2 * SIZE, SIZE, 2)]
)
def test_any_size_and_batch_gives_what_keras_gives(free, quantize, height, width, count):
    x, z = free.inputs(height, width, count)
    check(free.open(quantize)(x, z), free.keras(x, z), quantize)


@pytest.mark.parametrize("quantize", QUANTIZE)
def test_one_engine_follows_the_changing_shape(free, quantize):
    engine = free.open(quantize)
    for height, width, count in [(SIZE, SIZE, 3), (64, 32, 1), (SIZE, SIZE, 3), (SIZE, SIZE, 1)]:
        x, z = free.inputs(height, width, count, seed=height)
        check(engine(x, z), free.keras(x, z), quantize)


@pytest.mark.parametrize("quantize", QUANTIZE)
def test_a_fixed_size_gives_what_keras_gives_image_by_image(fixed, quantize):
    engine = fixed.open(quantize)
    assert engine.image_size == (2 * SIZE, SIZE)
    for count in (1, 3):
        x, z = fixed.inputs(2 * SIZE, SIZE, count)
        check(engine(x, z), fixed.keras(x, z), quantize)


@pytest.mark.parametrize("runtime", runtimes())
@pytest.mark.parametrize("quantize", QUANTIZE)
def test_interpreters_and_threads_agree(fixed, runtime, quantize):
    x, z = fixed.inputs(2 * SIZE, SIZE, 1)
    one, two = (fixed.open(quantize, threads, runtime)(x, z) for threads in (1, 2))
    check(one, fixed.keras(x, z), quantize)
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_an_images_result_does_not_depend_on_its_batch(free):
    x, z = free.inputs(SIZE, SIZE, 3)
    engine = free.open()
    alone = np.concatenate([engine(x[i : i + 1], z[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(engine(x, z), alone, atol=1e-6)


def test_batch_normalisation_by_moving_averages(make_run, job, tmp_path):
    made = job(make_run(tmp_path / "run", std=0.05, norm="batch"), quantize=("none", "int8"))
    batch = Exported(made, tmp_path)
    x, z = batch.inputs(SIZE, 2 * SIZE, 2)
    # Folded into the convolutions.
    assert not any("RSQRT" in operator.name for operator in read_operators(batch.path()))
    for quantize in ("none", "int8"):
        check(batch.open(quantize)(x, z), batch.keras(x, z), quantize)


def test_a_bias_in_every_layer_and_no_skips(make_run, job, tmp_path):
    """Of a U-Net with these biases what int8 alone does is tested below, by equalised weights."""
    changes = {"bias_layers": "pytorch", "generator": "encoder_decoder"}
    run = make_run(tmp_path / "run", std=0.05, **changes)
    quantizations = ("none", "int8")  # the other two are of the kernels alone
    biased = Exported(job(run, quantize=quantizations), tmp_path)
    x, z = biased.inputs(SIZE, 2 * SIZE, 2)
    for quantize in quantizations:
        check(biased.open(quantize)(x, z), biased.keras(x, z), quantize)
    operators = {each.name for each in read_operators(biased.path("int8"))}
    assert operators <= {each.name for each in read_operators(biased.path())} | {
        *("QUANTIZE", "DEQUANTIZE")
    }


def test_int8_without_normalisation(make_run, job, tmp_path):
    made = job(make_run(tmp_path / "run", std=0.05, norm="none"), quantize=("int8",))
    other = Exported(made, tmp_path)
    x, z = other.inputs(SIZE, SIZE, 2)
    check(other.open("int8")(x, z), other.keras(x, z), "int8")


# === z ===


@pytest.mark.parametrize("quantize", QUANTIZE)
def test_z_decides(free, quantize):
    engine = free.open(quantize)
    x, z = free.inputs(SIZE, SIZE, 1)
    _, other = free.inputs(SIZE, SIZE, 1, seed=7)
    assert np.abs(engine(x, z) - engine(x, other)).mean() > 0.01
    np.testing.assert_array_equal(engine(x, z), engine(x, z))


def test_without_dropout_both_variants_are_one_function(free, plain):
    x, off = free.inputs(SIZE, 2 * SIZE, 2, off=True)
    engine = plain.open()
    assert not engine.takes_noise
    assert free.open().takes_noise
    np.testing.assert_allclose(engine(x, None), free.open()(x, off), atol=1e-5)
    check(plain.open("int8")(x, None), free.keras(x, off), "int8")


# === int8 ===


@pytest.mark.parametrize("name", ["free", "fixed", "plain"])
def test_int8_convolves_in_int8(name, request):
    exported = request.getfixturevalue(name)
    convolutions = [o for o in read_operators(exported.path("int8")) if o.is_convolution]
    assert len(convolutions) == 10
    assert [each.is_int8 for each in convolutions] == [False] + [True] * 9
    assert "9 of 10" in exported.artifacts["int8"].notes[0]
    for quantize in {"none", "float16", "dynamic"} & set(exported.artifacts):
        operators = read_operators(exported.path(quantize))
        assert not any(operator.is_int8 for operator in operators)


def test_dynamic_range_at_any_size_warns_of_its_slowness(free, fixed):
    assert any("slower" in note for note in free.artifacts["dynamic"].notes)
    assert not any("slower" in note for note in fixed.artifacts["dynamic"].notes)


def test_multiplications_are_counted(fixed):
    first = next(o for o in read_operators(fixed.path()) if o.is_convolution)
    # 64 x 32 pixels at stride 2, 4 x 4 kernels, 3 to 4 channels.
    assert first.macs == 32 * 16 * 4 * 4 * 3 * 4


@pytest.mark.parametrize("bias_layers", ["paper", "pytorch"])
def test_equalised_weights_are_the_same_function_with_equal_ranges(
    make_run, job, tmp_path, bias_layers
):
    import tensorflow as tf

    from tfpix2pix.export.tflite.equalize import equalized

    made = job(make_run(tmp_path / "run", std=0.05, bias_layers=bias_layers))
    uneven(made.generator)
    inputs = list(made.training_inputs(4))
    pairs = [(x[None], made.translator.noise(x[None], [i])) for i, x in enumerate(inputs)]
    other = equalized(made.generator, made.contract.generator, pairs)
    for x, z in pairs:
        expected = made.generator([x, z]).numpy()
        np.testing.assert_allclose(other([x, z]).numpy(), expected, atol=2e-5)
    for name in ("down1", "down2", "up3"):
        probe = tf.keras.Model(other.inputs, other.get_layer(name).output)
        ranges = np.max([np.abs(probe([x, z])).max((0, 1, 2)) for x, z in pairs], axis=0)
        np.testing.assert_allclose(ranges, 1, atol=1e-4)


def uneven(generator) -> None:
    """Gives the channels before normalisation ranges that differ a thousandfold."""
    random = np.random.default_rng(3)
    for name, variable in named_weights(generator).items():
        layer = name.removesuffix("/kernel")
        if layer == name or layer in ("down1", "down5", "up1"):
            continue
        axis = 3 if layer.startswith("down") else 2
        shape = [1, 1, 1, 1]
        shape[axis] = variable.shape[axis]
        variable.assign(variable * 10 ** random.uniform(-1.5, 1.5, shape).astype(np.float32))


def test_int8_of_a_trained_net_is_near_float32_where_plain_int8_is_not(
    make_run, job, smooth_images, tmp_path
):
    """A net that learned to turn pictures to their negatives, then made hard to quantise."""
    import tensorflow as tf

    made = job(make_run(tmp_path / "run", std=0.1), image_size=(SIZE, SIZE), quantize=("int8",))
    generator = made.generator
    x = np.stack(list(smooth_images(24, SIZE, 3, seed=1)))
    y = -x[..., ::-1]
    optimizer = tf.keras.optimizers.Adam(5e-3, beta_1=0.5)
    z = tf.constant(made.translator.noise(x, range(len(x))))

    @tf.function
    def step(x, y, z):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(generator([x, z], training=True) - y))
        weights = generator.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    for i in range(150):
        chosen = [(5 * i + k) % 24 for k in range(4)]
        loss = step(x[chosen], y[chosen], tf.gather(z, chosen))
    assert loss < 0.25, "the net has not learned"
    uneven(generator)

    val = np.stack(list(smooth_images(12, SIZE, 3, seed=2)))
    noise = made.translator.noise(val, range(100, 112))
    keras = generator([val, noise]).numpy()
    int8 = Exported(made, tmp_path).open("int8")(val, noise)
    target = -val[..., ::-1]
    loss = psnr(target, keras) - psnr(target, int8)
    assert abs(loss) < 1.5
    assert psnr(keras, int8) > 30
    assert psnr(keras, plain_int8(made, tmp_path)(val, noise)) < psnr(keras, int8) - 6


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(PSNR().per_pair((one + 1) * 127.5, (other + 1) * 127.5).mean())


def plain_int8(made, folder: Path) -> TFLiteEngine:
    """What TensorFlow's converter makes of the net by itself."""
    import tensorflow as tf

    from tfpix2pix.export.core import Core
    from tfpix2pix.export.tflite.format import representative

    saved = Core(made.generator, made.contract, 1).save(folder / "plain_model")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    inputs = representative(made)
    converter.representative_dataset = lambda: iter(inputs)
    path = folder / "plain.tflite"
    path.write_bytes(with_metadata(converter.convert(), made.contract))
    return TFLiteEngine(path)


def test_int8_of_a_net_that_drives_tanh_far_keeps_the_greys(run, job, tmp_path):
    made = job(run, image_size=(SIZE, SIZE), quantize=("int8",))
    bias = named_weights(made.generator)["up1/bias"]
    kernel = named_weights(made.generator)["up1/kernel"]
    kernel.assign(kernel * 0.1)
    # Two channels of white and black paper; in the third one are the greys.
    bias.assign([40.0, -40.0, 0.0])
    int8 = Exported(made, tmp_path)
    x, z = int8.inputs(SIZE, SIZE, 4)
    keras, found = made.generator([x, z]).numpy(), int8.open("int8")(x, z)
    assert np.abs(keras[..., :2]).min() > 0.999
    np.testing.assert_allclose(found[..., :2], keras[..., :2], atol=2 / 255)
    # Steps of 80 / 255, as the whole range would give, are 0.08 off on average where tanh is steep.
    assert np.abs(found[..., 2] - keras[..., 2]).mean() < 0.02


def test_images_that_cannot_be_had_stop_int8_before_anything_is_written(run, job, tmp_path):
    import dataclasses

    def missing(count):
        raise UserError("the data set is gone")
        yield

    made = dataclasses.replace(job(run, quantize=QUANTIZE), training_inputs=missing)
    with pytest.raises(UserError, match="is gone"):
        FORMAT.write(made, tmp_path)
    assert not list(tmp_path.iterdir())


# === The file ===


@pytest.mark.parametrize("name", ["free", "fixed", "plain"])
def test_builtin_operators_only(name, request):
    exported = request.getfixturevalue(name)
    for quantize in exported.artifacts:
        operators = {operator.name for operator in read_operators(exported.path(quantize))}
        assert "TRANSPOSE_CONV" in operators
        assert not operators & {"CUSTOM", "DELEGATE"}
        assert not any(name.startswith("STABLEHLO") for name in operators)


@pytest.mark.parametrize("quantize", QUANTIZE)
def test_the_contract_comes_back(free, quantize):
    engine = free.open(quantize)
    assert engine.contract == free.job.contract
    assert json.loads(read_metadata(free.path(quantize))) == free.job.contract.to_dict()


@pytest.mark.parametrize("quantize", QUANTIZE)
def test_a_fixed_model_has_static_float_inputs(fixed, quantize):
    runner = fixed.open(quantize)._interpreter.get_signature_runner("serving_default")
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    assert {k: list(v["shape_signature"]) for k, v in inputs.items()} == {
        "x": [1, 2 * SIZE, SIZE, 3],
        "z": [1, *fixed.job.contract.noise_shape(2 * SIZE, SIZE)],
    }
    assert list(outputs["y"]["shape_signature"]) == [1, 2 * SIZE, SIZE, 3]
    assert all(v["dtype"] == np.float32 for v in [*inputs.values(), *outputs.values()])


@pytest.mark.parametrize("name", ["free", "fixed"])
@pytest.mark.parametrize("quantize", QUANTIZE)
def test_x_is_the_first_input_and_z_the_second(name, quantize, request):
    # By position is how Swift hands them over.
    engine = request.getfixturevalue(name).open(quantize)
    channels = engine.contract.config.x_channels, engine.contract.noise_channels
    order = engine._interpreter.get_input_details()
    assert tuple(details["shape_signature"][-1] for details in order) == channels


def test_sizes_of_the_files(fixed):
    sizes = {quantize: fixed.path(quantize).stat().st_size for quantize in QUANTIZE}
    weights = sum(4 * int(np.prod(w.shape)) for w in fixed.job.generator.weights)
    assert sizes["none"] > weights
    assert sizes["none"] - sizes["float16"] > 0.45 * weights
    for quantize in ("dynamic", "int8"):
        assert sizes["none"] - sizes[quantize] > 0.65 * weights


def test_only_what_was_asked_for_is_written(run, job, tmp_path):
    made = job(run, quantize=("float16",))
    assert [a.path for a in FORMAT.write(made, tmp_path)] == ["tflite/generator_float16.tflite"]
    assert [p.name for p in tmp_path.rglob("*")] == ["tflite", "generator_float16.tflite"]


# === Files that are none ===


@pytest.mark.parametrize("keep", [0, 5, 100, 4000, -3000])
def test_a_cut_file_is_refused(free, tmp_path, keep):
    content = free.path().read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(content[:keep])
    with pytest.raises(UserError, match=r"cut\.tflite"):
        TFLiteEngine(path)


def test_a_file_that_is_something_else_is_refused(tmp_path):
    path = tmp_path / "picture.tflite"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 100)
    with pytest.raises(UserError, match=r"picture\.tflite cannot be loaded"):
        FORMAT.open(path)
    with pytest.raises(UserError, match=r"none\.tflite"):
        FORMAT.open(tmp_path / "none.tflite")


def test_a_model_without_contract_is_refused(tmp_path):
    import tensorflow as tf

    function = tf.function(lambda x: {"y": x + 1}, [tf.TensorSpec([1, 2], name="x")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    path = tmp_path / "stranger.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(UserError, match=r"stranger\.tflite does not carry the contract"):
        TFLiteEngine(path)


def test_a_contract_of_other_inputs_is_refused(plain, free, tmp_path):
    path = tmp_path / "mixed.tflite"
    path.write_bytes(with_metadata(plain_model(tmp_path / "saved"), free.job.contract))
    with pytest.raises(
        UserError, match=r"mixed\.tflite: its inputs and output are not the x, z, y"
    ):
        TFLiteEngine(path)


def plain_model(folder: Path) -> bytes:
    """One that has the inputs, and another output."""
    import tensorflow as tf

    module = tf.Module()
    inputs = [tf.TensorSpec([1, 2], name=name) for name in ("x", "z")]
    module.run = tf.function(lambda x, z: {"picture": x + z}, inputs)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.run})
    return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()


def test_a_missing_interpreter_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tfpix2pix\[tflite\]"):
        FORMAT.check()
