"""Bad input to `train` and `translate`: a sentence, exit code 2, nothing written.

All of it is noticed before TensorFlow is imported (see `refused`), so within a second. Of each
command one refusal is that of a Python that was just started.
"""

from __future__ import annotations

import pytest


@pytest.fixture
def train_refused(refused, tmp_path, tiny):
    """`train` into a new workdir; asserts that none was made."""

    def run(*args: object, **options: object) -> str:
        said = refused("train", f"--workdir={tmp_path / 'new'}", *tiny, *map(str, args), **options)
        assert not (tmp_path / "new").exists()
        return said

    return run


# === Data sets ===


def test_a_missing_folder(train_refused, tmp_path):
    said = train_refused(f"--dataset={tmp_path / 'nowhere'}", fresh=True)
    assert str(tmp_path / "nowhere") in said
    assert "no such folder" in said


def test_a_misspelt_folder_gets_the_nearest_name(train_refused, pairs):
    assert f"did you mean '{pairs}'" in train_refused(f"--dataset={pairs.with_name('piars')}")


def test_a_data_set_that_is_a_file(train_refused, pairs):
    said = train_refused(f"--dataset={pairs / 'train' / '0.png'}")
    assert "a file" in said


def test_sample_is_the_embedded_set_beside_a_folder_of_that_name(
    run_cli, without_tensorflow, tiny, tmp_path
):
    (tmp_path / "sample").mkdir()
    # Far enough to see which data set it is: TensorFlow cannot be imported here.
    done = run_cli("train", "--dataset=sample", *tiny, "--sample_pairs=4", env=without_tensorflow)
    assert "embedded sample" in done.stdout


def test_a_folder_without_train(train_refused, pairs):
    (pairs / "train").rename(pairs / "lessons")
    said = train_refused(f"--dataset={pairs}")
    assert "no pairs are left for training (found: 2 val); give more pairs, or a train" in said


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_split(train_refused, pairs, split):
    for file in (pairs / split).iterdir():
        file.unlink()
    said = train_refused(f"--dataset={pairs}")
    assert f"{split}/ holds no images" in said


def test_pictures_of_odd_width_are_not_side_by_side(train_refused, pairs, draw):
    draw(pairs / "train" / "odd.png", 32, 63)
    said = train_refused(f"--dataset={pairs}", lines=None)
    assert "odd width" in said
    assert "train/odd.png: 63x32" in said


def test_every_broken_file_is_named(train_refused, pairs, draw):
    whole = draw(pairs / "train" / "whole.jpg", 32, 64).read_bytes()
    (pairs / "train" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (pairs / "train" / "text.png").write_text("not a picture\n")
    (pairs / "val" / "zero.png").touch()
    said = train_refused(f"--dataset={pairs}", lines=None)
    assert "3 of 10 images" in said
    for name in ("train/cut.jpg", "train/text.png", "val/zero.png"):
        assert name in said
    assert "whole.jpg" not in said


def test_pairs_of_differing_size(train_refused, pairs, draw):
    draw(pairs / "train" / "larger.png", 40, 80)
    said = train_refused(f"--dataset={pairs}", lines=None)
    assert "train/larger.png: 80x40" in said
    assert "--allow_mixed_sizes" in said


def test_a_preset_that_needs_a_data_set(train_refused):
    assert "--dataset=FOLDER" in train_refused("--preset=maps")


# === Flags of train ===


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--crop_size=50", "use --crop_size=48 or --crop_size=52"),
        ("--crop_size=16", "the smallest allowed is 32"),
        ("--crop_size=0", "the smallest allowed is 32"),
        ("--crop_size=2048", "the largest allowed is 1024"),
        ("--crop_size=many", "a number of pixels, or HEIGHTxWIDTH such as 256x512"),
        ("--steps=1.5", "a whole number"),
        ("--steps=-1", "too small"),
        ("--learning_rate=fast", "a number"),
        ("--learning_rate=nan", "finite"),
        ("--batch_size=0", "too small"),
        ("--flip=perhaps", "true or false"),
        ("--norm=layer", "instance, instance_plain, group, batch, none"),
        ("--receptive_field=71", "1, 16, 70, 286"),
        ("--preset=huge", "facades_cpu"),
    ],
)
def test_a_flag_out_of_range(train_refused, flag, expected):
    said = train_refused(flag)
    assert flag.split("=")[0] in said
    assert expected in said


def test_a_crop_larger_than_what_it_is_cut_from(train_refused):
    said = train_refused("--crop_size=256", "--load_size=200")
    assert "--crop_size=256" in said
    assert "--load_size=200" in said


# === Workdirs of train ===


