"""Every form of pairs through the real command: deep, labelled, Lab, in folders and manifests.

Each run is trained once, a few steps, and shared by the tests that look at it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.color import rgb2lab

from tfpix2pix.config import load_config
from tfpix2pix.config.dataset import open_source, spec_of
from tfpix2pix.data import load_palette

SIZE = 36
FEW_STEPS = ("--steps=4", "--val_every=0", "--sample_every=0", "--sample_images=1")
L1 = "--loss=l1"  # where a discriminator would see what the generator sees


# === Data sets ===


def smooth(seed: int, channels: int = 3, size: int = SIZE) -> np.ndarray:
    """Smooth random values in 0..1, float64 ``[size, size, channels]``."""
    coarse = np.random.default_rng(seed).random((4, 4, channels)).astype(np.float32)
    layers = [
        Image.fromarray(coarse[..., c]).resize((size, size), Image.BILINEAR)
        for c in range(channels)
    ]
    return np.clip(np.stack(layers, -1).astype(np.float64), 0, 1)


def photo(seed: int) -> np.ndarray:
    return np.rint(smooth(seed) * 255).astype(np.uint8)


def deep(seed: int) -> np.ndarray:
    """16 bits of grey, ``[H, W]``."""
    return np.rint(smooth(seed, 1)[..., 0] * 65535).astype(np.uint16)


PALETTE = {
    "name": "streets",
    "classes": [
        {"name": "sky", "color": [128, 128, 255], "index": 3},
        {"name": "road", "color": "#804080", "index": [7, 8]},
        {"name": "tree", "color": [0, 160, 0], "index": 11},
        {"name": "unknown", "color": [0, 0, 0], "index": 255, "void": True},
    ],
}
COLORS = np.array([[128, 128, 255], [128, 64, 128], [0, 160, 0], [0, 0, 0]], np.uint8)
INDICES = np.array([3, 7, 11, 255], np.uint8)


def classes(seed: int) -> np.ndarray:
    """Class numbers ``[SIZE, SIZE]`` in blocks of 9, each class there."""
    coarse = np.random.default_rng(seed).permutation(np.arange(16) % 4).reshape(4, 4)
    return coarse.repeat(9, 0).repeat(9, 1)


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array)
    elif array.dtype == np.uint16:
        path.write_bytes(imagecodecs.png_encode(array))
    else:
        Image.fromarray(array).save(path)
    return path


def deep_folders(root: Path) -> tuple[Path, Path]:
    """16-bit grey TIFFs and 16-bit grey PNGs of the same stems."""
    for split, seeds in (("train", range(3)), ("val", range(3, 5))):
        for seed in seeds:
            save(root / "raw" / split / f"{seed}.tif", deep(seed))
            save(root / "clean" / split / f"{seed}.png", 65535 - deep(seed))
    return root / "raw", root / "clean"


def label_pairs(root: Path) -> Path:
    """Photographs left, labels right, in train/ and val/."""
    for split, seeds in (("train", range(3)), ("val", range(3, 5))):
        for seed in seeds:
            pair = np.hstack([photo(seed), COLORS[classes(seed)]])
            save(root / "pairs" / split / f"{seed}.png", pair)
    return root / "pairs"


# === Commands ===


@pytest.fixture(scope="module")
def command(run_command, tmp_path_factory):
    """`command(*args)` runs the command to its end, which has to be a good one; its stdout."""
    folder = tmp_path_factory.mktemp("elsewhere")

    def run(*args: object) -> str:
        done = run_command(*map(str, args), cwd=folder, eagerly=args[0] == "train")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


@pytest.fixture
def train_refused(refused, tmp_path, tiny, hashes):
    """`train` into a new workdir, refused at once; asserts that nothing at all was written."""

    def run(*args: object, lines: int | None = 1) -> str:
        before = hashes(tmp_path)
        said = refused("train", f"--workdir={tmp_path / 'new'}", *tiny, *args, lines=lines)
        assert not (tmp_path / "new").exists()
        assert hashes(tmp_path) == before
        return said

    return run


# === 16 bits ===


@pytest.fixture(scope="module")
def deep_run(command, tiny, tmp_path_factory):
    """A run on 16-bit grey folders: its folder, the command that trained it, and what it said."""
    root = tmp_path_factory.mktemp("deep")
    raw, clean = deep_folders(root)
    args = ("train", f"--input_dir={raw}", f"--target_dir={clean}", f"--workdir={root / 'run'}")
    args = (*args, *tiny, *FEW_STEPS, L1)
    return root, args, command(*args)


def test_16_bits_are_recorded(deep_run):
    root, _, out = deep_run
    assert "3 train, 2 val pairs of 36x36 (two folders, AtoB; grey, 16 bit)" in out
    assert "note: the data set" not in out
    config = json.loads((root / "run" / "config.json").read_text())
    for side in ("input", "target"):
        assert config[f"{side}_channels"] == 1
        assert config[f"{side}_dtype"] == "uint16"
        assert config[f"{side}_range"] == "0:65535"
    assert (config["dataset"], config["direction"]) == ("", "AtoB")
    assert config["input_dir"] == str(root / "raw")


def test_16_bits_come_out_of_translate(deep_run, command, tmp_path):
    root, _, _ = deep_run
    inputs = sorted((root / "run" / "samples" / "inputs").iterdir())
    assert [path.name for path in inputs] == ["3.png"]
    shutil.copy(inputs[0], tmp_path / "sample.png")
    save(tmp_path / "in" / "tiff.tif", deep(9))
    shutil.copy(inputs[0], tmp_path / "in" / "sample.png")
    save(tmp_path / "in" / "eight.png", photo(9))
    out = command(
        "translate",
        f"--workdir={root / 'run'}",
        f"--input={tmp_path / 'in'}",
        f"--output={tmp_path / 'out'}",
    )
    assert "note: uint8 values brought to uint16 (1 of 3 images)" in out
    assert "note: colour image reduced to grey (1 of 3 images)" in out
    sample = imagecodecs.png_decode(inputs[0].read_bytes())
    assert sample.dtype == np.uint16
    for name in ("tiff", "sample", "eight"):
        result = imagecodecs.png_decode((tmp_path / "out" / f"{name}.png").read_bytes())
        assert result.dtype == np.uint16
        assert result.shape == ((32, 32) if name == "sample" else (SIZE, SIZE))
        # Not 8 bits held in 16: these would be few, and multiples of 257.
        assert np.unique(result).size > 256
        assert (result % 257 != 0).mean() > 0.9


def test_the_same_command_and_more_steps_continue_it(deep_run, command):
    """What was resolved by looking at the data does not count as another configuration."""
    root, args, _ = deep_run
    run = root / "continued"
    shutil.copytree(root / "run", run)
    args = [a for a in args if not a.startswith(("--workdir", "--steps"))]
    out = command(*args, f"--workdir={run}", "--steps=5")
    assert "continuing from step 4 of 5" in out
    assert "has changed" not in out
    before, after = (load_config(folder) for folder in (root / "run", run))
    assert after == before.replace(steps=5)


def test_a_continued_run_and_another_depth(deep_run, refused, tmp_path):
    """8 bits become 16, as the run has them; floats cannot, and a flag may not contradict."""
    root, _, _ = deep_run
    raw, clean = deep_folders(tmp_path)
    shutil.copytree(root / "run", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config |= {"input_dir": str(raw), "target_dir": str(clean)}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    resume = ("train", f"--workdir={tmp_path / 'run'}", "--steps=6")

    said = refused(*resume, "--input_dtype=uint8", lines=2)
    assert "--input_dtype: the run has uint16, the command says uint8" in said

    for path in raw.rglob("*.tif"):
        eight = (tifffile.imread(path) >> 8).astype(np.uint8)
        tifffile.imwrite(path, eight)
    source = open_source(load_config(tmp_path / "run"), tmp_path / "run")
    source.check()
    assert source.spec == spec_of(load_config(root / "run"), root / "run")
    x, _ = source.load("train", 0)
    np.testing.assert_array_equal(x[..., 0], (deep(0) >> 8) * 257)

    tifffile.imwrite(raw / "train" / "1.tif", smooth(1, 1)[..., 0].astype(np.float32))
    said = refused(*resume, lines=None)
    assert "1 of a depth that cannot become --input_dtype=uint16" in said
    assert "raw/train/1.tif: 32-bit float" in said


# === Labels in ===


@pytest.fixture(scope="module")
def onehot_run(command, tiny, tmp_path_factory):
    """A run on one-hot labels; the user's palette is gone afterwards."""
    root = tmp_path_factory.mktemp("onehot")
    palette = root / "streets.json"
    palette.write_text(json.dumps(PALETTE))
    out = command(
        "train",
        f"--dataset={label_pairs(root)}",
        "--direction=BtoA",
        f"--label_palette={palette}",
        "--input_encoding=onehot",
        f"--workdir={root / 'run'}",
        *tiny,
        *FEW_STEPS,
    )
    expected = load_palette(palette)
    palette.unlink()
    return root, expected, out


