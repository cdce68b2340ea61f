"""`import-torch` and `export-torch` as a user meets them: import, translate, train on, export."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

safetensors = pytest.importorskip("safetensors.numpy", reason="needs the extra [torch]")


def states(tmp_path: Path, crop_size: int = 64) -> tuple[Path, Path]:
    """Files of a generator and a discriminator, made without PyTorch."""
    from tfpix2pix.export.torch.weights import discriminator_to_torch, generator_to_torch
    from tfpix2pix.models import build_discriminator, build_generator
    from tfpix2pix.models.weights import initialize, named_weights

    paths = []
    for model, to_torch in [
        (build_generator(crop_size=crop_size, ngf=4, norm="batch"), generator_to_torch),
        (build_discriminator(ndf=4, norm="batch"), discriminator_to_torch),
    ]:
        initialize(model, 3)
        weights = {name: value.numpy() for name, value in named_weights(model).items()}
        paths.append(tmp_path / f"{model.name}.safetensors")
        safetensors.save_file(to_torch(weights), paths[-1])
    return tuple(paths)


def write_pairs(folder: Path) -> None:
    """One pair to train on and one to measure on, 64 px."""
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
        Image.fromarray(pixels).save(folder / split / "1.png")


def test_a_run_is_imported_trained_on_and_exported(run_cli, tmp_path):
    from tfpix2pix.export.torch.runs import export_state

    generator, discriminator = states(tmp_path)
    write_pairs(tmp_path / "pairs")
    done = run_cli(
        *("import-torch", generator.name, f"--discriminator={discriminator.name}"),
        *("--workdir=run", "--dataset=pairs", "--norm=batch", "--load_size=64"),
        fresh=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "imported a unet of 64 px, ngf 4, 3 to 3 channels, norm batch" in done.stdout
    assert "a discriminator of 70 px, ndf 4" in done.stdout

    done = run_cli("train", "--workdir=run", "--steps=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "trained 2 steps" in done.stdout
    trained = export_state(tmp_path / "run", "discriminator")[0]["model.0.weight"]
    moved = np.abs(trained - safetensors.load_file(discriminator)["model.0.weight"])
    # Two of Adam's first steps from weights that were taken over: 2e-4 each, at most.
    assert 1e-5 < moved.max() < 1e-3

    args = ("--workdir=run", "--checkpoint=0", "--output=G.safetensors")
    done = run_cli("export-torch", *args)
    assert (done.returncode, done.stderr) == (0, "")
    assert "num_downs=6 --ngf 4 --input_nc 3 --output_nc 3 --norm batch" in done.stdout
    before, after = (
        safetensors.load_file(generator),
        safetensors.load_file(tmp_path / "G.safetensors"),
    )
    assert set(after) == set(before)
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value, err_msg=key)


def test_pictures_are_those_of_pytorch(run_cli, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    nets = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "torch_networks.py")))
    network = nets.scramble(nets.Generator(6, 3, 3, 4))
    torch.save(network.state_dict(), tmp_path / "G.pth")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "x.png")

    done = run_cli("import-torch", "--generator=G.pth", "--workdir=run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "note: no --dataset was given" in done.stdout
    done = run_cli(
        *("translate", "--workdir=run", "--input=x.png", "--output=y.png", "--deterministic")
    )
    assert done.returncode == 0, done.stderr

    x = torch.tensor(picture.transpose(2, 0, 1)[None] / np.float32(127.5) - 1)
    with torch.no_grad():
        y = network.train()(x)[0].numpy().transpose(1, 2, 0)
    found = np.asarray(Image.open(tmp_path / "y.png")).astype(float)
    assert found.std() > 20
    assert np.abs(found - (y + 1) * 127.5).max() <= 1

    done = run_cli("train", "--workdir=run", "--steps=2")
    assert done.returncode == 2
    assert "was imported without pairs to train on" in done.stderr


def test_a_run_of_instance_normalisation_trains_on_and_goes_back(run_cli, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    nets = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "torch_networks.py")))
    both = nets.Generator(5, 3, 3, 4, "instance"), nets.Discriminator(1, 6, 4, "instance")
    nets.train(*both, size=32)
    for name, network in zip("GD", both, strict=True):
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
    write_pairs(tmp_path / "pairs")
    done = run_cli(
        *("import-torch", "G.pth", "--discriminator=D.pth", "--workdir=run"),
        *("--dataset=pairs", "--load_size=32"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "norm instance, a bias in every layer" in done.stdout

    def exported() -> list[dict]:
        states = []
        for network in ("generator", "discriminator"):
            args = ("--workdir=run", f"--network={network}", f"--output={network}.pth")
            done = run_cli("export-torch", *args)
            assert (done.returncode, done.stderr) == (0, "")
            assert "--norm instance" in done.stdout
            assert "moving averages" not in done.stdout
            states.append(torch.load(tmp_path / f"{network}.pth", weights_only=True))
        return states

    imported = exported()
    done = run_cli("train", "--workdir=run", "--steps=2")
    assert (done.returncode, done.stderr) == (0, "")
    for name, before, after in zip("GD", imported, exported(), strict=True):
        original = torch.load(tmp_path / f"{name}.pth", weights_only=True)
        assert list(before) == list(original)
        for key, value in original.items():
            assert torch.equal(before[key], value), key
            moved = (after[key] - value).abs().max()
            assert moved < 2e-3, key
            assert moved > 1e-5 or key.endswith("bias"), key
        first = "model.model.0.bias" if name == "G" else "model.0.bias"
        assert (after[first] - original[first]).abs().max() > 1e-5


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "the generator's file and --workdir are missing"),
        (("G.safetensors",), "--workdir is missing"),
        (("--workdir=run",), "the generator's file is missing"),
        (("none.safetensors", "--workdir=run"), "--generator=none.safetensors is not there"),
        (("G.safetensors", "--workdir=run"), "G.safetensors cannot be read as safetensors"),
        (("a.pth", "--generator=b.pth", "--workdir=run"), "are two generators"),
        (("G.safetensors", "--workdir=."), "--workdir=. is not empty"),
        (("G.safetensors", "--workdir=run", "--norm=group"), "cannot be read"),
        (("G.safetensors", "--workdir=run", "--norms=batch"), "did you mean '--norm'"),
    ],
)
def test_bad_input_of_import_torch_is_one_sentence(run_cli, tmp_path, args, said):
    (tmp_path / "G.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    done = run_cli("import-torch", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"tfpix2pix import-torch: .*\n$", done.stderr)
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["G.safetensors"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "--workdir is missing"),
        (("--workdir=run",), "--output is missing"),
        (("--workdir=run", "--output=G.h5"), "ends in .h5, expected .pth or .safetensors"),
        (("--workdir=run", "--output=G.safetensors"), "no config.json there"),
        (("--workdir=run", "--output=G.pth", "--network=both"), "expected generator or disc"),
    ],
)
def test_bad_input_of_export_torch_is_one_sentence(run_cli, tmp_path, args, said):
    done = run_cli("export-torch", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"tfpix2pix export-torch: .*\n$", done.stderr)
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
