"""Export as a whole, with a format of the tests' own: proof first, then all or nothing."""

from __future__ import annotations

import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.export import exporter, formats
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine import Engine
from tfpix2pix.export.exporter import (
    ExportMismatch,
    Reporter,
    Request,
    export_run,
    parse_size,
    verify,
)
from tfpix2pix.export.formats import Artifact, Format
from tfpix2pix.export.manifest import Manifest


class Fake(Format):
    """Keeps the weights in a file, and runs them in Keras with a known error."""

    quantizations = ("none", "int8")

    def __init__(self, name: str) -> None:
        self.name, self.error, self.nan, self.fails = name, 0.0, False, None

    def check(self) -> None:
        if self.fails == "check":
            raise UserError("the package is missing")

    def write(self, job, folder: Path) -> list[Artifact]:
        if self.fails == "disk":
            raise OSError(28, "No space left on device")
        from tfpix2pix.export.core import weights_of

        made = []
        for quantize in job.quantize:
            path = f"{self.name}/generator_{quantize}"
            (folder / path).parent.mkdir(exist_ok=True)
            with open(folder / path, "wb") as file:
                np.savez(file, contract=job.contract.to_json(), **weights_of(job.generator))
            made.append(Artifact(path, self.name, quantize))
        return made

    def open(self, path: Path, threads=None) -> Engine:
        return _FakeEngine(path, self)


class _FakeEngine(Engine):
    name = "fake"

    def __init__(self, path: Path, made_by: Fake) -> None:
        from tfpix2pix.export.core import export_generator
        from tfpix2pix.inference import KerasNetwork

        with np.load(path) as file:
            weights = dict(file)
        self.contract = Contract.parse(str(weights.pop("contract")), str(path))
        self.path, self._fake = path, made_by
        self._quantized = path.name.endswith("int8")
        self._network = KerasNetwork(
            export_generator(self.contract.generator, weights, noise=self.contract.noise)
        )

    def run(self, inputs):
        y = self._network(inputs["x"], inputs.get("z"))
        if self._fake.nan:
            return y * np.nan
        return y + self._fake.error * (10 if self._quantized else 1)


@pytest.fixture
def fakes(monkeypatch) -> dict[str, Fake]:
    return patched(monkeypatch)


def patched(monkeypatch) -> dict[str, Fake]:
    made = {name: Fake(name) for name in ("tflite", "onnx")}
    monkeypatch.setattr(exporter, "load_format", made.__getitem__)
    monkeypatch.setattr("tfpix2pix.export.proof.load_format", made.__getitem__)
    monkeypatch.setattr("tfpix2pix.export.opening.load_format", made.__getitem__)
    return made


@pytest.fixture(scope="module")
def run(make_run, tmp_path_factory) -> Path:
    """A run on the sample set, whose val pairs need no files."""
    return make_run(tmp_path_factory.mktemp("runs") / "run", sample_pairs=8, dataset="sample")


def export(run, output, formats=("onnx",), **options):
    names = ("quantize", "inference", "image_size")
    request = Request(formats, **{n: options.pop(n) for n in names if n in options})
    return export_run(run, output, request, check_count=2, **options)


@pytest.fixture(scope="module")
def made_once(run, tmp_path_factory):
    """Exports of one format and of both. Read only."""
    folder = tmp_path_factory.mktemp("made_once")
    with pytest.MonkeyPatch.context() as patch:
        patched(patch)
        return {
            names: export(run, folder / "-".join(names), names)
            for names in (("onnx",), ("onnx", "tflite"))
        }


@pytest.fixture
def before(made_once, tmp_path):
    """``before(formats=("onnx",))``: the folder of an export of the run, a copy."""

    def copy(formats=("onnx",)) -> Path:
        return Path(shutil.copytree(made_once[formats].output, tmp_path / "out"))

    return copy


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {
        ".export.lock"
    }


# === All or nothing ===