def test_the_palette_is_kept_with_the_run(onehot_run):
    root, expected, out = onehot_run
    assert "4 classes of 'streets' (onehot) to RGB, 8 bit" in out
    assert load_palette(root / "run" / "palette.json") == expected
    config = load_config(root / "run")
    assert (config.label_side, config.input_channels) == ("input", 4)
    # What the run shows as its inputs is what the labels look like.
    (sample,) = (root / "run" / "samples" / "inputs").iterdir()
    colors = np.asarray(Image.open(sample)).reshape(-1, 3)
    assert {tuple(c) for c in colors.tolist()} <= {tuple(c) for c in COLORS.tolist()}


def test_colours_and_index_maps_are_the_same_labels(onehot_run, command, tmp_path):
    root, _, _ = onehot_run
    labels = classes(9)
    save(tmp_path / "in" / "color.png", COLORS[labels])
    save(tmp_path / "in" / "index.png", INDICES[labels])
    indexed = Image.fromarray(INDICES[labels])
    indexed.putpalette(bytes(range(256)) * 3)
    indexed.save(tmp_path / "in" / "table.png")
    smeared = COLORS[labels].astype(int) + np.random.default_rng(0).integers(-20, 21, (36, 36, 3))
    save(tmp_path / "in" / "smeared.png", np.clip(smeared, 0, 255).astype(np.uint8))
    save(tmp_path / "in" / "other.png", COLORS[classes(10)])
    command(
        "translate",
        f"--workdir={root / 'run'}",
        f"--input={tmp_path / 'in'}",
        f"--output={tmp_path / 'out'}",
    )
    results = {path.stem: np.asarray(Image.open(path)) for path in (tmp_path / "out").glob("*.png")}
    assert results["color"].shape == (SIZE, SIZE, 3)
    for name in ("index", "table", "smeared"):
        np.testing.assert_array_equal(results[name], results["color"], err_msg=name)
    assert (results["other"] != results["color"]).any()


