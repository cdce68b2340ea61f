"""State dicts in files: what is read, what is refused, and that no file's code is run."""

from __future__ import annotations

import importlib.util
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.export.torch_files import check_readable, check_suffix, read_state, write_state

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
