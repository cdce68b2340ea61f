"""Several answers to one input: latents between two others, sheets, animations, and their files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import geometric_slerp

from tests.tfpix2pix.inference.test_translator import make_run, picture
from tfpix2pix import load
from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.grid import Sheet, columns_for, encode_animation
from tfpix2pix.config.dataset import spec_with
from tfpix2pix.data import decode, load_palette, write_image
from tfpix2pix.inference import Translator
from tfpix2pix.inference.files import Job, Manner, find_jobs, make_folders, translate_files
from tfpix2pix.inference.several import AnimationFile, Answer, walk

SIZE = 32


# === Latents between two others ===


def test_a_walk_turns_from_one_to_the_other():
    random = np.random.default_rng(0)
    one, other = (v / np.linalg.norm(v) for v in random.normal(size=(2, 8)))
    expected = geometric_slerp(one, other, np.linspace(0, 1, 7))
    np.testing.assert_allclose(walk(one, other, 7), expected, atol=1e-6)
    # Of unlike lengths, by hand: a right angle, and half of it in the middle.
    np.testing.assert_allclose(
        walk([3, 0], [0, 1], 3), [[3, 0], [3 / 2**0.5, 1 / 2**0.5], [0, 1]], atol=1e-6
    )


def test_a_walk_through_normal_latents_is_of_latents_as_long_as_they_are():
    """The straight line's middle is shorter than nearly all of a normal distribution's."""
    ends = np.random.default_rng(1).normal(size=(500, 2, 64))
    turned = [np.linalg.norm(walk(*pair, 3)[1]) for pair in ends]
    straight = np.linalg.norm(ends.mean(axis=1), axis=1)
    assert np.mean(turned) == pytest.approx(8, rel=0.02)
    assert np.mean(straight) == pytest.approx(8 / 2**0.5, rel=0.02)


@pytest.mark.parametrize(
    ("start", "end", "middle"),
    [([1, 2], [3, 6], [2, 4]), ([1, 0], [-1, 0], [0, 0]),
     ([0, 0], [2, 4], [1, 2]), ([1], [4], [2.5])],
)  # fmt: skip
def test_a_walk_without_an_angle_is_straight(start, end, middle):
    np.testing.assert_allclose(walk(start, end, 3), [start, middle, end], atol=1e-6)


def test_a_walk_has_two_ends():
    np.testing.assert_array_equal(walk([1.0], [2.0], 2), [[1], [2]])
    with pytest.raises(ValueError, match="give 2 or more"):
        walk([1.0], [2.0], 1)


# === Pictures of several ===


@pytest.mark.parametrize(
    ("count", "shape", "columns"),
    [(1, (9, 9), 1), (4, (9, 9), 2), (8, (9, 9), 4), (12, (9, 9), 4), (20, (9, 9), 5),
     (12, (9, 18), 3), (12, (18, 9), 6)],
)  # fmt: skip
def test_sheets_are_wider_than_high_and_have_few_empty_places(count, shape, columns):
    assert columns_for(count, *shape) == columns


def test_a_sheet_has_the_input_at_the_left_and_the_answers_beside_it():
    sheet = Sheet((130, 150), 5)
    greys = [10, 60, 110, 160, 200, 240]
    for grey in greys:
        sheet.add(f"{grey}", np.full((130, 150, 1), grey, np.uint8))
    found = sheet.picture()
    row = found.shape[0] // 2
    strip = row - 130 - 2 * 4  # titles above, and white around
    places = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]
    for grey, (down, right) in zip(greys, places, strict=True):
        top, left = down * row + strip + 4, 4 + right * 154
        assert (found[top : top + 130, left : left + 150] == grey).all()
    empty = found[row + strip : 2 * row, 4 + 3 * 154 :]
    assert (empty == 255).all()
    assert (found[row:, :154] == 255).all()
    assert (found[:strip, :154] < 255).any()  # its title


def test_large_pictures_are_shown_smaller_and_tiny_ones_larger():
    large, tiny = Sheet((900, 1800), 2), Sheet((8, 16), 2)
    for _ in range(3):
        large.add("a", np.zeros((900, 1800, 3), np.uint8))
        tiny.add("a", np.zeros((8, 16, 3), np.uint8))
    assert large.picture().shape[1] < 3 * 520
    assert tiny.picture().shape[1] > 2 * 128


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "PNG"])
def test_an_animation_has_its_frames_and_begins_anew(kind):
    frames = [np.full((20, 30, 3), grey, np.uint8) for grey in (0, 100, 200)]
    with Image.open(io.BytesIO(encode_animation(frames, kind))) as found:
        assert (found.n_frames, found.size, found.info["loop"]) == (3, (30, 20), 0)
        for number, frame in enumerate(frames):
            found.seek(number)
            np.testing.assert_allclose(np.asarray(found.convert("RGB")), frame, atol=2)


def test_an_animation_goes_there_and_back(tmp_path):
    animation = AnimationFile((20, 30), 4)
    for grey in (0, 60, 120, 180):
        animation.add(Answer(0), np.full((20, 30, 1), grey, np.uint8))
    animation.write(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as found:
        greys = []
        for number in range(found.n_frames):
            found.seek(number)
            greys.append(found.convert("RGB").getpixel((0, 0))[0])
    assert greys == [0, 60, 120, 180, 120, 60]


# === Files ===


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "coded"
    make_run(workdir, latent=3)
    return load(workdir)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "plain"
    make_run(workdir)
    return load(workdir)


@pytest.fixture
def images(tmp_path):
    for number, name in enumerate(("a.png", "b.tif")):
        (tmp_path / "in").mkdir(exist_ok=True)
        write_image(tmp_path / "in" / name, picture(SIZE, 40, 3, seed=number))
    return tmp_path / "in"


def made(translator, images, output, manner) -> list[str]:
    """The names of the files that are made."""
    jobs = find_jobs(str(images), str(output), ".png", manner=manner)
    make_folders(jobs, str(output))
    for result in translate_files(translator, jobs, manner):
        assert not isinstance(result, UserError), result
    folder = jobs[0].last.parent
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_the_latents_of_samples_differ_and_the_noise_does_not(coded, images, tmp_path):
    out = tmp_path / "out"
    names = made(coded, images, out, Manner(samples=3, seed=7))
    ends = ("_01.png", "_02.png", "_03.png", "_sheet.png")
    assert names == [name + end for name in "ab" for end in ends]
    image = decode(images / "a.png")
    for number, code in enumerate(coded.latent([7, 8, 9]), start=1):
        expected = coded.translate(image, seed=7, latent=code)
        np.testing.assert_array_equal(decode(out / f"a_0{number}.png").array, expected)
    # The first one is the picture that there is without samples.
    np.testing.assert_array_equal(decode(out / "a_01.png").array, coded.translate(image, seed=7))
    # The input and two columns of answers, four times as large.
    assert decode(out / "a_sheet.png").array.shape[1] == 4 + 3 * (4 * 40 + 4)


def test_without_a_latent_the_noise_differs(plain, images, tmp_path):
    made(plain, images, tmp_path / "out", Manner(samples=2, seed=7))
    image = decode(images / "a.png")
    for number, seed in ((1, 7), (2, 8)):
        expected = plain.translate(image, seed=seed)
        found = decode(tmp_path / "out" / f"a_0{number}.png").array
        np.testing.assert_array_equal(found, expected)


def test_a_walk_is_numbered_pictures_and_an_animation(coded, images, tmp_path):
    out = tmp_path / "out"
    names = made(coded, images / "a.png", out, Manner(walk=4, seed=2, deterministic=True))
    assert names == ["a_walk.webp", *(f"a_walk_0{number}.png" for number in range(1, 5))]
    image = decode(images / "a.png")
    codes = walk(*coded.latent([2, 3]), 4)
    for number, code in enumerate(codes, start=1):
        expected = coded.translate(image, seed=2, latent=code, deterministic=True)
        np.testing.assert_array_equal(decode(out / f"a_walk_0{number}.png").array, expected)
    with Image.open(out / "a_walk.webp") as animation:
        assert animation.n_frames == 6


def test_a_walk_may_start_at_a_latent_of_ones_own(coded):
    first, *_, last = Manner(walk=5, seed=2, latent=(1.0, 2.0, 3.0)).answers(coded)
    np.testing.assert_array_equal(first.latent, [1, 2, 3])
    np.testing.assert_allclose(last.latent, coded.latent([3])[0], rtol=1e-6)


class Shift:
    """A network with a latent: the negative of its input, shifted by the latent."""

    takes_noise, latent_size, image_size, max_pixels = False, 1, None, None

    def __call__(self, x, z, latent=None):
        return np.clip(-x + latent[:, None, None] / 4, -1, 1)


def shifted(palette=None, **changes) -> Translator:
    config = Pix2PixConfig(crop_size=SIZE, load_size=SIZE, ngf=4, latent=1, **changes)
    return Translator(config, Shift(), 1, spec_with(config, palette))


def test_deep_answers_have_their_depth_and_a_sheet_for_people(tmp_path):
    values = {"channels": 1, "dtype": "uint16", "range": "0:4095"}
    sides = {f"{side}_{key}": v for side in ("input", "target") for key, v in values.items()}
    pixels = np.random.default_rng(0).integers(0, 4096, (130, 150, 1), np.uint16)
    write_image(tmp_path / "a.png", pixels)
    translator = shifted(**sides)
    made(translator, tmp_path / "a.png", tmp_path / "out", Manner(samples=2))
    answer = decode(tmp_path / "out" / "a_01.png").array
    np.testing.assert_array_equal(answer, translator.translate(pixels))
    assert answer.dtype == np.uint16
    sheet = decode(tmp_path / "out" / "a_sheet.png").array
    assert sheet.dtype == np.uint8
    for left, expected in ((4, pixels), (158, answer)):
        shown = sheet[-134:-4, left : left + 150]
        np.testing.assert_allclose(shown, np.repeat(expected / 4095 * 255, 3, axis=-1), atol=0.51)


def test_answers_are_index_maps_and_their_sheet_colours(tmp_path):
    palette = load_palette("facades")
    write_image(tmp_path / "a.png", palette.colors[np.arange(130 * 150).reshape(130, 150) % 12])
    translator = shifted(palette.to_json(), label_palette="facades", label_side="target")
    made(translator, tmp_path / "a.png", tmp_path / "out", Manner(labels="index", samples=1))
    classes = decode(tmp_path / "out" / "a_01.png").array[..., 0]
    assert len(np.unique(classes)) > 2
    sheet = decode(tmp_path / "out" / "a_sheet.png").array
    colours = palette.to_colors(palette.from_indices(classes))
    np.testing.assert_array_equal(sheet[-134:-4, 158:308], colours)


@pytest.mark.parametrize(
    ("output", "manner", "names"),
    [
        ("all.jpg", Manner(samples=2), ["all.jpg", "all_01.png", "all_02.png"]),
        ("way.gif", Manner(walk=2), ["way.gif", "way_01.png", "way_02.png"]),
        ("way.PNG", Manner(walk=2), ["way.PNG", "way_01.png", "way_02.png"]),
    ],
)
def test_an_output_that_is_a_file_is_the_overview(coded, images, tmp_path, output, manner, names):
    assert made(coded, images / "a.png", tmp_path / "out" / output, manner) == names


def test_a_sheet_of_index_maps_may_be_a_jpeg():
    """It is of colours."""
    config = Pix2PixConfig(
        crop_size=SIZE, load_size=SIZE, label_palette="facades", label_side="target"
    )
    spec = spec_with(config, load_palette("facades").to_json())
    Manner(labels="index", samples=2).check(config, spec, "a.jpg")
    with pytest.raises(UserError, match="JPEG changes values"):
        Manner(labels="index").check(config, spec, "a.jpg")


def test_many_answers_are_numbered_in_order(tmp_path):
    names = [path.name for path in Job(tmp_path, tmp_path / "a.b.png").numbered(100)]
    assert [names[0], names[99]] == ["a.b_001.png", "a.b_100.png"]
    assert names == sorted(names)


def test_no_answer_is_written_over_an_input(images):
    write_image(images / "a_02.png", picture(8, 8, 3))
    with pytest.raises(UserError, match=r"would overwrite the input .*a_02\.png"):
        find_jobs(str(images), str(images), ".png", manner=Manner(samples=2))
    # A single one to its own folder is no input's name.
    find_jobs(str(images / "a.png"), str(images), ".png", manner=Manner(samples=1))


def test_an_animation_does_not_go_into_every_file(images, tmp_path):
    with pytest.raises(UserError, match=r"an animation .* is a file \.webp, \.gif, \.png"):
        find_jobs(str(images / "a.png"), str(tmp_path / "a.jpg"), ".png", manner=Manner(walk=3))


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        (Manner(), "latent and noise of seed 0"),
        (Manner(samples=3, seed=5), "latents of seeds 5 to 7, noise of seed 5"),
        (
            Manner(walk=3, deterministic=True),
            "from that of seed 0 to that of seed 1, without noise",
        ),
        (Manner(latent=(1.0, 2.0, 3.0)), "the latent given, noise of seed 0"),
    ],
)
def test_what_pictures_are_made_with_is_told(coded, manner, words):
    assert words in manner.drawn(coded)


def test_dropout_alone_is_told_to_be_little_and_nothing_at_all_is_refused(plain):
    (note,) = Manner(samples=3).notes(plain)
    assert "which is little; train a run with --latent=8 --diversity=dsgan" in note
    with pytest.raises(UserError, match="--samples=3: --deterministic leaves the noise out"):
        Manner(samples=3, deterministic=True).notes(plain)
