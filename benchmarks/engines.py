"""Runs an export in every engine that is installed, and prints how far each is from Keras.

    python benchmarks/engines.py --workdir=runs/sample --output=engines   # exports, Keras's results
    python benchmarks/engines.py --output=engines                         # in each environment

The engines' packages exclude each other, so each may have an environment of its own: the first
command needs this package with the extra ``export``, the second only NumPy and whatever is to be
measured. Results gather in ``engines.json`` of the output folder, and the whole table is printed
each time.

Four exports: with z and without (``deterministic``), of any size and of the run's crop size. Those
of any size are run at twice the height. What each engine is given, and by which call, is in
docs/engines.md.

Core ML runs on Apple's systems alone. Elsewhere the program that its converter makes is computed
here with TensorFlow, operator by operator, as coremltools documents them: that shows that the
conversion is right, not what Apple's kernels do with it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CASES = ("paper_any", "paper_fixed", "deterministic_any", "deterministic_fixed")
RESULTS = "engines.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, help="the folder of exports and results")
    parser.add_argument("--workdir", default="", help="a run to export first")
    parser.add_argument("--engines", default="", help="only those whose name begins so: mnn,ncnn")
    parser.add_argument(
        "--node_modules",
        default=os.environ.get("TFPIX2PIX_NODE_MODULES", ""),
        help="where npm put @tensorflow/tfjs-core, tfjs-converter and tfjs-backend-cpu",
    )
    args = parser.parse_args()
    output = Path(args.output).resolve()
    if args.workdir:
        make(args.workdir, output)
    elif not (output / "inputs.npz").is_file():
        raise SystemExit(f"engines: --output={output} holds no exports; give --workdir=RUN first")
    Engine.node_modules = args.node_modules
    wanted = tuple(filter(None, args.engines.split(",")))
    for engine in ENGINES:
        if engine.installed() and engine.name.lower().startswith(wanted or ("",)):
            measure(engine, output)
    print(table(json.loads((output / RESULTS).read_text(encoding="utf-8"))))


def make(workdir: str, output: Path) -> None:
    """The four exports, and Keras's y of the same inputs."""
    import tfpix2pix
    from tfpix2pix.export import Request, export_run
    from tfpix2pix.export.exporter import check_pictures
    from tfpix2pix.export.pictures import tiled

    keras = tfpix2pix.load(workdir)
    (picture, *_), _ = check_pictures(keras.config, workdir, "", "", 1)
    height, width = keras.config.whole_size
    arrays = {}
    for case in CASES:
        inference, size = case.split("_")
        fixed = (height, width) if size == "fixed" else None
        request = Request(
            ("onnx", "tflite", "network"),
            inference=inference,
            image_size=fixed,
            direction=keras.direction,
        )
        export_run(workdir, output / case, request, check_count=1)
        x = tiled(picture.x, height if fixed else 2 * height, width)[None].astype(np.float32)
        z = keras.noise(x, [1], inference == "deterministic") if keras.takes_noise else None
        latent = keras.latent([1]) if keras.latent_size else None
        arrays |= {f"{case}_x": x, f"{case}_y": keras.network(x, z, latent)}
        if inference == "paper" and z is not None:
            arrays[f"{case}_z"] = z
        if latent is not None:
            arrays[f"{case}_latent"] = latent
    np.savez(output / "inputs.npz", **arrays)
    (output / RESULTS).write_text("{}", encoding="utf-8")


