"""Grids, strips and the files they live in."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfpix2pix import report
from tfpix2pix.report import grids


def pictures(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# === picture_grid ===


def test_every_pixel_of_a_grid_is_where_it_is_said_to_be():
    a, b = pictures(0, 2, 5, 7, 3), pictures(1, 2, 5, 4, 3)
    expected = np.full((3 * 2 + 2 * 5, 3 * 2 + 7 + 4, 3), 255, np.uint8)
    for i, top in enumerate((2, 2 + 5 + 2)):
        expected[top : top + 5, 2:9] = a[i]
        expected[top : top + 5, 11:15] = b[i]
    np.testing.assert_array_equal(report.picture_grid([a, b], gap=2), expected)


def test_without_gap_pictures_touch():
    a, b = pictures(0, 1, 4, 4, 3), pictures(1, 1, 4, 4, 3)
    np.testing.assert_array_equal(
        report.picture_grid([a, b], gap=0), np.concatenate([a[0], b[0]], axis=1)
    )


def test_titles_stand_above_their_columns_and_change_nothing_below():
    columns = [pictures(i, 2, 64, 64, 3) for i in range(3)]
    plain = report.picture_grid(columns)
    titled = report.picture_grid(columns, ["input", "output", "target"])
    strip = len(titled) - len(plain)
    assert strip >= 12
    np.testing.assert_array_equal(titled[strip:], plain)
    for j in range(3):
        left = 4 + j * 68
        assert titled[:strip, left : left + 64].min() < 100, "dark ink above the column"
        assert (titled[:strip, left - 4 : left] == 255).all(), "none between columns"


def test_a_long_title_is_cut_at_its_column():
    columns = [pictures(i, 1, 32, 32, 3) for i in range(2)]
    titled = report.picture_grid(columns, ["a very long title indeed" * 3, ""])
    strip = len(titled) - 40
    assert (titled[:strip, 36:] == 255).all()


@pytest.mark.parametrize(
    ("channels", "shown"),
    [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (4, [0, 1, 2]), (7, [0, 1, 2])],
)
def test_any_number_of_channels_becomes_colour(channels, shown):
    image = pictures(0, 1, 4, 4, channels)
    np.testing.assert_array_equal(report.picture_grid([image], gap=0), image[0][..., shown])


@pytest.mark.parametrize(
    ("columns", "titles", "message"),
    [
        ([], (), "at least one"),
        ([np.zeros((4, 4, 3), np.uint8)], (), "N, H, W, C"),
        ([np.zeros((1, 4, 4, 3), np.float32)], (), "uint8"),
        ([np.zeros((1, 4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.uint8)], (), "differ"),
        ([np.zeros((1, 4, 4, 3), np.uint8)], ("a", "b"), "2 titles for 1"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, titles, message):
    with pytest.raises(ValueError, match=message):
        report.picture_grid(columns, titles)


# === Files ===


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 3])
def test_a_strip_comes_back_bit_for_bit(tmp_path, n, channels):
    images = pictures(0, n, 6, 5, channels)
    path = report.strip_path(tmp_path, 1000)
    path.parent.mkdir()
    report.save_strip(path, images)
    assert path.name == "step_00001000.png"
    np.testing.assert_array_equal(report.load_strip(path, n), images)
    with Image.open(path) as picture:
        assert picture.size == (5, 6 * n)


def test_of_many_channels_a_strip_keeps_three(tmp_path):
    images = pictures(0, 2, 6, 5, 6)
    report.save_strip(tmp_path / "strip.png", images)
    np.testing.assert_array_equal(report.load_strip(tmp_path / "strip.png", 2), images[..., :3])


def test_a_strip_of_another_number_is_refused(tmp_path):
    report.save_strip(tmp_path / "strip.png", pictures(0, 2, 5, 5, 3))
    with pytest.raises(ValueError, match="does not hold 3"):
        report.load_strip(tmp_path / "strip.png", 3)
    with pytest.raises(ValueError, match="N > 0"):
        report.save_strip(tmp_path / "strip.png", pictures(0, 0, 5, 5, 3))


def test_a_failing_write_leaves_the_old_picture_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    report.save_png(path, pictures(0, 4, 4, 3))
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfpix2pix.base.files.os.replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        report.save_png(path, pictures(1, 4, 4, 3))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# === A workdir's samples ===


def test_the_grid_of_a_step_is_input_output_target(workdir):
    fixed = report.load_fixed(workdir)
    outputs = report.load_strip(report.strip_path(workdir, 500), len(fixed))
    grid = report.grid_for_step(workdir, 500)
    plain = report.picture_grid([fixed.x, outputs, fixed.y])
    np.testing.assert_array_equal(grid[-len(plain) :], plain)

    path = report.write_sample_grid(workdir, 500)
    assert path == workdir / "samples" / "grid_00000500.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), grid)


def test_sample_steps_are_numbers_in_order(workdir):
    report.write_sample_grid(workdir, 500)
    (workdir / "samples" / "step_notes.png").touch()
    steps = report.sample_steps(workdir)
    assert steps == sorted(steps)
    assert (steps[0], steps[-1], len(steps)) == (1, 1000, 11)
    assert report.sample_steps(workdir / "nowhere") == []


@pytest.mark.parametrize(("rows", "chosen"), [(2, [0, 1]), (99, [0, 1, 2]), ([2, 0], [2, 0])])
def test_the_summary_picture_shows_the_chosen_rows_of_the_latest_step(workdir, rows, chosen):
    path = report.write_summary_picture(workdir, workdir / "summary.png", rows=rows)
    fixed = report.load_fixed(workdir)
    outputs = report.load_strip(report.strip_path(workdir, 1000), 3)
    plain = report.picture_grid([fixed.x[chosen], outputs[chosen], fixed.y[chosen]])
    np.testing.assert_array_equal(np.asarray(Image.open(path))[-len(plain) :], plain)


def test_a_workdir_without_samples_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="No sample pictures"):
        report.write_summary_picture(tmp_path, tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        report.grid_for_step(tmp_path, 1)


def test_samples_that_do_not_belong_together_are_refused(workdir):
    report.save_strip(report.strip_path(workdir, 500), pictures(0, 3, 16, 16, 3))
    with pytest.raises(ValueError, match="the targets are"):
        report.grid_for_step(workdir, 500)
    (workdir / "samples" / "fixed.npz").write_bytes(b"PK not an archive")
    with pytest.raises(ValueError, match=r"fixed\.npz"):
        grids.load_fixed(workdir)