def test_what_equals_keras_is_published_with_its_proof(made_once):
    made = made_once["onnx", "tflite"]
    assert files(made.output) == {
        "onnx/generator_none",
        "tflite/generator_none",
        "export.json",
        "export_report.html",
    }
    assert [row.path for row in made.proof.rows] == ["onnx/generator_none", "tflite/generator_none"]
    # Keras beside itself, in other batches.
    assert all(row.max_difference < 1e-5 for row in made.proof.rows)
    saved = json.loads((made.output / "export.json").read_text())
    assert saved["proof"]["rows"][0]["path"] == "onnx/generator_none"
    page = (made.output / "export_report.html").read_text()
    assert page.count("<img") == 2 * 5  # input, Keras, two artefacts, target
    assert "http" not in page.replace("http-equiv", "")


def test_the_cases_are_two_batches_at_three_sizes(made_once):
    row = made_once["onnx",].proof.rows[0]
    assert set(row.cases) == {
        f"{size}, batch {batch}"
        for size in ("native 32x32", "larger 64x64", "odd 25x41")
        for batch in (1, 3)
    }


@pytest.mark.parametrize("error", [2e-4, -0.5])
def test_what_differs_from_keras_is_not_published_and_what_was_there_stays(
    fakes, run, before, error
):
    out = before()
    there = {name: (out / name).read_bytes() for name in files(out)}
    fakes["tflite"].error = error
    with pytest.raises(ExportMismatch, match="tflite/generator_none: differs from Keras") as caught:
        export(run, out, ("onnx", "tflite"))
    good, bad = caught.value.proof.rows
    assert not good.faults
    assert bad.max_difference == pytest.approx(abs(error), rel=0.05)
    assert bad.mean_difference == pytest.approx(abs(error), rel=0.05)
    assert {name: (out / name).read_bytes() for name in files(out)} == there


def test_what_is_not_a_number_is_not_published(fakes, run, tmp_path):
    fakes["onnx"].nan = True
    with pytest.raises(ExportMismatch, match="not a number"):
        export(run, tmp_path / "out", quantize=("int8",))
    assert not (tmp_path / "out").exists()


def test_a_quantised_artefact_is_judged_by_the_targets(fakes, run, tmp_path):
    fakes["onnx"].error = 0.002  # int8: ten times that
    row = export(run, tmp_path / "one", quantize=("int8",)).proof.rows[0]
    assert row.max_difference == pytest.approx(0.02, rel=0.05)
    # An error of 0.02 in [-1, 1] is 2.55 levels: 20 log10(255 / 2.55) = 40 dB, less rounding.
    assert row.psnr_keras == pytest.approx(40, abs=1)
    assert row.psnr_target == pytest.approx(row.psnr_keras_target, abs=0.5)
    fakes["onnx"].error = 0.09
    with pytest.raises(ExportMismatch, match="dB of PSNR against the targets"):
        export(run, tmp_path / "two", quantize=("int8",))