def test_a_workdir_that_is_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refused("train", f"--workdir={tmp_path / 'file'}")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_workdir_below_a_file(refused, tmp_path, tiny):
    (tmp_path / "file").write_text("mine")
    said = refused("train", *tiny, f"--workdir={tmp_path / 'file' / 'run'}")
    assert "cannot be written" in said
    assert (tmp_path / "file").read_text() == "mine"


def test_a_workdir_that_is_no_run(refused, tmp_path, hashes):
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "beach.txt").write_text("sand")
    before = hashes(folder)
    assert "is not a run" in " ".join(refused("train", f"--workdir={folder}").split())
    assert hashes(folder) == before


def test_flags_that_disagree_with_the_run_are_listed(refused, untrained, hashes):
    before = hashes(untrained)
    said = refused(
        "train", f"--workdir={untrained}", "--ngf=8", "--seed=3", "--steps=9", lines=None
    )
    listed = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    assert listed == [
        "--seed: the run has 0, the command says 3",
        "--ngf: the run has 4, the command says 8",
    ]
    assert hashes(untrained) == before


def test_a_preset_that_disagrees_with_the_run_is_refused(refused, untrained):
    said = refused("train", f"--workdir={untrained}", "--preset=edges2shoes", lines=None)
    assert "--batch_size: the run has 1, the command says 4" in said


@pytest.mark.parametrize("text", ["{", "[]", '{"ngf": "four"}', '{"nfg": 4}'])
def test_a_broken_config(refused, untrained, text):
    (untrained / "config.json").write_text(text)
    assert "config.json" in refused("train", f"--workdir={untrained}")
    assert (untrained / "config.json").read_text() == text


# === translate ===


@pytest.fixture
def photo(tmp_path, draw):
    return draw(tmp_path / "photos" / "photo.png", 20, 30)


@pytest.fixture
def translate_refused(refused, untrained, tmp_path):
    """`translate` with a run that is whole but for its checkpoint; asserts that nothing is made."""

    def run(source: object, output: object = "out", *args: str, fresh: bool = False) -> str:
        existed = sorted(tmp_path.rglob("*"))
        where = (f"--workdir={untrained}", f"--input={source}", f"--output={output}")
        said = refused("translate", *where, *args, fresh=fresh)
        assert sorted(tmp_path.rglob("*")) == existed
        return said

    return run


@pytest.mark.parametrize("missing", ["workdir", "input", "output"])
def test_translate_without_a_flag_it_needs(refused, missing):
    given = [f"--{name}=x" for name in ("workdir", "input", "output") if name != missing]
    flag = "--workdir or --model" if missing == "workdir" else f"--{missing}"
    assert f"{flag} is missing" in refused("translate", *given)


@pytest.mark.parametrize("there", [True, False], ids=["a folder", "nothing there"])
def test_translate_with_a_workdir_that_is_no_run(refused, photo, tmp_path, there):
    if there:
        (tmp_path / "other").mkdir()
    said = refused(
        "translate", f"--workdir={tmp_path / 'other'}", f"--input={photo}", "--output=out"
    )
    assert "not a run" in said


def test_translate_with_a_run_that_has_no_checkpoint(refused, untrained, photo, tmp_path):
    said = refused(
        "translate", f"--workdir={untrained}", f"--input={photo}", "--output=out", early=False
    )
    assert "no checkpoint" in said
    assert not (tmp_path / "out").exists()


def test_translate_a_missing_input(translate_refused, tmp_path):
    assert "no such file or folder" in translate_refused(tmp_path / "nothing.png", fresh=True)


def test_translate_a_folder_without_images(translate_refused, untrained):
    assert "holds no" in translate_refused(untrained)


def test_translate_a_pattern_that_matches_nothing(translate_refused, photo):
    assert "matches no" in translate_refused(photo.parent / "*.jpg")


def test_translate_never_overwrites_its_input(translate_refused, photo):
    before = photo.read_bytes()
    assert "would overwrite the input" in translate_refused(photo, photo)
    assert "would overwrite the input" in translate_refused(photo.parent, photo.parent)
    assert photo.read_bytes() == before


def test_translate_many_images_to_one_file(translate_refused, photo, draw):
    draw(photo.with_name("second.png"), 20, 30)
    assert "2 images" in translate_refused(photo.parent, "out.png")


def test_translate_to_a_file_that_is_no_image(translate_refused, photo, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert "no image format" in translate_refused(photo, tmp_path / "notes.txt")


def test_translate_with_a_seed_that_is_no_number(translate_refused, photo):
    assert "--seed" in translate_refused(photo, "out", "--seed=luck")