def test_the_run_is_all_that_is_needed_to_read_its_data(onehot_run):
    root, expected, _ = onehot_run
    source = open_source(load_config(root / "run"), root / "run")
    source.check()
    assert source.spec.x.palette == expected
    x, _ = source.load("train", 1)
    np.testing.assert_array_equal(x[..., 0], classes(1))


def test_a_run_without_its_palette(onehot_run, refused, tmp_path):
    root, _, _ = onehot_run
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(root / "run" / "config.json", run)
    save(tmp_path / "in.png", COLORS[classes(9)])
    said = refused(
        "translate",
        f"--workdir={run}",
        f"--input={tmp_path / 'in.png'}",
        f"--output={tmp_path / 'out'}",
    )
    assert "palette.json is missing" in said
    assert not (tmp_path / "out").exists()


# === Labels out; where decoded pairs are kept ===


@pytest.fixture(scope="module")
def label_data(tmp_path_factory):
    root = tmp_path_factory.mktemp("labels")
    (root / "streets.json").write_text(json.dumps(PALETTE))
    return label_pairs(root), root / "streets.json"


@pytest.fixture(scope="module")
def train_labels(command, tiny, label_data):
    """`train_labels(workdir, *flags)` trains photographs to labels; what the command said."""
    pairs, palette = label_data
    flags = (f"--dataset={pairs}", f"--label_palette={palette}", *tiny, L1)
    return lambda workdir, *more: command("train", f"--workdir={workdir}", *flags, *more)


@pytest.fixture(scope="module")
def label_run(train_labels, tmp_path_factory):
    """A run that makes labels, its pairs held in memory."""
    workdir = tmp_path_factory.mktemp("run") / "memory"
    out = train_labels(workdir, *FEW_STEPS, "--cache=memory")
    assert "train pairs in memory" in out
    return workdir


def test_labels_come_out_in_colours_or_as_numbers(label_run, command, tmp_path):
    assert load_config(label_run).label_side == "target"
    save(tmp_path / "in" / "1.png", photo(1))
    for labels in ("color", "index"):
        command(
            "translate",
            f"--workdir={label_run}",
            f"--input={tmp_path / 'in'}",
            f"--output={tmp_path / labels}",
            f"--labels={labels}",
        )
    results = {
        labels: np.asarray(Image.open(tmp_path / labels / "1.png")) for labels in ("color", "index")
    }
    assert results["index"].dtype == np.uint8
    assert results["index"].shape == (SIZE, SIZE)
    assert set(np.unique(results["index"])) <= set(INDICES.tolist())
    number = np.argmax(results["index"][..., None] == INDICES, axis=-1)
    np.testing.assert_array_equal(results["color"], COLORS[number])


