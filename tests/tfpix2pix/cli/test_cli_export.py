"""`export`, `verify` and `translate --model` as a user meets them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

for _package in ("onnx", "onnxruntime", "tf2onnx", "tensorflow_serving"):
    pytest.importorskip(_package)


@pytest.fixture(scope="module")
def exported(run_command, trained, tmp_path_factory):
    """The tiny run exported in all formats: the folder, the exit code, stdout and stderr."""
    output = tmp_path_factory.mktemp("exports") / "all of it"
    done = run_command(
        "export",
        f"--workdir={trained}",
        f"--output={output}",
        "--quantize=none,int8",
        "--check_count=2",
        "--name=my facades",
        cwd=output.parent,
        timeout=600,
    )
    return output, done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(exported) -> Path:
    output, code, out, err = exported
    assert code == 0, out + err
    return output


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


# === Export ===


def test_it_says_what_was_proved_and_where_everything_is(exported, folder):
    _, _, out, err = exported
    assert err == ""
    assert "Traceback" not in out
    rows = {line.split()[0]: line for line in out.splitlines() if line.endswith(" ok")}
    assert set(rows) == {
        "saved_model/1",
        "tflite/generator_float32.tflite",
        "tflite/generator_int8.tflite",
        "onnx/generator_float32.onnx",
        "onnx/generator_int8.onnx",
        "network",
    }
    for name, line in rows.items():
        assert re.search(r"\d+\.\d ms +\d+\.\d MiB +ok$", line)
        if "int8" not in name:
            assert float(re.search(r"\d\.\de[+-]\d\d", line).group()) < 1e-4
    assert f"report: {folder}/export_report.html" in out


def test_everything_is_in_its_place(folder):
    for name in (
        "saved_model/1/saved_model.pb",
        "saved_model/1/assets.extra/tf_serving_warmup_requests",
        "serving/compose.yaml",
        "serving/models.config",
        "serving/batching.config",
        "network/saved_model.pb",
        "export.json",
        "export_report.html",
    ):
        assert (folder / name).stat().st_size > 0
    assert 'name: "my_facades"' in (folder / "serving/models.config").read_text()
    assert not [p.name for p in folder.iterdir() if p.name.startswith(".export-")]


def test_the_manifest_holds_the_contract_and_the_proof(folder, trained):
    manifest = json.loads((folder / "export.json").read_text())
    contract = manifest["contract"]
    assert contract["inference"] == "paper"
    assert contract["checkpoint"]["step"] == 6
    meta = json.loads((trained / "checkpoints" / "step_00000006" / "meta.json").read_text())
    assert contract["checkpoint"]["sha256"] == meta["sha256"]
    assert contract["config"] == json.loads((trained / "config.json").read_text())
    # The same words in the artefact itself.
    inside = json.loads((folder / "saved_model/1/assets.extra/contract.json").read_text())
    assert inside == contract
    assert len(manifest["proof"]["rows"]) == 6
    # Only ONNX files have an opset, each the oldest that holds it.
    opsets = {each["path"]: each.get("opset") for each in manifest["artifacts"]}
    assert opsets.pop("onnx/generator_float32.onnx") == 11
    assert opsets.pop("onnx/generator_int8.onnx") == 13
    assert set(opsets.values()) == {None}


def test_the_page_shows_the_pictures_side_by_side(folder):
    page = (folder / "export_report.html").read_text()
    # Two pictures: input, Keras, six artefacts, target.
    assert page.count("<img") == 2 * 9
    assert "onnx/generator_int8.onnx" in page
    assert 'src="http' not in page


# === Translate ===


@pytest.mark.parametrize(
    "model",
    [
        "",
        "saved_model/1",
        "onnx/generator_float32.onnx",
        "tflite/generator_float32.tflite",
        "network",
    ],
)
def test_an_export_translates_as_the_run_does(folder, trained, draw, tmp_path, model):
    from tfpix2pix.cli.main import main, parse

    for seed, (height, width) in enumerate([(33, 47), (9, 17), (64, 32)]):
        draw(tmp_path / "in" / f"{seed}.png", height, width, seed=seed)
    for name, source in (("run", f"--workdir={trained}"), ("export", f"--model={folder / model}")):
        words = [source, f"--input={tmp_path / 'in'}", f"--output={tmp_path / name}", "--seed=7"]
        assert main(parse(["tfpix2pix", "translate", *words])) == 0
    for path in sorted((tmp_path / "run").iterdir()):
        expected, found = read(path), read(tmp_path / "export" / path.name)
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_the_command_itself_translates_with_an_export(run_cli, folder, draw, tmp_path):
    draw(tmp_path / "in.png", 20, 30)
    done = run_cli("translate", f"--model={folder}", "--input=in.png", "--output=out.png")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "at step 6, noise of seed 0" in done.stdout
    assert read(tmp_path / "out.png").shape == (20, 30, 3)


# === Verify ===


def test_verify_repeats_the_proof_and_finds_a_flipped_byte(run_cli, folder, tmp_path, flip_a_byte):
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    done = run_cli("verify", copy, "--check_count=1")
    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout
    assert done.stdout.count(" ok") == 6
    flip_a_byte(copy / "onnx" / "generator_int8.onnx")
    done = run_cli("verify", copy)
    assert done.returncode == 1
    assert "generator_int8.onnx is not what was exported" in done.stderr
    assert done.stderr.count("\n") == 1


def test_verify_without_the_run_takes_the_weights_of_the_saved_model(
    run_cli, folder, run_copy, tmp_path
):
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    manifest = json.loads((copy / "export.json").read_text())
    manifest["run"] = str(tmp_path / "gone")
    (copy / "export.json").write_text(json.dumps(manifest))
    done = run_cli("verify", copy, "--check_count=1")
    assert done.returncode == 0, done.stderr
    assert f"the weights in {copy / 'saved_model/1'}" in done.stdout


# === A folder from a stranger ===


def test_a_journal_from_a_stranger_is_not_obeyed(refused, folder, trained, tmp_path, hashes):
    stranger = Path(shutil.copytree(folder, tmp_path / "stranger"))
    (tmp_path / "mine").mkdir()
    for name in ("diary", "other"):
        (tmp_path / "mine" / name).write_text(name)
    (stranger / "payload").write_text("evil")
    journal = {
        "moves": [["payload", str(tmp_path / "mine" / "diary")]],
        "removes": [str(tmp_path / "mine"), "../mine"],
    }
    (stranger / ".publish.json").write_text(json.dumps(journal))
    before = hashes(tmp_path)
    images = f"--input={trained / 'samples' / 'inputs'}"
    said = refused("translate", f"--model={stranger}", images, f"--output={tmp_path / 'out'}")
    assert "is half published" in said
    assert "is half published" in refused("verify", stranger)
    said = refused("export", f"--workdir={trained}", f"--output={stranger}")
    assert "is not what an export of this program leaves" in said
    assert "nothing was touched" in said
    assert hashes(tmp_path) == before


# === Refusals ===


def test_bad_flags_are_refused_in_a_sentence(refused, trained, untrained, tmp_path):
    run, out = f"--workdir={trained}", f"--output={tmp_path / 'out'}"
    (tmp_path / "file").write_text("")
    for words, said in (
        ([out], "--workdir is missing"),
        ([run], "--output is missing"),
        ([run, out, "--formats=onxx"], "--formats=onxx: expected savedmodel, tflite, onnx, net"),
        ([run, out, "--quantize=int4"], "--quantize=int4: expected none"),
        ([run, out, "--inference=random"], "--inference=random: expected paper"),
        ([run, out, "--image_size=42"], "multiples of 4 pixels; use --image_size=44x44"),
        ([run, out, "--image_size=wide"], "--image_size=wide: expected any"),
        ([run, out, "--check_count=0"], "--check_count=0: expected 1 to 10,000"),
        ([run, out, "--opset=new"], "--opset=new: expected oldest, or a whole number such as 13"),
        ([run, out, "--opset=6"], "--opset=6: expected 7 or more"),
        ([run, out, "--opset=999"], "knows opsets up to"),
        ([run, out, "--opset=13", "--formats=tflite"], "--formats=tflite has none"),
        ([run, f"--output={tmp_path / 'file'}"], "is a file; give a folder"),
        ([f"--workdir={untrained}", out], "has no checkpoint yet; train it first"),
        ([f"--workdir={tmp_path}", out], "no config.json"),
    ):
        assert said in refused("export", *words)
    assert not (tmp_path / "out").exists()


def test_bad_models_are_refused_in_a_sentence(refused, trained, folder, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    rest = [f"--input={trained / 'samples' / 'inputs'}", f"--output={tmp_path / 'out'}"]
    for words, said in (
        ([], "--workdir or --model is missing"),
        ([f"--workdir={trained}", f"--model={folder}"], "give the one that is meant"),
        ([f"--model={tmp_path / 'none'}"], "no such file or folder"),
        ([f"--model={tmp_path / 'notes.txt'}"], "expected a .tflite or .onnx file"),
        ([f"--model={tmp_path}"], "holds no export"),
        ([f"--model={folder}", "--checkpoint=best"], "--checkpoint=best is for --workdir"),
        (["--model=ftp://host/model"], "--model=ftp://host/model"),
    ):
        assert said in refused("translate", *words, *rest)
    assert not (tmp_path / "out").exists()


def test_what_is_no_export_is_not_verified(refused, tmp_path):
    assert "DIR is missing" in refused("verify")
    assert "is no export" in refused("verify", tmp_path)


def test_a_missing_package_is_named_with_its_extra(run_cli, trained, tmp_path):
    hide = (
        "import importlib.util as u; found = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name == 'tf2onnx' else found(name, *rest)"
    )
    done = run_cli("export", f"--workdir={trained}", "--output=out", prelude=hide)
    assert done.returncode == 2
    assert "--formats=onnx needs the package tf2onnx" in done.stderr
    assert 'tfpix2pix[onnx]"' in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_moved_data_set_can_be_named(run_cli, pairs, draw, tmp_path, tiny):
    words = ("train", "--dataset=pairs", *tiny, "--steps=1", "--workdir=run", "--loss=l1")
    done = run_cli(*words, eagerly=True)
    assert done.returncode == 0, done.stderr
    pairs.rename(tmp_path / "moved")
    words = ["export", "--workdir=run", "--output=out", "--formats=network", "--check_count=1"]
    done = run_cli(*words)
    assert done.returncode == 2
    assert "say with --dataset=FOLDER where the data set is now" in done.stderr
    assert not (tmp_path / "out").exists()
    done = run_cli(*words, "--dataset=moved")
    assert done.returncode == 0, done.stderr