def measure(engine: Engine, output: Path) -> None:
    """Adds an engine's differences, or why it failed, to the results."""
    rows = json.loads((output / RESULTS).read_text(encoding="utf-8"))
    found: dict[str, Any] = {"version": engine.version(), "given": engine.given}
    with np.load(output / "inputs.npz") as arrays:
        for case in CASES:
            names = [name for name in ("x", "z", "latent") if f"{case}_{name}" in arrays]
            inputs = {name: arrays[f"{case}_{name}"] for name in names}
            try:
                with tempfile.TemporaryDirectory() as scratch:
                    y = engine.run(output / case, inputs, Path(scratch))
                found[case] = float(np.abs(y - arrays[f"{case}_y"]).max())
            # Whatever a foreign engine raises is a result too.
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                found[case] = reason[:300]
                print(f"{engine.name}, {case}: {reason[:300]}", file=sys.stderr)
    rows[engine.name] = found
    (output / RESULTS).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    heads = ["engine", "version", "given", *(case.replace("_", ", ") for case in CASES)]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * 3 + "| ---: " * len(CASES) + "|"]
    for name, row in sorted(rows.items()):
        cells = [
            f"{row[case]:.1e}" if isinstance(row[case], float) else "refused" for case in CASES
        ]
        lines.append("| " + " | ".join([name, row["version"], row["given"], *cells]) + " |")
    return "\n".join(lines)


# === Engines ===


class Engine:
    """An engine.

    Args:
      name: for the table.
      module, package: that it is imported as, and installed as.
      given: which file of the export.
      run: of the folder of an export, the inputs by name, and an empty folder; gives y.
      needs: a further module or npm's folder without which it cannot be measured.
    """

    node_modules = ""

    def __init__(
        self,
        name: str,
        module: str,
        package: str,
        given: str,
        run: Callable[[Path, dict[str, np.ndarray], Path], np.ndarray],
        needs: str = "",
    ) -> None:
        self.name, self.given, self.run = name, given, run
        self._module, self._package, self._needs = module, package, needs

    def installed(self) -> bool:
        if self._needs == "node":
            modules = Path(Engine.node_modules, "@tensorflow", "tfjs-backend-cpu")
            missing = not shutil.which("node") or not modules.is_dir()
        else:
            missing = bool(self._needs) and importlib.util.find_spec(self._needs) is None
        return not missing and importlib.util.find_spec(self._module) is not None

    def version(self) -> str:
        return importlib.metadata.version(self._package)


ONNX = "onnx/generator_float32.onnx"
TFLITE = "tflite/generator_float32.tflite"


