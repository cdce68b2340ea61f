"""`tfpix2pix inspect`: sets drawn with known properties, through the real command."""

from __future__ import annotations

import dataclasses
import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import DataError
from tfpix2pix.cli import inspect as command
from tfpix2pix.cli.flags import Parser, given_config
from tfpix2pix.config import resolve
from tfpix2pix.config.dataset import open_source
from tfpix2pix.data import load_palette, write_image

WRITTEN = {"inspect.html", "inspect.json", "contact_sheet.png"}
labels = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "painted.py")))
MINE, painted = labels.MINE, labels.painted


def noise(seed: int, height: int = 16, width: int = 32, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_all(folder: Path, images: dict[str, np.ndarray]) -> Path:
    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, image)
    return folder


def labelled(folder: Path, colors, suffix: str) -> Path:
    """Label images left, noise right: eight in train, two in val."""
    for number in range(10):
        split = "val" if number > 7 else "train"
        pair = np.concatenate([painted(number, colors), noise(number, 48, 48)], axis=1)
        (folder / split).mkdir(parents=True, exist_ok=True)
        options = {} if suffix == ".png" else {"quality": 80}
        Image.fromarray(pair).save(folder / split / f"{number}{suffix}", **options)
    return folder


@pytest.fixture
def good(tmp_path) -> Path:
    """Four pairs in train and two in val, 16x16 pixels each."""
    names = [f"train/{k}.png" for k in range(4)] + [f"val/{k}.png" for k in range(2)]
    return write_all(tmp_path / "good", {name: noise(k) for k, name in enumerate(names)})


@pytest.fixture
def inspect(run_cli, tmp_path, without_tensorflow, hashes):
    """`inspect(*flags) -> (exit code, stdout, facts)`; TensorFlow is not there to be imported.

    Asserts that nothing else than the report is written, and that no data set changes.
    """

    def run(*flags: str, **options):
        before = hashes(tmp_path)
        done = run_cli("inspect", *flags, "--output=report", env=without_tensorflow, **options)
        after = hashes(tmp_path)
        assert done.stderr == ""
        new = {name for name in after if name not in before}
        assert all(name.startswith("report/") for name in new), new
        assert before.items() <= after.items()
        assert {Path(name).name for name in new} >= WRITTEN
        assert "Traceback" not in done.stdout
        facts = json.loads((tmp_path / "report" / "inspect.json").read_text())
        assert facts["accepted"] == (done.returncode == 0)
        last = "training would accept it" if facts["accepted"] else "training would refuse it: "
        assert last in done.stdout
        return done.returncode, done.stdout, facts

    return run


# === Good sets ===


def test_two_sides_are_described_each_by_itself(inspect, tmp_path):
    images = {f"trainA/a{k}.png": noise(k) for k in range(4)}
    images |= {f"trainB/b{k}.png": noise(20 + k, 24, 24, 1) for k in range(3)}
    images |= {"valA/a9.png": noise(0), "valB/b9.png": noise(29, 24, 24, 1)}
    # The same picture on both sides, and twice on one.
    images |= {"trainA/b2.png": noise(22, 24, 24, 1), "trainB/b3.png": noise(20, 24, 24, 1)}
    images["trainA/b2.png"] = images["trainB/b2.png"] = noise(3)
    folder = write_all(tmp_path / "sides", images)
    code, out, facts = inspect(
        f"--dataset={folder}", "--input_channels=3", "--target_channels=3", "--allow_mixed_sizes"
    )
    assert code == 0
    assert out.endswith("training would accept it, with --algorithm=cyclegan\n")
    assert "images      5 and 4 train, 1 and 1 val (input and target)" in out
    assert facts["images"] == {"train": [5, 4], "val": [1, 1]}
    assert facts["input"]["sizes"] == [{"width": 32, "height": 16, "images": 6}]
    assert facts["target"]["channels"] == {"1": 4, "3": 1}
    assert facts["target"]["sizes"][0] == {"width": 24, "height": 24, "images": 4}
    found = [
        (group["what"], group["leaks"], group["files"]) for group in facts["duplicates"]["listed"]
    ]
    assert found == [
        ("side", False, ["trainA/a3.png", "trainA/b2.png", "trainB/b2.png"]),
        ("input", True, ["trainA/a0.png", "valA/a9.png"]),
        ("target", False, ["trainB/b0.png", "trainB/b3.png"]),
    ]
    assert "warning: on both sides: 1 image is the same picture in A and in B" in out
    assert "1 input image (in 2 files) stands in more than one split" in out
    assert any("1 of the 5 images in trainA/ have a partner" in note for note in facts["notes"])
    page = (tmp_path / "report" / "inspect.html").read_text()
    assert "Both sides" in page
    assert "a0 | b0" in page