def test_without_targets_a_quantised_artefact_is_judged_by_keras(
    fakes, run, tmp_path, smooth_images
):
    from tfpix2pix.data import write_image

    for i, x in enumerate(smooth_images(2, 40, 3)):
        picture = np.rint((x + 1) * 127.5).astype(np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        write_image(tmp_path / "in" / f"{i}.png", picture)
    fakes["onnx"].error = 0.002
    row = export(
        run, tmp_path / "one", quantize=("int8",), check_images=str(tmp_path / "in")
    ).proof.rows[0]
    assert row.psnr_target is None
    fakes["onnx"].error = 0.03
    with pytest.raises(ExportMismatch, match="PSNR against Keras is"):
        export(run, tmp_path / "two", quantize=("int8",), check_images=str(tmp_path / "in"))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(fakes, run, tmp_path, monkeypatch):
    fakes["onnx"].fails = "disk"
    with pytest.raises(UserError, match=r"No space left on device.*nothing was published"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    fakes["onnx"].fails = None
    usage = types.SimpleNamespace(total=1 << 40, used=0, free=1000)
    monkeypatch.setattr(exporter.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="MiB are needed and 0 MiB are free"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_said_before_anything_is_done(fakes, run, tmp_path):
    fakes["tflite"].fails = "check"
    with pytest.raises(UserError, match="the package is missing"):
        export(run, tmp_path / "out", ("onnx", "tflite"))
    assert not (tmp_path / "out").exists()


# === One folder, several exports ===


def test_a_second_export_of_the_same_joins_the_first(fakes, run, before):
    out = before()
    export(run, out, ("tflite",))
    manifest = Manifest.load(out)
    assert {a.path for a, _ in manifest.artifacts} == {
        "onnx/generator_none",
        "tflite/generator_none",
    }
    assert len(manifest.proof["rows"]) == 2
    assert verify(out, check_count=1).good


def test_an_export_of_something_else_replaces_the_first(fakes, run, before):
    out = before(("onnx", "tflite"))
    export(run, out, ("tflite",), inference="deterministic")
    manifest = Manifest.load(out)
    assert [a.path for a, _ in manifest.artifacts] == ["tflite/generator_none"]
    assert not manifest.contract.noise
    assert not (out / "onnx").exists()
    assert verify(out, check_count=1).good


# === Inference and size ===


def test_deterministic_exports_equal_the_run_without_dropout(fakes, run, tmp_path):
    made = export(run, tmp_path / "out", inference="deterministic")
    assert made.proof.rows[0].max_difference < 1e-5
    model = tfpix2pix_model(tmp_path / "out")
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    import tfpix2pix

    expected = tfpix2pix.load(run).translate(picture, deterministic=True)
    for seed in (0, 5):
        found = model.translate(picture, seed=seed)
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    assert not model.takes_noise


def tfpix2pix_model(folder: Path):
    from tfpix2pix.export import open_model

    return open_model(folder)


def test_a_fixed_size_takes_that_size_only(fakes, run, tmp_path):
    made = export(run, tmp_path / "out", image_size=(32, 64))
    assert set(made.proof.rows[0].cases) == {"native 64x32, batch 1", "native 64x32, batch 3"}
    model = tfpix2pix_model(tmp_path / "out")
    assert model.translate(np.zeros((30, 60, 3), np.uint8)).shape == (30, 60, 3)
    with pytest.raises(ValueError, match="takes 64x32 only"):
        model.translate(np.zeros((64, 32, 3), np.uint8))
    assert model.translate(np.zeros((90, 70, 3), np.uint8), fit=True).shape == (90, 70, 3)


@pytest.mark.parametrize(
    ("text", "size"), [("any", None), ("256", (256, 256)), ("512x256", (256, 512))]
)
def test_sizes_are_width_times_height(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "256x", "x256", "1x2x3", "256.5", "big"])
def test_other_sizes_are_refused(text):
    with pytest.raises(UserError, match="--image_size"):
        parse_size(text)


def test_a_size_that_the_generator_cannot_have_is_refused_with_the_next(fakes, run, tmp_path):
    with pytest.raises(UserError, match=r"multiples of 32.*--image_size=64x32"):
        export(run, tmp_path / "out", image_size=(30, 50))


@pytest.mark.parametrize(
    "flags",
    [
        {"formats": ("onxx",)},
        {"formats": ()},
        {"quantize": ("int4",)},
        {"inference": "random"},
        {"opset": 6},
    ],
)
def test_unknown_words_are_refused_with_the_known(flags):
    with pytest.raises(UserError, match="expected"):
        Request(**flags)


# === Verify ===


def test_verify_finds_a_changed_file(fakes, before):
    out = before()
    path = out / "onnx" / "generator_none"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    found = verify(out)
    assert not found.good
    assert "is not what was exported" in found.damaged[0]
    path.unlink()
    assert "is missing" in verify(out).damaged[0]


def test_verify_measures_again(fakes, before):
    out = before()
    fakes["onnx"].error = 0.01
    found = verify(out, check_count=1)
    assert not found.good
    assert found.proof.rows[0].max_difference == pytest.approx(0.01, rel=0.05)


def test_verify_says_what_it_has_compared(fakes, before):
    out = before(("onnx", "tflite"))
    told, started = [], []

    class Told(Reporter):
        def start(self, steps):
            started.append(steps)

        def step(self, what, count=1):
            told.extend([what] * count)

    verify(out, check_count=1, reporter=Told())
    assert (told[0], started) == ("Keras", [len(told)])
    for path in ("onnx/generator_none", "tflite/generator_none"):
        cases = [what for what in told if what.startswith(path)]
        assert len(cases) == (len(told) - 1) / 2
        assert all(", batch " in what.removeprefix(f"{path}: ") for what in cases[:-1])
        assert cases[-1] == path


def test_verify_needs_the_run_or_a_saved_model(fakes, make_run, tmp_path):
    run = make_run(tmp_path / "run", sample_pairs=8)
    export(run, tmp_path / "out")
    run.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="--workdir=RUN"):
        verify(tmp_path / "out")
    assert verify(tmp_path / "out", workdir=str(tmp_path / "moved"), check_count=1).good
    other = make_run(tmp_path / "other", sample_pairs=8, std=0.1)
    with pytest.raises(UserError, match="not the run of this export"):
        verify(tmp_path / "out", workdir=str(other))


def test_the_opset_of_a_file_is_kept_and_may_be_missing(fakes, before):
    """Exports of earlier versions do not tell it."""
    out = before()
    path = out / "export.json"
    values = json.loads(path.read_text())
    assert not any("opset" in each for each in values["artifacts"])
    assert {a.opset for a, _ in Manifest.load(out).artifacts} == {None}
    values["artifacts"][0]["opset"] = 13
    path.write_text(json.dumps(values))
    manifest = Manifest.load(out)
    assert manifest.artifacts[0][0].opset == 13
    assert json.loads(manifest.to_json())["artifacts"] == values["artifacts"]
    values["artifacts"][0]["opset"] = "new"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="damaged"):
        Manifest.load(out)