def tool(name: str) -> str:
    """A command that a package brought, of this environment."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


def command(*words: str | Path, folder: Path) -> None:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise RuntimeError(" ".join(done.stdout.split())[-300:])


def run_onnxruntime(export: Path, inputs: dict, scratch: Path) -> np.ndarray:
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(export / ONNX, providers=providers).run(["y"], inputs)[0]


def run_litert(export: Path, inputs: dict, scratch: Path) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(export / TFLITE))
    details = interpreter.get_signature_runner("serving_default").get_input_details()
    for name, value in inputs.items():
        interpreter.resize_tensor_input(details[name]["index"], value.shape)
    interpreter.allocate_tensors()
    return interpreter.get_signature_runner("serving_default")(**inputs)["y"]


def run_opencv(export: Path, inputs: dict, scratch: Path) -> np.ndarray:
    import cv2

    network = cv2.dnn.readNetFromONNX(str(export / ONNX))
    for name, value in inputs.items():
        network.setInput(value, name)
    return network.forward("y")


def run_openvino(given: str) -> Callable:
    def run(export: Path, inputs: dict, scratch: Path) -> np.ndarray:
        import openvino

        model = openvino.convert_model(export / given)
        # On processors that have 16-bit arithmetic it would take that.
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        return openvino.compile_model(model, "CPU", options)(inputs)["y"]

    return run


def run_mnn(export: Path, inputs: dict, scratch: Path) -> np.ndarray:
    import MNN

    words = ("-f", "ONNX", "--modelFile", export / ONNX, "--MNNModel", "generator.mnn")
    command(tool("mnnconvert"), *words, "--bizCode", "tfpix2pix", folder=scratch)
    runtime = MNN.nn.create_runtime_manager(({"backend": "CPU", "precision": "high"},))
    # WINOGRAD_MEMORY_LEVEL: at its largest, 3, 2x2 convolutions are computed to 3e-4 only.
    runtime.set_hint(3, 0)
    network = MNN.nn.load_module_from_file(
        str(scratch / "generator.mnn"), list(inputs), ["y"], runtime_manager=runtime
    )
    given = [
        MNN.expr.const(np.ascontiguousarray(value), list(value.shape), MNN.expr.NCHW)
        for value in inputs.values()
    ]
    return np.array(network.forward(given)[0].read())


def run_ncnn(export: Path, inputs: dict, scratch: Path) -> np.ndarray:
    import ncnn
    import pnnx

    shutil.copy(export / ONNX, scratch / "generator.onnx")
    shapes = ",".join(f"[{','.join(map(str, value.shape))}]f32" for value in inputs.values())
    words = ("generator.onnx", f"inputshape={shapes}", "fp16=0")
    command(Path(pnnx.EXEC_PATH), *words, folder=scratch)
    text = (scratch / "generator.ncnn.param").read_text()
    with ncnn.Net() as network:
        network.opt.use_fp16_packed = network.opt.use_fp16_storage = False
        network.opt.use_fp16_arithmetic = False
        unknown = network.load_param(str(scratch / "generator.ncnn.param"))
        if unknown or network.load_model(str(scratch / "generator.ncnn.bin")):
            layers = sorted({line.split()[0] for line in text.splitlines()[2:]})
            raise RuntimeError(f"ncnn does not load it; its layers: {', '.join(layers)}")
        with network.create_extractor() as extractor:
            for i, value in enumerate(inputs.values()):
                extractor.input(f"in{i}", ncnn.Mat(value[0]).clone())
            _, y = extractor.extract("out0")
    return np.array(y)[None]


def run_tfjs(export: Path, inputs: dict, scratch: Path) -> np.ndarray:
    words = ("--input_format=tf_saved_model", export / "network", scratch / "web")
    command(tool("tensorflowjs_converter"), *words, folder=scratch)
    for name, value in inputs.items():
        value.tofile(scratch / f"{name}.bin")
    shapes = {name: value.shape for name, value in inputs.items()}
    (scratch / "shapes.json").write_text(json.dumps(shapes))
    # Node looks for modules beside the script.
    shutil.copy(Path(__file__).with_name("engines_tfjs.mjs"), scratch / "run.mjs")
    (scratch / "node_modules").symlink_to(Engine.node_modules, target_is_directory=True)
    command("node", scratch / "run.mjs", folder=scratch)
    return np.fromfile(scratch / "y.bin", np.float32).reshape(*inputs["x"].shape[:3], -1)


# === Core ML ===


def run_coreml(export: Path, inputs: dict, scratch: Path) -> np.ndarray:
    import coremltools as ct

    model = ct.convert(
        str(export / "network"),
        inputs=[ct.TensorType(name=name, shape=value.shape) for name, value in inputs.items()],
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS15,
    )
    if sys.platform == "darwin":
        (y,) = model.predict(inputs).values()
        return y
    return run_program(model._mil_program, inputs)


def run_program(program: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Computes a MIL program, of the operators that our networks become."""
    import tensorflow as tf

    main = program.functions["main"]
    known: dict[Any, Any] = {main.inputs[name]: tf.constant(v) for name, v in inputs.items()}

    def value(variable: Any) -> Any:
        if isinstance(variable, (list, tuple)):
            return [value(each) for each in variable]
        # Constants carry their value.
        return known.get(variable, variable.val)

    for operator in main.operations:
        if operator.op_type == "const":
            continue
        given = {name: value(each) for name, each in operator.inputs.items() if each is not None}
        result = MIL[operator.op_type](tf, **given)
        (variable,) = operator.outputs
        if tuple(result.shape) != tuple(variable.shape):
            raise RuntimeError(f"{operator.name} is {result.shape}, declared as {variable.shape}")
        known[variable] = result
    return known[main.outputs[0]].numpy()


def _channels_last(tf: Any, x: Any) -> Any:
    return tf.transpose(x, [0, 2, 3, 1])


def _channels_first(tf: Any, x: Any) -> Any:
    return tf.transpose(x, [0, 3, 1, 2])


