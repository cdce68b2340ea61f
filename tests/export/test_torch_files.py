"""State dicts in files: what is read, what is refused, and that no file's code is run."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.export.torch.files import check_readable, check_suffix, read_state, write_state

STATE = {
    "model.0.weight": np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32),
    "model.1.num_batches_tracked": np.array(5, np.int64),
}


class Runs:
    """A pickle of this runs a command when it is read as usual."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def assert_state(found):
    assert set(found) == set(STATE)
    for key, value in STATE.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize(
    ("suffix", "package"), [(".pth", "torch"), (".pt", "torch"), (".safetensors", "safetensors")]
)
def test_what_is_written_is_read(tmp_path, suffix, package):
    pytest.importorskip(package, reason="needs the extra [torch]")
    path = tmp_path / "new" / f"G{suffix}"
    write_state(path, STATE)
    assert check_readable(path, "--generator") == path
    assert_state(read_state(path))
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("name", "package"),
    [("G.SAFETENSORS", "safetensors"), ("G.SafeTensors", "safetensors"), ("G.PTH", "torch")],
)
def test_a_suffix_may_be_in_capitals(tmp_path, name, package):
    pytest.importorskip(package, reason="needs the extra [torch]")
    write_state(tmp_path / name, STATE)
    assert check_readable(tmp_path / name, "--generator") == tmp_path / name
    assert_state(read_state(tmp_path / name))


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
def test_the_state_dict_in_what_a_trainer_saved_is_read(tmp_path, legacy):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    state = {key: torch.tensor(value) for key, value in STATE.items()}
    path = tmp_path / "G.pth"
    for content in (
        {"state_dict": state},
        {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
        {"state_dict": {"state_dict": state}},
    ):
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        assert_state(read_state(path))


# === Sizes that are claimed ===


def strange_tensors(torch) -> dict[str, object]:
    """Tensors that are not stored number by number, or claim to be larger than they are."""
    one, index = torch.zeros(1), torch.zeros(2, 1, dtype=torch.int64)
    return {
        "stride 0": torch.as_strided(one, (2**20, 2**20, 4, 4), (0, 0, 0, 0)),
        "stride 0 that fits into memory": torch.as_strided(one, (2**20,), (0,)),
        "overlapping": torch.as_strided(torch.zeros(1000), (900, 100), (1, 1)),
        "sparse": torch.sparse_coo_tensor(index, one, (2**20, 2**20)),
        "meta": torch.empty(2**20, 2**20, device="meta"),
        "complex": torch.zeros(4, dtype=torch.complex64),
        "quantized": torch.quantize_per_tensor(torch.zeros(4), 1.0, 0, torch.qint8),
    }


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
@pytest.mark.parametrize(
    "what",
    [
        *("stride 0", "stride 0 that fits into memory", "overlapping"),
        *("sparse", "meta", "complex", "quantized"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_claim_more_than_is_stored_are_refused(tmp_path, what, legacy):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    path = tmp_path / "G.pth"
    state = {"model.0.weight": strange_tensors(torch)[what]}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        UserError, match=r"G\.pth.*(claims|no plain tensor|cannot be read)"
    ) as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def test_one_storage_under_many_names_is_refused(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    values = torch.zeros(1000)
    torch.save({f"{i}.weight": values for i in range(200)}, tmp_path / "G.pth")
    with pytest.raises(UserError, match="claims 800,000 bytes of weights and has"):
        read_state(tmp_path / "G.pth")


def test_a_packed_archive_is_refused(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    torch.save({"a": torch.zeros(1_000_000)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "G.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert (tmp_path / "G.pth").stat().st_size < 10_000
    with pytest.raises(UserError, match=r"claims 4,0\d\d,\d\d\d bytes of weights and has"):
        read_state(tmp_path / "G.pth")


def test_safetensors_that_claim_more_than_is_stored_are_refused(tmp_path):
    pytest.importorskip("safetensors", reason="needs the extra [torch]")
    size = 2**40
    header = {"a": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    (tmp_path / "G.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        read_state(tmp_path / "G.safetensors")


def test_float16_becomes_float32(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs the extra [torch]")
    half = {"a": np.arange(6, dtype=np.float16)}
    safetensors.save_file(half, tmp_path / "half.safetensors")
    found = read_state(tmp_path / "half.safetensors")["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.arange(6))


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
def test_both_formats_of_pytorch_are_read(tmp_path, legacy):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    state = {key: torch.tensor(value) for key, value in STATE.items()}
    state["model.0.weight"].requires_grad_()
    path = tmp_path / "G.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    assert_state(read_state(path))


@pytest.mark.parametrize("how", ["pickle", "torch", "legacy"])
def test_a_file_with_code_is_refused_and_its_code_is_not_run(tmp_path, how):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    mark, path = tmp_path / "mark", tmp_path / "G.pth"
    content = {"model.model.0.weight": Runs(mark)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
        pickle.loads(path.read_bytes())
        assert mark.exists(), "the file would run code where it is read carelessly"
        mark.unlink()
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(UserError, match="no code in it was run") as caught:
        read_state(path)
    assert not mark.exists()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda torch: {"epoch": 3, "state_dict": {}}, "a dict with 'epoch', 'state_dict'"),
        (lambda torch: [torch.zeros(2)], "a list"),
        (lambda torch: torch.zeros(2), "a Tensor"),
        (lambda torch: {1: torch.zeros(2)}, "a dict with 1"),
    ],
    ids=["nested", "list", "tensor", "numbers"],
)
def test_other_things_than_a_state_dict_are_named(tmp_path, make, said):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    torch.save(make(torch), tmp_path / "G.pth")
    with pytest.raises(UserError, match=f"holds {said} where a state dict"):
        read_state(tmp_path / "G.pth")


@pytest.mark.parametrize(
    ("suffix", "package"), [(".pth", "torch"), (".safetensors", "safetensors")]
)
@pytest.mark.parametrize("length", [0, 20, 200])
def test_damaged_files_are_refused(tmp_path, suffix, package, length):
    pytest.importorskip(package, reason="needs the extra [torch]")
    path = tmp_path / f"G{suffix}"
    write_state(path, STATE)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"cannot be read|damaged") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def test_names_and_places_that_cannot_be_meant(tmp_path):
    (tmp_path / "folder.safetensors").mkdir()
    for name, said in [
        ("G.ckpt", r"ends in \.ckpt, expected \.pth or \.safetensors"),
        ("G", "ends in nothing"),
    ]:
        with pytest.raises(UserError, match=f"^--generator=.*{said}"):
            check_readable(tmp_path / name, "--generator")
    pytest.importorskip("safetensors", reason="needs the extra [torch]")
    with pytest.raises(UserError, match="is a folder"):
        check_readable(tmp_path / "folder.safetensors", "--generator")
    with pytest.raises(UserError, match="is not there"):
        check_readable(tmp_path / "G.safetensors", "--generator")


@pytest.mark.parametrize("name", ["G.pth", "G.safetensors"])
def test_a_missing_package_is_named_with_the_extra(monkeypatch, name):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(UserError, match=r'pip install "tfpix2pix\[torch\]"'):
        check_suffix(Path(name), "--output")


def test_a_place_that_cannot_be_written(tmp_path):
    pytest.importorskip("safetensors", reason="needs the extra [torch]")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^--output=.*cannot be written"):
        write_state(tmp_path / "file" / "G.safetensors", STATE)