@pytest.mark.parametrize("damage", ["", "{}", "[1]", "no JSON"])
def test_a_damaged_manifest_is_refused(fakes, before, damage):
    out = before()
    (out / "export.json").write_text(damage)
    with pytest.raises(UserError, match="damaged"):
        verify(out)


def test_a_manifest_that_no_export_wrote_is_refused_and_replaced(fakes, run, before):
    out = before()
    file = out / "export.json"
    whole = json.loads(file.read_text())
    changes = [
        *({"proof": proof} for proof in ([], {"rows": 3}, {"rows": [{}]}, {"rows": ["onnx"]})),
        *({"made": 1}, {"run": None}, {"run": "a\0b"}),
        *({"files": "onnx"}, {"artifacts": {}}, {"artifacts": [{}]}),
    ]
    outside = ("../generator_none", "/etc/hostname", ".", "", "onnx/../../x", "notes.txt", ".x", 3)
    for path in outside:
        changes.append({"files": [path]})
        changes.append({"artifacts": [{**whole["artifacts"][0], "path": path}]})
    for change in changes:
        file.write_text(json.dumps({**whole, **change}))
        with pytest.raises(UserError, match="damaged"):
            verify(out)
    export(run, out, ("tflite",))
    assert verify(out, check_count=1).good


def test_what_a_manifest_names_besides_an_export_is_not_removed(fakes, run, before):
    """An export of something else removes what the old one listed: only what one writes."""
    out = before()
    (out / "saved_model" / "3").mkdir(parents=True)
    (out / "saved_model" / "3" / "saved_model.pb").write_text("a version")
    file = out / "export.json"
    values = json.loads(file.read_text())
    entry = {**values["artifacts"][0], "path": "saved_model/3", "format": "onnx"}
    file.write_text(
        json.dumps({**values, "artifacts": [entry], "files": ["saved_model", "serving"]})
    )
    export(run, out, ("tflite",), inference="deterministic")
    assert (out / "saved_model" / "3" / "saved_model.pb").read_text() == "a version"


def test_whoever_reads_a_half_published_folder_is_told_and_changes_nothing(fakes, run, before):
    out = before()
    hidden = out / ".export-00000000"
    hidden.mkdir()
    (hidden / "new").write_bytes(b"new")
    journal = {"moves": [[".export-00000000/new", "onnx/generator_none"]], "removes": []}
    (out / ".publish.json").write_text(json.dumps(journal))
    there = {name: (out / name).read_bytes() for name in files(out)}
    for read in (verify, tfpix2pix_model):
        with pytest.raises(UserError, match=r"half published.*tfpix2pix export"):
            read(out)
    assert {name: (out / name).read_bytes() for name in files(out)} == there
    # The next export completes it.
    export(run, out, ("tflite",))
    assert (out / "onnx" / "generator_none").read_bytes() == b"new"
    assert not (out / ".publish.json").exists()


def test_what_is_no_export_is_refused(fakes, tmp_path):
    with pytest.raises(UserError, match="no export"):
        verify(tmp_path)
    assert (*formats.USUAL, "web") == formats.FORMATS