def _plain(groups: int, dilations: Any, pad_type: str) -> None:
    if groups != 1 or set(dilations) != {1} or pad_type != "same":
        raise RuntimeError("a convolution that our networks do not have")


def _conv(tf, x, weight, strides, pad_type, dilations, groups, bias=None, **_):
    """weight ``[C_out, C_in, k, k]``."""
    _plain(groups, dilations, pad_type)
    kernel = np.transpose(weight, [2, 3, 1, 0])
    y = tf.nn.conv2d(_channels_last(tf, x), kernel, list(strides), "SAME")
    return _channels_first(tf, y if bias is None else y + bias)


def _conv_transpose(
    tf, x, weight, strides, pad_type, dilations, groups, output_shape, bias=None, **_
):
    """weight ``[C_in, C_out, k, k]``."""
    _plain(groups, dilations, pad_type)
    batch, channels, height, width = output_shape
    kernel = np.transpose(weight, [2, 3, 1, 0])
    shape = [batch, height, width, channels]
    y = tf.nn.conv2d_transpose(_channels_last(tf, x), kernel, shape, list(strides), "SAME")
    return _channels_first(tf, y if bias is None else y + bias)


def _instance_norm(tf, x, gamma, beta, epsilon):
    mean, variance = tf.nn.moments(x, [2, 3], keepdims=True)
    scaled = (x - mean) / tf.sqrt(variance + epsilon)
    return scaled * gamma[:, None, None] + beta[:, None, None]


def _slice_by_index(tf, x, begin, end, begin_mask, end_mask, stride=None, **_):
    places = []
    for i, (first, last) in enumerate(zip(begin, end, strict=True)):
        step = 1 if stride is None else stride[i]
        places.append(slice(None if begin_mask[i] else first, None if end_mask[i] else last, step))
    return x[tuple(places)]


def _depth_to_space(tf, x, block_size):
    return _channels_first(tf, tf.nn.depth_to_space(_channels_last(tf, x), int(block_size)))


MIL: dict[str, Callable] = {
    "add": lambda tf, x, y: x + y,
    "cast": lambda tf, x, dtype: tf.cast(x, {"fp32": tf.float32}[dtype]),
    "concat": lambda tf, values, axis, **_: tf.concat(values, axis),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "depth_to_space": _depth_to_space,
    "greater_equal": lambda tf, x, y: x >= y,
    "instance_norm": _instance_norm,
    "leaky_relu": lambda tf, x, alpha: tf.nn.leaky_relu(x, alpha),
    "less": lambda tf, x, y: x < y,
    "mul": lambda tf, x, y: x * y,
    "relu": lambda tf, x: tf.nn.relu(x),
    "slice_by_index": _slice_by_index,
    "tanh": lambda tf, x: tf.tanh(x),
    "transpose": lambda tf, x, perm: tf.transpose(x, perm),
}

ENGINES = (
    Engine("onnxruntime", "onnxruntime", "onnxruntime", "`onnx`", run_onnxruntime),
    Engine("LiteRT", "ai_edge_litert", "ai-edge-litert", "`tflite`", run_litert),
    Engine("OpenCV", "cv2", "opencv-python-headless", "`onnx`", run_opencv),
    Engine("OpenVINO (network)", "openvino", "openvino", "`network`", run_openvino("network")),
    Engine("OpenVINO (ONNX)", "openvino", "openvino", "`onnx`", run_openvino(ONNX)),
    Engine("MNN", "MNN", "MNN", "`onnx`", run_mnn),
    Engine("ncnn", "ncnn", "ncnn", "`onnx`", run_ncnn, needs="pnnx"),
    Engine(
        "Core ML" if sys.platform == "darwin" else "Core ML (the program)",
        *("coremltools", "coremltools", "`network`", run_coreml),
    ),
    Engine("TensorFlow.js", "tensorflowjs", "tensorflowjs", "`network`", run_tfjs, needs="node"),
)


if __name__ == "__main__":
    main()
