"""Data sets of TFDS as folders: toy sets, prepared here, without a network."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import open_dataset
from tfpix2pix.data.sources import tfds_sets
from tfpix2pix.data.sources.paper_sets import PAPER_SETS
from tfpix2pix.data.sources.tfds_sets import tfds_folder

tfds = pytest.importorskip("tensorflow_datasets", reason="needs the tfds extra")
epath = pytest.importorskip("etils.epath")

BUILDERS = Path(__file__).resolve().parents[3] / "data" / "sources" / "builders"
DUMMY = BUILDERS / "facades" / "dummy_data"
COUNTS = {"train": 4, "validation": 2, "test": 1, "unlabelled": 1}
H, W = 6, 8


def example(split: str, index: int) -> dict[str, object]:
    """One example of `toy_pairs`, drawn from its split and number."""
    dice = np.random.default_rng([list(COUNTS).index(split), index])
    return {
        "photo": dice.integers(0, 256, (H, W, 3), np.uint8),
        "rgba": dice.integers(0, 256, (H, W, 4), np.uint8),
        "deep": dice.integers(0, 65536, (H, W, 1), np.uint16),
        "deep_colour": dice.integers(0, 65536, (H, W, 3), np.uint16),
        "labels": dice.integers(0, 5, (H, W, 1), np.uint8),
        "classes": dice.integers(0, 200, (H, W), np.int64),
        "many_classes": dice.integers(0, 70000, (H, W), np.int32) % 60000,
        "signed": dice.integers(-1, 5, (H, W), np.int32),
        "mask": dice.integers(0, 2, (H, W)).astype(bool),
        "depth": dice.random((H, W), np.float32),
        "normals": dice.random((H, W, 2), np.float32).astype(np.float16),
        "bands": dice.integers(0, 256, (H, W, 7), np.uint8),
        "pair": {"left": dice.integers(0, 256, (H, W, 3), np.uint8), "name": f"{split}{index}"},
        "kind": int(dice.integers(0, 3)),
        "clip": dice.integers(0, 256, (2, H, W, 3), np.uint8),
        "boxes": [{"corner": 0.5}],
    }


class _Toy(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    # TFDS finds files beside a builder by its package, and the folders of tests/ are none.
    code_path = epath.Path(__file__)


class ToyPairs(_Toy):
    VERSION = tfds.core.Version("1.2.0")

    def _info(self):
        kinds = tfds.features
        features = {
            "photo": kinds.Image(shape=(None, None, 3)),
            "rgba": kinds.Image(shape=(H, W, 4)),
            "deep": kinds.Image(shape=(None, None, 1), dtype=np.uint16),
            "deep_colour": kinds.Image(shape=(H, W, 3), dtype=np.uint16),
            "labels": kinds.LabeledImage(shape=(None, None, 1), labels=5),
            "classes": kinds.Tensor(shape=(H, W), dtype=np.int64),
            "many_classes": kinds.Tensor(shape=(H, W), dtype=np.int32),
            "signed": kinds.Tensor(shape=(H, W), dtype=np.int32),
            "mask": kinds.Tensor(shape=(H, W), dtype=np.bool_),
            "depth": kinds.Tensor(shape=(H, W), dtype=np.float32),
            "normals": kinds.Tensor(shape=(H, W, 2), dtype=np.float16),
            "bands": kinds.Tensor(shape=(H, W, 7), dtype=np.uint8),
            "pair": {"left": kinds.Image(shape=(H, W, 3)), "name": kinds.Text()},
            "kind": kinds.ClassLabel(num_classes=3),
            "clip": kinds.Video(shape=(2, H, W, 3)),
            "boxes": kinds.Sequence({"corner": np.float32}),
        }
        return tfds.core.DatasetInfo(builder=self, features=kinds.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in COUNTS}

    def _generate_examples(self, split="train"):
        for index in range(COUNTS[split]):
            yield index, example(split, index)


class ToyUnpaired(_Toy):
    """Splits and features as `cycle_gan` has them."""

    VERSION = tfds.core.Version("3.0.0")
    PER_SPLIT = {"trainA": 3, "trainB": 2, "testA": 1, "testB": 1}  # noqa: RUF012

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "copy": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=["A", "B"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.PER_SPLIT}

    def _generate_examples(self, split="trainA"):
        for index in range(self.PER_SPLIT[split]):
            level = 10 * list(self.PER_SPLIT).index(split) + index
            image = np.full((4, 4, 3), level, np.uint8)
            yield index, {"image": image, "copy": image, "label": split[-1]}


class ToyOnlyTest(_Toy):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(4, 4, 3))})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"challenge": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"image": np.zeros((4, 4, 3), np.uint8)}


class ToyByHand(ToyOnlyTest):
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Register at example.org\n  and download toys.zip."


class ToyOffline(ToyOnlyTest):
    """Comes from a host that does not exist: .invalid never resolves (RFC 2606)."""

    url_infos = {"https://nowhere.invalid/toys.zip": None}  # noqa: RUF012

    def _split_generators(self, dl_manager):
        path = dl_manager.download("https://nowhere.invalid/toys.zip")
        return {"train": self._generate_examples(path)}


class ToyBroken(ToyOnlyTest):
    def _split_generators(self, dl_manager):
        raise RuntimeError("the toys have moved\nsecond line")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data folder that all tests of good sets share: TFDS prepares each set once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def no_tfds_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "theirs"))


def read(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path)
    import tensorflow as tf

    content = path.read_bytes()
    depth = tf.uint16 if content[24] == 16 else tf.uint8  # The bit depth in PNG's header.
    return tf.io.decode_png(content, dtype=depth).numpy()


def one(folder: Path, stem: str) -> Path:
    (found,) = folder.glob(f"{stem}.*")
    return found


def matching(array: np.ndarray) -> tuple[str, int]:
    """Which example of `toy_pairs` a photo is of: TFDS may have shuffled them."""
    for split, count in COUNTS.items():
        for index in range(count):
            if np.array_equal(example(split, index)["photo"], array):
                return split, index
    raise AssertionError("an image of no example")


def test_a_pair_becomes_two_folders(home):
    stages = []
    folder, form = tfds_folder(
        "tfds:toy_pairs",
        input_key="photo",
        target_key="pair/left",
        data_dir=home,
        progress=lambda *stage: stages.append(stage),
    )
    assert form == "two_folders"
    assert folder == home / "tfds" / "toy_pairs-1.2.0-photo__pair.left"
    assert stages[-1] == ("writing the images of toy_pairs", 7, 7, "image")
    names = {"train": "train", "val": "validation", "test": "test"}
    for side in "AB":
        found = {
            split.name: sorted(p.name for p in split.iterdir())
            for split in (folder / side).iterdir()
        }
        assert found == {
            ours: [f"{i:06d}.png" for i in range(COUNTS[theirs])] for ours, theirs in names.items()
        }
    seen = set()
    for path in sorted((folder / "A").rglob("*.png")):
        split, index = matching(read(path))
        assert split == names[path.parent.name]
        partner = folder / "B" / path.relative_to(folder / "A")
        np.testing.assert_array_equal(read(partner), example(split, index)["pair"]["left"])
        seen.add((split, index))
    assert len(seen) == 7


def test_the_folder_is_written_once(home, monkeypatch):
    args = {"input_key": "photo", "target_key": "pair/left", "data_dir": home}
    folder, _ = tfds_folder("toy_pairs", **args)
    before = one(folder / "A" / "train", "000000").stat().st_mtime_ns
    monkeypatch.setattr(tfds_sets, "_write", None)
    monkeypatch.setattr(tfds_sets, "_prepare", None)
    assert tfds_folder("tfds:toy_pairs:1.2.0", **args)[0] == folder
    assert one(folder / "A" / "train", "000000").stat().st_mtime_ns == before
    assert not list((home / "tfds").glob("*.incomplete"))


@pytest.mark.parametrize(
    ("key", "extension", "dtype"),
    [
        ("rgba", ".png", np.uint8),
        ("deep", ".png", np.uint16),
        ("deep_colour", ".png", np.uint16),
        ("labels", ".png", np.uint8),
        ("classes", ".png", np.uint8),
        ("many_classes", ".png", np.uint16),
        ("signed", ".npy", np.int32),
        ("mask", ".png", np.uint8),
        ("depth", ".npy", np.float32),
        ("normals", ".npy", np.float16),
        ("bands", ".npy", np.uint8),
    ],
)
def test_every_type_keeps_every_value(home, key, extension, dtype):
    folder, _ = tfds_folder("toy_pairs", input_key="photo", target_key=key, data_dir=home)
    for path in sorted((folder / "A" / "train").iterdir()):
        split, index = matching(read(path))
        partner = one(folder / "B" / "train", path.stem)
        assert partner.suffix == extension
        array, expected = read(partner), example(split, index)[key]
        assert array.dtype == dtype
        np.testing.assert_array_equal(array.reshape(expected.shape), expected)


def test_pillow_reads_the_images_too(home):
    folder, _ = tfds_folder("toy_pairs", input_key="photo", target_key="pair/left", data_dir=home)
    path = one(folder / "A" / "train", "000000")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), read(path))


def test_one_key_for_both_gives_single_images(home):
    folder, form = tfds_folder("toy_pairs", input_key="photo", target_key="photo", data_dir=home)
    assert form == "single"
    counts = {split.name: len(list(split.glob("*.png"))) for split in folder.iterdir()}
    assert counts == {"train": 4, "val": 2, "test": 1}


def test_an_unpaired_set_serves_where_one_image_makes_the_pair(home):
    folder, form = tfds_folder("toy_unpaired", input_key="image", target_key="image", data_dir=home)
    assert form == "single"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    train = {f"train/a{i:06d}.png" for i in range(3)} | {f"train/b{i:06d}.png" for i in range(2)}
    assert found == train | {"test/a000000.png", "test/b000000.png"}
    level = lambda stem: {int(read(p).mean()) // 10 for p in folder.glob(stem)}  # noqa: E731
    assert [level(s) for s in ("train/a*", "train/b*", "test/a*", "test/b*")] == [
        {0},
        {1},
        {2},
        {3},
    ]


@pytest.mark.parametrize(
    ("spec", "target"), [("toy_unpaired", "copy"), ("cycle_gan/horse2zebra", "label")]
)
def test_an_unpaired_set_is_no_pair(home, spec, target):
    refusal("--algorithm=cyclegan learns from it", spec, home, ("image", target))


@pytest.mark.parametrize(("keys", "folder"), [(("", ""), "image__image"), (("copy", ""), "copy")])
def test_an_unpaired_set_has_two_sides(home, keys, folder):
    found = open_dataset(
        "tfds:toy_unpaired",
        data="unpaired",
        input_key=keys[0],
        target_key=keys[1],
        data_dir=home,
    )
    assert folder in str(found.files[0].listing.root)
    assert [found.sides(split) for split in ("train", "val", "test")] == [(3, 2), (0, 0), (1, 1)]
    assert found.pair_name("train", 2) == "a000002"
    levels = [found.load("train", i) for i in range(found.count("train"))]
    assert sorted(int(x.mean()) for x, _ in levels) == [0, 1, 2]
    assert {int(y.mean()) for _, y in levels} == {10, 11}  # TFDS may have shuffled them


def test_a_paired_set_of_tfds_may_be_trained_unpaired(home):
    keys = {"input_key": "photo", "target_key": "pair/left"}
    found = open_dataset("tfds:toy_pairs", data="unpaired", data_dir=home, **keys)
    assert (found.paired("train"), found.paired("val")) == (False, True)
    assert found.sides("train") == (4, 4)


def test_a_set_of_the_users_own_tfds_folder_is_used(home, monkeypatch, tmp_path):
    tfds_folder("toy_pairs", input_key="photo", target_key="pair/left", data_dir=home)
    monkeypatch.setenv("TFDS_DATA_DIR", str(home / "tensorflow_datasets"))
    folder, _ = tfds_folder(
        "toy_pairs", input_key="photo", target_key="rgba", data_dir=tmp_path / "other"
    )
    assert len(list((folder / "A" / "train").iterdir())) == 4
    assert not (tmp_path / "other" / "tensorflow_datasets").exists()


@pytest.fixture
def authors_host(tmp_path):
    """A web server of our own with `facades.tar.gz`, our dummy data in it; yields its address."""
    site = tmp_path / "site"
    site.mkdir()
    with tarfile.open(site / "facades.tar.gz", "w:gz") as tar:
        tar.add(DUMMY / "facades", "facades")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=os.fspath(site))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_paper_set_by_its_tfds_name(authors_host, tmp_path, monkeypatch):
    """All the way: TFDS downloads the archive, unpacks it, prepares the set, we write it out."""
    entry = dataclasses.replace(PAPER_SETS["facades"], url=f"{authors_host}/facades.tar.gz")
    monkeypatch.setitem(PAPER_SETS, "facades", entry)
    folder, _ = tfds_folder(
        "facades", input_key="input_image", target_key="real_image", data_dir=tmp_path
    )
    for path in (folder / "A").rglob("*.png"):
        label, photo = read(path), read(folder / "B" / path.relative_to(folder / "A"))
        assert label[..., 2].mean() > 150 > label[..., 0].mean()  # The bluish right half.
        assert photo[..., 0].mean() > 150 > photo[..., 2].mean()
    counts = {p.name: len(list(p.iterdir())) for p in (folder / "A").iterdir()}
    assert counts == {"train": 3, "val": 2, "test": 1}


# === What cannot be used ===


def refusal(match: str, spec: str, data_dir: Path, keys=("image", "image")) -> str:
    with pytest.raises(DataError, match=match) as caught:
        tfds_folder(spec, input_key=keys[0], target_key=keys[1], data_dir=data_dir)
    text = str(caught.value)
    assert text.count("\n") == 0
    return text


def test_a_missing_feature_lists_those_there_are(home):
    text = refusal("--target_key=lable is no feature", "toy_pairs", home, ("photo", "lable"))
    assert "photo (Image, ? x ? x 3, uint8)" in text
    assert "pair/left (Image, 6 x 8 x 3, uint8)" in text
    assert "depth (Tensor, 6 x 8, float32)" in text
    for other in ("kind", "clip", "boxes", "pair/name"):
        assert f"{other} (" not in text
    refusal("--input_key=input_image is no feature", "toy_pairs", home, ("", "photo"))


@pytest.mark.parametrize(
    ("key", "what"),
    [("kind", r"\(ClassLabel, one value"), ("clip", r"\(Video, 2 x 6"), ("boxes", "Sequence")],
)
def test_a_feature_that_is_no_image(home, key, what):
    refusal(f"--target_key={key} is no image but {what}", "toy_pairs", home, ("photo", key))


def test_an_unknown_set_names_the_nearest(tmp_path):
    assert "did you mean 'tfds:toy_pairs'?" in refusal("no set of that name", "toy_pair", tmp_path)
    refusal("did you mean 'tfds:facades'", "facade", tmp_path)
    refusal("did you mean 'tfds:cycle_gan'", "cycle_gann/horse2zebra", tmp_path)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("cycle_gan/horse2zebr", "no such configuration of cycle_gan; .* horse2zebra"),
        ("toy_pairs:9.9.9", "only: 1.2.0"),
        ("toy pairs!", "expected NAME"),
    ],
)
def test_a_spec_that_tfds_refuses(tmp_path, spec, match):
    refusal(match, spec, tmp_path, ("photo", "photo"))


@pytest.mark.parametrize(
    "spec", ["huggingface:mnist", "kaggle:a/b", "somebody:their_set", "../toy_pairs", "/etc/a", ""]
)
def test_sets_that_bring_a_program_are_refused_before_tfds_sees_them(tmp_path, monkeypatch, spec):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds, "builder", lambda *a, **k: pytest.fail("TFDS was asked"))
    with pytest.raises(DataError, match="expected NAME, NAME/CONFIG"):
        tfds_folder(f"tfds:{spec}", input_key="a", target_key="b", data_dir=tmp_path)


def test_a_set_without_training_images(tmp_path):
    refusal(r"no split train \(only challenge\)", "toy_only_test", tmp_path)


def test_a_set_to_be_downloaded_by_hand(tmp_path):
    text = refusal("Register at example.org and download toys.zip", "toy_by_hand", tmp_path)
    assert str(tmp_path / "manual" / "toy_by_hand") in text


def test_without_network_it_says_so_at_once(tmp_path):
    text = refusal("nowhere.invalid cannot be reached", "toy_offline", tmp_path)
    assert "resolved" in text
    # With earlier downloads TFDS is asked all the same, and must not try for minutes.
    (tmp_path / "tensorflow_datasets" / "downloads" / "earlier").mkdir(parents=True)
    assert "resolved" in refusal("cannot prepare it", "toy_offline", tmp_path)
    assert not (tmp_path / "tfds" / "toy_offline-1.0.0-image").exists()


def test_a_builder_that_fails(tmp_path):
    text = refusal("the toys have moved", "toy_broken", tmp_path)
    assert "second line" not in text


def test_without_tensorflow_datasets(tmp_path):
    program = (
        "import sys; sys.modules['tensorflow_datasets'] = None\n"
        "from tfpix2pix.data.sources.tfds_sets import tfds_folder\n"
        "from tfpix2pix.base.errors import DataError\n"
        "try: tfds_folder('mnist', input_key='image', target_key='image', data_dir='x')\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert 'python -m pip install "tfpix2pix[tfds]"' in done.stdout