def test_labels_flag_of_translate(label_run, deep_run, refused, tmp_path):
    save(tmp_path / "1.png", photo(1))
    args = (f"--input={tmp_path / '1.png'}", f"--output={tmp_path / 'out'}")
    said = refused("translate", f"--workdir={label_run}", *args, "--labels=numbers")
    assert "--labels=numbers: expected raw, color, index or probabilities" in said
    said = refused("translate", f"--workdir={deep_run[0] / 'run'}", *args, "--labels=index")
    assert "is for runs whose target shows labels" in said


def weights(workdir: Path, step: int) -> str:
    """Hash of everything that a checkpoint restores."""
    (data,) = (workdir / "checkpoints" / f"step_{step:08d}").glob("*.data-*")
    return hashlib.sha256(data.read_bytes()).hexdigest()


def test_every_cache_and_every_sitting_trains_the_same(label_run, train_labels, tmp_path):
    """Two steps decoded as needed, two from a file: bit for bit the four from memory."""
    run, flags = tmp_path / "run", FEW_STEPS[1:]
    out = train_labels(run, *flags, "--steps=2", "--cache=none")
    assert "train pairs read and decoded each time they are needed (--cache=none)" in out
    assert weights(run, 2) != weights(label_run, 4)
    cache = ("--cache=file", f"--data_dir={tmp_path / 'data'}")
    out = train_labels(run, *flags, "--steps=4", *cache)
    assert f"train pairs decoded once into files in {tmp_path / 'data' / 'decoded'}" in out
    assert weights(run, 4) == weights(label_run, 4)


# === Lab ===


@pytest.fixture(scope="module")
def lab_run(command, tiny, tmp_path_factory):
    """A run on single photographs."""
    root = tmp_path_factory.mktemp("lab")
    for seed in range(6):
        save(root / "photos" / f"{seed}.png", photo(seed))
    out = command(
        "train",
        f"--dataset={root / 'photos'}",
        "--color_space=lab",
        "--val_fraction=0.3",
        f"--workdir={root / 'run'}",
        *tiny,
        *FEW_STEPS,
    )
    return root, out


