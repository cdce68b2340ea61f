"""The files of the page: for a server, and as a folder without one."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.serving import Content
from tfpix2pix.data.spec import ImageSpec, LabSpec, PairSpec
from tfpix2pix.demo import page, runtime
from tfpix2pix.demo.models import check_memory, check_spec
from tfpix2pix.demo.page import page_files, read_list, unpacked, write_page
from tfpix2pix.demo.runtime import runtime_files

RUNTIME = {f"onnxruntime/{name}" for name in runtime.pin()["files"]} | {"onnxruntime/LICENSE.txt"}
OWN = {"index.html", "isolate.js", "worker.js", "models.json"}


def model_files(name: str) -> set[str]:
    names = ("generator.onnx", "x.f32", "y.f32", "example_1.png")
    return {f"models/{name}/{each}" for each in names}


def read(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def test_what_a_server_hands_out(runtime_folder, page_model):
    one, two = page_model("a"), page_model("b", contract={"config": {"seed": 2**60}})
    found = page_files([one, two])
    assert set(found) == RUNTIME | OWN | model_files("a") | model_files("b")
    listed = json.loads(read(found["models.json"]))
    assert listed["version"] == 1
    entry, other = listed["models"]
    assert entry["bytes"] == len(read(found[entry["file"]])) == 1000
    # JavaScript's numbers would round it.
    assert (entry["seed"], other["seed"]) == (3, str(2**60))
    for name in ("x", "y"):
        told = entry["proof"][name]
        values = np.frombuffer(read(found[told["file"]]), "<f4").reshape(told["shape"])
        np.testing.assert_array_equal(values, one.sample[name])
    with Image.open(io.BytesIO(read(found[entry["examples"][0]]))) as picture:
        assert np.asarray(picture).tolist() == one.examples[0].tolist()
    html = read(found["index.html"]).decode()
    assert 'id="models"' not in html
    assert not re.search(r"(?:src|href)=.https?:", html)
    assert b"import " not in re.sub(rb"(?m)^\s*(//|\*|/\*).*$", b"", read(found["worker.js"]))
    assert b"Microsoft" in read(found["onnxruntime/LICENSE.txt"])


def test_a_folder_without_a_server(runtime_folder, page_model, tmp_path, monkeypatch):
    """Everything that scripts read is a script, and gives back the bytes of the file."""
    monkeypatch.setattr(page, "PART", 300)
    folder, model = tmp_path / "web", page_model("a")
    write_page([model], folder)
    served = page_files([model])
    listed = read_list(folder)
    for name in (RUNTIME | {"worker.js"} | model_files("a")) - {"onnxruntime/LICENSE.txt"}:
        told, data = listed["packed"][name], b""
        for part in range(told["parts"]):
            script = (folder / f"{name}.{part}.js").read_text("ascii")
            called = re.fullmatch(r'tfpix2pixPart\((".*"), (\d+), "(.*)"\);\n', script)
            assert (json.loads(called[1]), int(called[2])) == (name, part)
            data += base64.b64decode(called[3])
        data = gzip.decompress(data) if told["gzip"] else data
        assert data == read(served[name])
        assert told["bytes"] == len(data)
    assert listed["packed"]["models/a/generator.onnx"]["parts"] == 4
    assert unpacked(folder / "models" / "a", "generator.onnx") == model.file
    html = (folder / "index.html").read_text()
    within = json.loads(re.search(r'id="models">(.*?)</script>', html, re.DOTALL)[1])
    assert within == listed
    as_it_is = {"index.html", "isolate.js", "models.json", "onnxruntime/LICENSE.txt"}
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {f for f in files if not re.search(r"\.\d+\.js$", f)} == as_it_is


def test_networks_that_are_there_already_stay(runtime_folder, page_model, tmp_path):
    write_page([page_model("a"), page_model("b")], tmp_path)
    before = read_list(tmp_path)
    write_page([page_model("b", title="new")], tmp_path, before)
    listed = read_list(tmp_path)
    assert [(m["name"], m["title"]) for m in listed["models"]] == [("b", "new"), ("a", "A")]
    assert set(listed["packed"]) == set(before["packed"])
    (tmp_path / "models.json").write_text('{"models": [{"name": "a"}], "packed": {}}')
    assert read_list(tmp_path) is None  # not what was written
    assert read_list(tmp_path / "nowhere") is None


def test_a_damaged_part_is_told(runtime_folder, page_model, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PART", 300)
    write_page([page_model("a")], tmp_path)
    folder = tmp_path / "models" / "a"
    (folder / "generator.onnx.2.js").write_text("alert(1);\n")
    with pytest.raises(ValueError, match="part 2 is not"):
        unpacked(folder, "generator.onnx")
    (folder / "generator.onnx.1.js").unlink()
    with pytest.raises(ValueError, match="part 1 is missing"):
        unpacked(folder, "generator.onnx")


# === onnxruntime-web ===


def test_where_onnxruntime_web_is_looked_for(runtime_folder, monkeypatch):
    found = runtime_files()
    assert set(found) == RUNTIME
    monkeypatch.setenv(runtime.VARIABLE, str(runtime_folder))  # or its dist
    assert runtime_files() == found
    name = next(iter(runtime.pin()["files"]))
    (runtime_folder / name).write_bytes(b"other")
    with pytest.raises(UserError, match=rf"{re.escape(name)} is not the file of onnxruntime-web@"):
        runtime_files()
    (runtime_folder / name).unlink()
    with pytest.raises(UserError, match=rf"{runtime.VARIABLE}=.* holds no .*npm install"):
        runtime_files()


def test_an_installation_without_it(monkeypatch, tmp_path):
    monkeypatch.delenv(runtime.VARIABLE, raising=False)
    monkeypatch.setattr(runtime, "_WEB", tmp_path)
    (tmp_path / "onnxruntime.json").write_text(
        json.dumps({"package": "p", "version": "1", "files": {"f": ""}})
    )
    with pytest.raises(UserError, match=rf"p@1, .* not in this installation.*{runtime.VARIABLE}"):
        runtime_files()


def test_the_pin_is_that_of_the_tests():
    lock = Path(__file__).parents[2] / "export" / "web" / "package-lock.json"
    told = json.loads(lock.read_text())["packages"]["node_modules/onnxruntime-web"]
    pinned = runtime.pin()
    assert (pinned["version"], pinned["integrity"]) == (told["version"], told["integrity"])
    assert pinned["version"] in (runtime._WEB / "onnxruntime-LICENSE.txt").read_text()


# === What no page can have ===

RGB = ImageSpec(3)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (PairSpec(RGB, RGB), ""),
        (PairSpec(ImageSpec(1), ImageSpec(4, alpha=True)), ""),
        (PairSpec(ImageSpec(3, "uint16", 0, 65535), RGB), ""),
        (LabSpec(), ""),
        (PairSpec(ImageSpec(9), RGB), "takes 9 channels, 8 bit"),
        (PairSpec(RGB, ImageSpec(1, "float32", 0, 1)), "makes grey, 32-bit float"),
        (PairSpec(ImageSpec(1, "uint16", 0, 4095), RGB), "takes grey, 16 bit"),
        (PairSpec(ImageSpec(4), RGB), "takes 4 channels, 8 bit"),
    ],
)
def test_pictures_of_other_kinds(spec, said):
    if not said:
        check_spec(spec, "it")
        return
    with pytest.raises(UserError, match=rf"^it {said}(, \d+:\d+)?, and a page has grey or RGB"):
        check_spec(spec, "it")


def test_a_network_too_large_for_a_browser():
    check_memory(1 << 30, 1 << 30, "it")
    check_memory(2 << 30, None, "it")
    with pytest.raises(UserError, match=r"it needs about 4\.5 GiB .* at most 4; .*--quantize=int8"):
        check_memory(2 << 30, 1 << 29, "it")
