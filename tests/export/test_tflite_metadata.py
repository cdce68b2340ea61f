"""The standard metadata of TFLite files, read by hand from the bytes and by Google's own reader."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.tflite.metadata import standard_metadata

# metadata_schema.fbs 1.5.0: the fields of its tables by place; a union is two, its kind first.
NORMALIZATION = {0: ("mean", "floats"), 1: ("std", "floats")}
IMAGE_SIZE = {0: ("width", "uint"), 1: ("height", "uint")}
IMAGE = {0: ("color_space", "byte"), 1: ("default_size", IMAGE_SIZE)}
CONTENT = {0: ("kind", "byte"), 1: ("properties", {1: {}, 2: IMAGE}), 2: ("range", {})}
PROCESS_UNIT = {0: ("kind", "byte"), 1: ("options", {1: NORMALIZATION})}
STATS = {0: ("max", "floats"), 1: ("min", "floats")}
TENSOR = {
    0: ("name", "string"),
    1: ("description", "string"),
    3: ("content", CONTENT),
    4: ("process_units", [PROCESS_UNIT]),
    5: ("stats", STATS),
}
SUBGRAPH = {0: ("name", "string"), 2: ("inputs", [TENSOR]), 3: ("outputs", [TENSOR])}
MODEL = {
    0: ("name", "string"),
    1: ("description", "string"),
    2: ("version", "string"),
    3: ("subgraphs", [SUBGRAPH]),
    7: ("min_parser_version", "string"),
}


def number(data: bytes, place: int, kind: str) -> int:
    assert place % struct.calcsize(kind) == 0, "numbers are aligned"
    return struct.unpack_from(f"<{kind}", data, place)[0]


def read_table(data: bytes, place: int, fields: dict) -> dict:
    """A FlatBuffers table as a dictionary; what the schema has and we do not know is an error."""
    shape = place - number(data, place, "i")
    found, known = {}, {}
    for slot in range((number(data, shape, "H") - 4) // 2):
        offset = number(data, shape + 4 + 2 * slot, "H")
        if not offset:
            continue
        name, kind = fields[slot]
        at = place + offset
        if kind in ("byte", "uint"):
            known[name] = number(data, at, "B" if kind == "byte" else "I")
            found[name] = known[name]
            continue
        at += number(data, at, "I")
        if kind == "string":
            length = number(data, at, "I")
            assert data[at + 4 + length] == 0
            found[name] = data[at + 4 : at + 4 + length].decode()
        elif kind == "floats":
            count = number(data, at, "I")
            found[name] = [number(data, at + 4 + 4 * i, "f") for i in range(count)]
        elif isinstance(kind, list):
            places = [at + 4 + 4 * i for i in range(number(data, at, "I"))]
            found[name] = [read_table(data, p + number(data, p, "I"), kind[0]) for p in places]
        elif name in ("properties", "options"):
            found[name] = read_table(data, at, kind[known["kind"]])
        else:
            found[name] = read_table(data, at, kind)
    return found


def read(data: bytes) -> dict:
    assert data[4:8] == b"M001"
    return read_table(data, number(data, 0, "I"), MODEL)


def contract(inference="deterministic", image_size=None, palette="", **config) -> Contract:
    config = Pix2PixConfig(**{"crop_size": 64, "ngf": 8, "load_size": 64, **config})
    return Contract(config, palette, 5, "0" * 64, inference, image_size)


def tensors(made: Contract, *inputs: str) -> dict[str, dict]:
    (graph,) = read(standard_metadata(made, inputs or ("x",)))["subgraphs"]
    return {each["name"]: each for each in [*graph["inputs"], *graph["outputs"]]}


def test_the_whole_of_it():
    found = read(standard_metadata(contract("paper", (64, 128)), ["z", "x"]))
    assert found["version"] == "step 5"
    assert found["min_parser_version"] == "1.0.0"
    assert "y = G(x, z), 128x64 pixels" in found["description"]
    (graph,) = found["subgraphs"]
    assert [each["name"] for each in graph["inputs"]] == ["z", "x"]  # the order of the graph's
    assert [each["name"] for each in graph["outputs"]] == ["y"]
    z, x = graph["inputs"]
    (y,) = graph["outputs"]
    image = {"color_space": 1, "default_size": {"width": 128, "height": 64}}
    assert x["content"] == y["content"] == {"kind": 2, "properties": image}
    assert z["content"] == {"kind": 1, "properties": {}}
    (unit,) = x["process_units"]
    assert unit == {"kind": 1, "options": {"mean": [127.5], "std": [127.5]}}
    # (y - mean) / std is 0 to 255.
    (unit,) = y["process_units"]
    assert unit["options"]["mean"] == [-1.0]
    assert unit["options"]["std"] == [pytest.approx(1 / 127.5, rel=1e-7)]
    assert "process_units" not in z
    assert x["stats"] == y["stats"] == {"max": [1.0], "min": [-1.0]}
    assert z["stats"] == {"max": [1.0], "min": [0.0]}
    assert z["description"].startswith("the noise: uniform random numbers in [0, 1)")
    assert "red, green, blue" in x["description"]
    assert "y * 127.5 + 127.5" in y["description"]


def test_any_size_has_the_trainings_as_its_default():
    x = tensors(contract())["x"]
    assert x["content"]["properties"]["default_size"] == {"width": 64, "height": 64}


def test_grey_is_told():
    found = tensors(contract(input_channels=1, target_channels=1))
    assert {each["content"]["properties"]["color_space"] for each in found.values()} == {2}


# As the data resolve them.
LAB = {
    "color_space": "lab",
    "input_channels": 1,
    "target_channels": 2,
    "input_dtype": "float32",
    "target_dtype": "float32",
    "input_range": "0:100",
    "target_range": "-110:110",
}


def test_what_no_bitmap_holds_is_no_image():
    deep = tensors(contract(input_dtype="uint16", target_dtype="float32", target_range="10:50"))
    x, y = deep["x"], deep["y"]
    assert x["content"] == y["content"] == {"kind": 1, "properties": {}}
    assert x["process_units"][0]["options"] == {"mean": [32767.5], "std": [32767.5]}
    options = y["process_units"][0]["options"]
    for value, network in ((10, -1), (30, 0), (50, 1)):
        back = (network - options["mean"][0]) / options["std"][0]
        assert back == pytest.approx(value, abs=1e-5)
    lab = tensors(contract(**LAB))
    assert not any("process_units" in each for each in lab.values())
    assert lab["x"]["description"].startswith("the image to translate: L, ")
    assert "translated image: a, b, " in lab["y"]["description"]


PALETTE = json.dumps(
    {
        "name": "two",
        "classes": [
            {"name": "sky", "color": [0, 0, 255], "index": 0, "void": False},
            {"name": "tree", "color": [0, 255, 0], "index": 1, "void": False},
        ],
    }
)


def test_labels():
    colors = {"palette": PALETTE, "label_palette": "palette.json", "label_side": "input"}
    x = tensors(contract(**colors))["x"]
    assert x["content"]["properties"]["color_space"] == 1
    assert x["process_units"][0]["options"] == {"mean": [127.5], "std": [127.5]}
    x = tensors(contract(**colors, input_encoding="onehot", input_channels=2))["x"]
    assert x["content"] == {"kind": 1, "properties": {}}
    assert "process_units" not in x
    assert x["description"] == "the image to translate: sky, tree, float32 from 0 to 1"
    assert x["stats"] == {"max": [1.0], "min": [0.0]}


# === In files ===


@pytest.fixture(scope="module")
def files(exported_run, job, tmp_path_factory) -> dict[str, Path]:
    pytest.importorskip("tensorflow")
    from tfpix2pix.export.tflite.engine import runtimes
    from tfpix2pix.export.tflite.format import FORMAT

    if not runtimes():
        pytest.skip("no TFLite interpreter is installed")
    folder = tmp_path_factory.mktemp("tflite")
    quantize = ("none", "float16", "dynamic", "int8")
    made = job(exported_run, image_size=(32, 32), quantize=quantize)
    return {each.quantize: folder / each.path for each in FORMAT.write(made, folder)}


def test_every_file_carries_it_beside_the_contract(files):
    from tfpix2pix.export.tflite.engine import TFLiteEngine
    from tfpix2pix.export.tflite.file import read_metadata

    for path in files.values():
        (graph,) = read(read_metadata(path, "TFLITE_METADATA"))["subgraphs"]
        engine = TFLiteEngine(path)
        order = [each["name"] for each in engine._interpreter.get_input_details()]
        assert [f"serving_default_{each['name']}:0" for each in graph["inputs"]] == order
        assert engine.contract == Contract.parse(read_metadata(path), str(path))


def test_googles_reader_reads_it(files):
    metadata = pytest.importorskip("tensorflow_lite_support.metadata.python.metadata")
    for path in files.values():
        shown = metadata.MetadataDisplayer.with_model_file(str(path)).get_metadata_json()
        (graph,) = json.loads(shown)["subgraph_metadata"]
        x = next(each for each in graph["input_tensor_metadata"] if each["name"] == "x")
        assert x["content"]["content_properties_type"] == "ImageProperties"
        (unit,) = x["process_units"]
        assert unit["options"] == {"mean": [127.5], "std": [127.5]}
        (y,) = graph["output_tensor_metadata"]
        assert (y["name"], y["stats"]) == ("y", {"max": [1.0], "min": [-1.0]})