def test_colourization_keeps_the_lightness(lab_run, command, tmp_path):
    root, out = lab_run
    assert "pairs of 36x36 (single pictures, split by name; L to ab of CIELAB)" in out
    config = load_config(root / "run")
    assert (config.input_channels, config.target_channels) == (1, 2)
    # Neither black nor white: there no colour has room on a screen.
    middle = (photo(20) // 2 + 64).astype(np.uint8)
    save(tmp_path / "in" / "colour.png", middle)
    grey = np.asarray(Image.fromarray(middle).convert("L"))
    save(tmp_path / "in" / "grey.png", grey)
    command(
        "translate",
        f"--workdir={root / 'run'}",
        f"--input={tmp_path / 'in'}",
        f"--output={tmp_path / 'out'}",
    )
    for name, source in (("colour", middle), ("grey", np.stack([grey] * 3, -1))):
        result = np.asarray(Image.open(tmp_path / "out" / f"{name}.png"))
        assert result.shape == (SIZE, SIZE, 3)
        assert result.dtype == np.uint8
        # An 8-bit step of one colour moves L by at most 0.5, and three are rounded.
        np.testing.assert_allclose(rgb2lab(result)[..., 0], rgb2lab(source)[..., 0], atol=1.0)


# === Bad input, in one sentence each ===


def test_stems_without_a_partner(train_refused, tmp_path):
    for seed in range(14):
        save(tmp_path / "A" / f"{seed:02d}.png", photo(seed))
    for seed in (0, 1, 50):
        save(tmp_path / "B" / f"{seed:02d}.png", photo(seed))
    said = train_refused(
        f"--input_dir={tmp_path / 'A'}", f"--target_dir={tmp_path / 'B'}", lines=None
    )
    assert "13 images cannot be used; mend or remove them." in said.splitlines()[0]
    assert "12 without a partner of the same stem in B/:\n    A/02.png\n    A/03.png" in said
    assert "and 2 more" in said
    assert "1 without a partner of the same stem in A/:\n    B/50.png" in said


def test_mixed_channel_counts(train_refused, tmp_path):
    for seed in range(4):
        picture = photo(seed)
        save(tmp_path / "set" / "A" / f"{seed}.png", picture)
        save(tmp_path / "set" / "B" / f"{seed}.png", picture[..., 0] if seed == 2 else picture)
    said = train_refused(f"--dataset={tmp_path / 'set'}", lines=None)
    assert "1 of another number of channels (the others: 3)" in said
    assert "--target_channels=3 makes them alike:\n    B/2.png: 1" in said


def test_mixed_depths(train_refused, tmp_path):
    for seed in range(4):
        save(tmp_path / "set" / "A" / f"{seed}.png", deep(seed))
        eight = (deep(seed) >> 8).astype(np.uint8)
        save(tmp_path / "set" / "B" / f"{seed}.png", eight if seed else deep(seed))
    said = train_refused(f"--dataset={tmp_path / 'set'}", "--val_fraction=0", lines=None)
    assert "1 of another depth (the others: 8 bit)" in said
    assert "--target_dtype=uint16 makes them alike:\n    B/0.png: 16 bit" in said


def test_zero_pairs_are_left(train_refused, tmp_path):
    # sha256("a") = ca97...: it stands at 0.79 of the names, so below 0.9.
    save(tmp_path / "set" / "a.png", np.hstack([photo(0), photo(1)]))
    said = train_refused(f"--dataset={tmp_path / 'set'}", "--val_fraction=0.9")
    assert "no pairs are left for training (found: 1 val)" in said
    save(tmp_path / "two" / "A" / "1_left.png", photo(0))
    save(tmp_path / "two" / "B" / "1_right.png", photo(0))
    said = train_refused(f"--dataset={tmp_path / 'two'}")
    assert "no pairs, for no image in A/ has a partner of the same stem in B/" in said


def test_a_palette_that_does_not_cover(train_refused, tmp_path):
    pairs = label_pairs(tmp_path)
    said = train_refused(f"--dataset={pairs}", "--label_palette=facades")
    assert "--label_palette=facades: its colours cover" in said
    assert "at least 90% of a label image's are expected" in said


def test_a_manifest_with_a_missing_column_or_file(train_refused, tmp_path):
    save(tmp_path / "a.png", photo(0))
    manifest = tmp_path / "pairs.csv"
    manifest.write_text("photo,target\na.png,a.png\n")
    said = train_refused(f"--dataset={manifest}")
    assert "line 2 has no column 'input' (found: photo, target)" in said
    assert "--input_key" in said
    manifest.write_text("photo,target\na.png,a.png\na.png,gone.png\n")
    said = train_refused(f"--dataset={manifest}", "--input_key=photo", lines=None)
    assert "1 named in the manifest, but not there:\n    line 3: gone.png" in said


def test_unpaired_folders(train_refused, tmp_path):
    for seed in range(3):
        save(tmp_path / "set" / "trainA" / f"a{seed}.png", photo(seed))
        save(tmp_path / "set" / "trainB" / f"b{seed}.png", photo(seed))
    said = train_refused(f"--dataset={tmp_path / 'set'}")
    assert "unpaired, 0 of the 3 images in trainA/ have a partner" in said
    assert "--algorithm=cyclegan learns from such folders" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--input_dir=a"], "--target_dir is missing"),
        (["--input_dir=a", "--target_dir=nowhere"], "--target_dir="),
        (
            ["--input_dir=a", "--target_dir=b", "--dataset=a"],
            "does not go with --input_dir and --target_dir; drop it",
        ),
        (
            ["--input_dir=a", "--target_dir=b", "--direction=BtoA"],
            "--direction=BtoA does not go with --input_dir and --target_dir; drop it, or exchange",
        ),
        (["--dataset=a", "--input_range=9:3"], "--input_range=9:3: expected LOW:HIGH"),
        (["--dataset=a", "--input_encoding=onehot"], "give --label_palette="),
        (["--dataset=a", "--layout=two_folders"], "neither A/ beside B/"),
        (["--dataset=a", "--layout=single"], "single pictures are no pairs"),
        (["--dataset=a", "--cache=disk"], "--cache=disk is not one of auto, memory, file, none"),
    ],
)
def test_flags_that_cannot_be_meant(refused, tmp_path, flags, said):
    for name in "ab":
        save(tmp_path / name / "1.png", np.hstack([photo(0), photo(1)]))
    assert said in refused("train", "--workdir=new", *flags)
    assert not (tmp_path / "new").exists()