def test_pairs_that_are_to_be_trained_unpaired(inspect, good):
    code, out, facts = inspect(f"--dataset={good}", "--data=unpaired", "--disjoint_stems")
    assert code == 0
    assert out.endswith("training would accept it, with --algorithm=cyclegan --data=unpaired\n")
    assert facts["pairs"] == {"train": 4, "val": 2}
    assert "training sees inputs of 2 of them and targets of the other 2" in facts["notes"]


def test_a_good_set_is_described_and_accepted(inspect, good, tmp_path):
    code, out, facts = inspect(f"--dataset={good}", fresh=True)
    assert code == 0
    assert out.endswith("training would accept it\n")
    assert facts["pairs"] == {"train": 4, "val": 2}
    for side, letter in (("input", "A"), ("target", "B")):
        assert facts[side]["side"] == letter
        assert facts[side]["sizes"] == [{"width": 16, "height": 16, "images": 6}]
        assert facts[side]["channels"] == {"3": 6}
        assert facts[side]["depths"] == {"uint8": 6}
    drawn = np.stack([noise(k) for k in range(6)])
    assert facts["input"]["mean"] == pytest.approx(drawn[:, :, :16].mean())
    assert facts["target"]["std"] == pytest.approx(drawn[:, :, 16:].std())
    size = sum(path.stat().st_size for path in good.rglob("*.png"))
    assert facts["files"] == {"count": 6, "bytes": size, "extensions": {".png": 6}}
    assert facts["duplicates"] == {"groups": 0, "leaks": 0, "listed": []}
    assert facts["decoded"]["train"] == {"bytes": 4 * 143**2 * 6, "cache": "memory"}
    assert facts["faults"] == facts["warnings"] == []
    assert "pairs       4 train, 2 val" in out
    with Image.open(tmp_path / "report" / "contact_sheet.png") as sheet:
        assert sheet.format == "PNG"
    page = (tmp_path / "report" / "inspect.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 12


def test_fewer_pairs_may_be_shown(inspect, good, tmp_path):
    inspect(f"--dataset={good}", "--images=1")
    page = (tmp_path / "report" / "inspect.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 4


def test_the_report_has_a_name_of_its_own_and_is_replaced(run_cli, good, tmp_path):
    for _ in range(2):
        assert run_cli("inspect", f"--dataset={good}", "--noduplicates").returncode == 0
        assert {path.name for path in (tmp_path / "inspect-good").iterdir()} == WRITTEN


def test_the_sample_set_needs_no_files(inspect):
    code, out, facts = inspect("--dataset=sample", "--sample_pairs=8", "--crop_size=32")
    assert code == 0
    assert facts["pairs"] == {"train": 8, "val": 2, "test": 2}
    assert facts["input"]["palette"]["builtin"] == ["sample"]
    assert facts["files"]["count"] == 0
    assert "--label_palette=sample" in out


def test_sixteen_bits_stay_sixteen_bits(inspect, tmp_path):
    deep = {f"train/{k}.png": noise(k, channels=1).astype(np.uint16) * 200 for k in range(3)}
    deep["val/0.png"] = noise(9, channels=1).astype(np.uint16) * 200
    code, out, facts = inspect(f"--dataset={write_all(tmp_path / 'deep', deep)}")
    assert code == 0
    assert facts["input"]["depths"] == {"uint16": 4}
    assert facts["input"]["channels"] == {"1": 4}
    assert facts["form"] == "grey, 16 bit"
    highest = max(int(image[:, :16].max()) for image in deep.values())
    assert facts["input"]["high"] == highest
    assert f"grey, 16 bit, values {facts['input']['low']:.6g} to {highest:.6g}, mean " in out


def test_two_folders_and_a_manifest_are_looked_at_as_well(inspect, tmp_path):
    images = {f"in/{k}.png": noise(k) for k in range(4)}
    images |= {f"out/{k}.jpg": noise(9 + k) for k in range(4)}
    write_all(tmp_path / "d", images)
    folders = (f"--input_dir={tmp_path}/d/in", f"--target_dir={tmp_path}/d/out")
    code, _, facts = inspect(*folders, "--val_fraction=0")
    assert (code, facts["pairs"]) == (0, {"train": 4})
    assert facts["files"]["extensions"] == {".png": 4, ".jpg": 4}
    assert "no val split" in facts["warnings"][0]

    rows = ["input,target,split", *(f"d/in/{k}.png,d/out/{k}.jpg,train" for k in range(4))]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    shutil.rmtree(tmp_path / "report")
    code, _, facts = inspect(f"--dataset={tmp_path}/pairs.csv")
    assert (code, facts["pairs"], facts["layout"]) == (0, {"train": 4}, "manifest")


# === Palettes ===


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_palette_is_found(inspect, tmp_path, suffix):
    folder = labelled(tmp_path / "labels", load_palette("facades").colors, suffix)
    code, out, facts = inspect(f"--dataset={folder}")
    assert code == 0
    assert facts["input"]["palette"]["builtin"] == ["facades"]
    assert facts["input"]["palette"]["covered"] > 0.98
    assert facts["target"]["palette"] is None
    assert "--label_palette=facades" in out


def test_onehot_flags_are_those_of_training(inspect, tmp_path):
    folder = labelled(tmp_path / "labels", load_palette("facades").colors, ".png")
    code, out, facts = inspect(
        f"--dataset={folder}", "--label_palette=facades", "--input_encoding=onehot"
    )
    assert code == 0
    assert facts["form"] == "12 classes of 'facades' (onehot) to RGB, 8 bit"
    assert facts["input"]["covered"] == 1.0
    # A class and three colours, at the load size of the preset.
    assert facts["decoded"]["train"]["bytes"] == 8 * 143**2 * 4
    assert "100.0% of the input" in out


def test_colours_of_nobody_become_a_palette_that_can_be_used(inspect, tmp_path):
    folder = labelled(tmp_path / "labels", MINE, ".png")
    code, out, facts = inspect(f"--dataset={folder}")
    assert code == 0
    assert {c["color"] for c in facts["input"]["palette"]["colors"]} == {
        "#{:02x}{:02x}{:02x}".format(*color) for color in MINE
    }
    written = tmp_path / "report" / "palette_found.json"
    assert "palette_found.json" in out
    assert {label.color for label in load_palette(written).classes} == set(MINE)

    mine = shutil.copy(written, tmp_path / "mine.json")
    code, out, facts = inspect_again(inspect, tmp_path, folder, mine)
    assert code == 0
    assert facts["input"]["covered"] == 1.0
    assert facts["form"].startswith("4 classes of 'found'")


def inspect_again(inspect, tmp_path, folder, palette):
    shutil.rmtree(tmp_path / "report")
    return inspect(f"--dataset={folder}", f"--label_palette={palette}")


def test_a_palette_of_an_earlier_look_does_not_stay(run_cli, tmp_path):
    folder = labelled(tmp_path / "labels", MINE, ".png")
    found = tmp_path / "out" / "palette_found.json"
    flags = ("--output=out", "--noduplicates")
    run_cli("inspect", f"--dataset={folder}", *flags)
    assert found.is_file()
    run_cli("inspect", "--dataset=sample", "--sample_pairs=4", "--crop_size=32", *flags)
    assert not found.exists()


def test_index_maps_beside_the_pairs_are_told(inspect, tmp_path):
    folder = labelled(tmp_path / "labels", load_palette("camvid").colors, ".png")
    for number in range(8):
        write_all(folder, {f"train_index/{number}.png": noise(number, 48, 48, 1) % 12})
    code, out, facts = inspect(f"--dataset={folder}")
    assert code == 0
    assert facts["index_maps"] == {"train_index/": 8}
    assert "train_index/ (8)" in out


# === Warnings ===


def test_leakage_is_a_warning(inspect, good):
    shutil.copy(good / "train/2.png", good / "val/copy.png")
    shutil.copy(good / "train/1.png", good / "train/again.png")
    code, out, facts = inspect(f"--dataset={good}")
    assert code == 0
    assert facts["duplicates"]["groups"] == 2
    assert facts["duplicates"]["leaks"] == 1
    first = facts["duplicates"]["listed"][0]
    assert first == {"what": "pair", "leaks": True, "files": ["train/2.png", "val/copy.png"]}
    assert "warning: leakage: 1 pair" in out
    assert "train/2.png = val/copy.png" in out
    assert "train/1.png = train/again.png" in out


def test_a_leak_is_named_in_both_splits(inspect, good):
    for copy in ("train/x.png", "train/y.png", "train/z.png", "val/z.png"):
        shutil.copy(good / "train/2.png", good / copy)
    _, out, facts = inspect(f"--dataset={good}")
    assert "(train/2.png = val/z.png)" in out
    assert len(facts["duplicates"]["listed"][0]["files"]) == 5


def test_a_copy_in_another_format_is_a_duplicate_too(inspect, good):
    write_image(good / "val/same.bmp", noise(2))  # the pixels of train/2.png
    _, _, facts = inspect(f"--dataset={good}")
    assert facts["duplicates"]["listed"][0]["files"] == ["train/2.png", "val/same.bmp"]


def test_without_hashing_duplicates_are_not_looked_for(inspect, good):
    shutil.copy(good / "train/2.png", good / "val/copy.png")
    code, out, facts = inspect(f"--dataset={good}", "--noduplicates")
    assert (code, facts["duplicates"], facts["warnings"]) == (0, None, [])
    assert "not looked for" in out


# === Refusals ===


def unreadable(folder: Path) -> None:
    (folder / "train/1.png").write_bytes((folder / "train/1.png").read_bytes()[:200])


def odd_width(folder: Path) -> None:
    write_image(folder / "train/1.png", noise(7, 16, 33))


def other_size(folder: Path) -> None:
    write_image(folder / "val/1.png", noise(7, 16, 48))


def mixed_depth(folder: Path) -> None:
    write_image(folder / "train/1.png", noise(7).astype(np.uint16) * 257)


def mixed_channels(folder: Path) -> None:
    write_image(folder / "train/1.png", noise(7, channels=1))


def no_fault(folder: Path) -> None:
    pass


def leaked(folder: Path) -> None:
    shutil.copy(folder / "train/1.png", folder / "val/9.png")


@pytest.mark.parametrize(
    ("spoil", "kind", "entry"),
    [
        (unreadable, "unreadable", "train/1.png: "),
        (odd_width, "of odd width", "train/1.png: 33x16"),
        (other_size, "of another size", "val/1.png: 48x16"),
        (mixed_depth, "of another depth (the others: 8 bit)", "train/1.png: 16 bit"),
        (mixed_channels, "of another number of channels", "train/1.png: 1"),
    ],
)
def test_a_fault_is_named_and_refused(inspect, good, tmp_path, spoil, kind, entry):
    spoil(good)
    code, out, facts = inspect(f"--dataset={good}")
    assert code == 1
    fault = next(fault for fault in facts["faults"] if fault["what"].startswith(kind))
    assert fault["count"] == 1
    assert fault["files"][0].startswith(entry)
    assert entry in out[out.index("training would refuse it: ") :]
    page = (tmp_path / "report" / "inspect.html").read_text(encoding="utf-8")
    assert page.index(entry) < page.index("What it is")


def test_stems_without_a_partner_are_refused(inspect, tmp_path):
    images = {f"A/{k}.png": noise(k) for k in range(14)}
    images |= {f"B/{k}.png": noise(20 + k) for k in range(2)}
    code, out, facts = inspect(f"--dataset={write_all(tmp_path / 'd', images)}", "--val_fraction=0")
    assert code == 1
    assert facts["faults"][0]["count"] == 12
    assert "12 without a partner of the same stem in B/" in out
    assert "and 2 more" in out


def test_what_cannot_be_opened_is_one_sentence(run_cli, without_tensorflow, tmp_path):
    images = {f"train{s}/{s}{k}.png": noise(k) for s in "AB" for k in range(3)}
    folder = write_all(tmp_path / "empty", images)
    for path in (folder / "trainB").iterdir():
        path.unlink()
    for dataset, word in (
        (folder, "trainB/ holds no images; put images there"),
        (tmp_path / "nowhere", "no such folder"),
    ):
        done = run_cli("inspect", f"--dataset={dataset}", env=without_tensorflow)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith(
            f"tfpix2pix inspect: training would refuse it: --dataset={dataset}: {word}"
        )
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("inspect-*"))


def test_nothing_is_written_into_the_data_set(refused, good, tmp_path, hashes):
    before = hashes(tmp_path)
    for output in (good, good / "report", good / "train"):
        text = refused("inspect", f"--dataset={good}", f"--output={output}")
        assert "own folder" in text
    (tmp_path / "link").symlink_to(good)
    assert "own folder" in refused("inspect", f"--dataset={good}", "--output=link/report")
    assert hashes(tmp_path) == before


def test_the_default_folder_is_refused_inside_the_data_set_too(run_cli, good, hashes):
    before = hashes(good)
    done = run_cli("inspect", "--dataset=.", cwd=good)
    assert done.returncode == 2
    assert "give another --output" in done.stderr
    assert hashes(good) == before


def test_flags_that_cannot_be_meant(refused, good, tmp_path):
    (tmp_path / "file").write_text("x")
    data = f"--dataset={good}"
    assert "expected 1 to 64" in refused("inspect", data, "--images=0", fresh=True)
    assert "is a file" in refused("inspect", data, "--output=file")
    assert "is a file" in refused("inspect", data, "--output=file/below")
    assert "did you mean '--direction'" in refused("inspect", data, "--directon=BtoA")
    assert "not one of AtoB, BtoA" in refused("inspect", data, "--direction=left")


# === The same verdict as training's ===


def argued(*flags: str):
    parser = Parser(prog="tfpix2pix inspect")
    command.add_flags(parser)
    return parser.parse_args(list(flags))


def train_would_refuse(args) -> bool:
    try:
        open_source(resolve(given_config(args))).check()
    except DataError:
        return True
    return False


SPOILERS = (
    no_fault,
    unreadable,
    odd_width,
    other_size,
    mixed_depth,
    mixed_channels,
    leaked,
)
WISHES = (
    (),
    ("--direction=BtoA",),
    ("--allow_mixed_sizes",),
    ("--input_channels=3", "--target_channels=3"),
    ("--input_dtype=uint16", "--target_dtype=uint16"),
    ("--target_dtype=float32",),
    ("--label_palette=facades",),
    ("--label_palette=nobodys",),
    ("--color_space=lab", "--layout=single"),
    ("--layout=two_folders",),
    ("--cache=none", "--preset=facades"),
)


@pytest.mark.parametrize("spoil", SPOILERS)
def test_the_verdict_is_that_of_training(good, tmp_path, spoil, capsys):
    spoil(good)
    verdicts = set()
    for wish in WISHES:
        args = argued(f"--dataset={good}", f"--output={tmp_path}/report", *wish)
        refuses = train_would_refuse(args)
        assert command.main(args) == int(refuses), (wish, capsys.readouterr().out)
        verdicts.add(refuses)
    assert True in verdicts
    assert (False in verdicts) or spoil in (unreadable, odd_width)


def test_every_flag_of_the_data_is_there():
    flags = vars(argued("--dataset=x"))
    assert set(flags) >= {"output", "images", "duplicates"}
    parser = Parser(prog="x")
    command.add_flags(parser)
    text = parser.format_help()
    for field in dataclasses.fields(Pix2PixConfig):
        if field.metadata["group"] == "data" and field.name != "flip":
            assert f"--{field.name}" in text
    assert "--ngf" not in text
    assert "--epochs" not in text


def test_planes_of_stacks_are_told_with_flags_that_work(run_cli, tmp_path):
    for side, axes in (("A", "ZYX"), ("B", "CYX")):
        for k in range(3):
            path = tmp_path / "d" / side / "train" / f"{k}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            stack = np.random.default_rng(k).integers(0, 60000, (5, 64, 64)).astype("uint16")
            tifffile.imwrite(path, stack, imagej=True, metadata={"axes": axes})
    command = ["inspect", f"--dataset={tmp_path / 'd'}", f"--output={tmp_path / 'seen'}"]
    seen = run_cli(*command).stdout
    assert "trained as  grey, 16 bit to 5 channels, 16 bit" in seen
    assert (
        "note: A/train/0.tif and 2 other files: 5 pages (depths), of which the first is read "
        "(--input_planes=channels reads all as channels, --input_planes=2 the second alone)" in seen
    )
    for flag, form in (("channels", "5 channels"), ("2", "grey")):
        seen = run_cli(*command, f"--input_planes={flag}", "--target_planes=3").stdout
        assert f"trained as  {form}, 16 bit" in seen
        assert "pages" not in seen
