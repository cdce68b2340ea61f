"""Folders of images from Python: what goes where, in which order, and what fails alone."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.config.dataset import spec_with
from tfpix2pix.data import decode, write_image
from tfpix2pix.inference import Translator
from tfpix2pix.inference.files import Job, Manner, find_jobs, make_folders, translate_files

SIZE = 32


class Negative:
    """A network without noise: the negative of its input."""

    takes_noise, image_size, max_pixels = False, None, None

    def __call__(self, x, z):
        return -x


@pytest.fixture
def translator():
    config = Pix2PixConfig(crop_size=SIZE, load_size=SIZE, ngf=4)
    return Translator(config, Negative(), 1, spec_with(config, None))


@pytest.fixture
def images(tmp_path):
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png", "b.tif", "c.png", "d.png"):
        write_image(tmp_path / name, random.integers(0, 256, (40, 33, 3), np.uint8))
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n")
    return tmp_path


def test_every_image_has_a_result_of_its_own(images):
    jobs = find_jobs(str(images), str(images / "out"), ".png")
    names = [(job.source.name, job.target.name) for job in jobs]
    assert names == [
        ("a.png", "a.png"), ("b.png", "b.png.png"), ("b.tif", "b.tif.png"), ("c.png", "c.png"),
        ("d.png", "d.png"),
    ]  # fmt: skip
    assert find_jobs(str(images / "a.png"), str(images / "x.jpg"), ".png") == [
        Job(images / "a.png", images / "x.jpg")
    ]
    with pytest.raises(UserError, match=r"would overwrite the input .*a\.png"):
        find_jobs(str(images), str(images), ".png")


@pytest.mark.parametrize("parallel", [1, 3])
def test_results_come_in_the_order_of_the_jobs_and_one_may_fail(translator, images, parallel):
    translator.parallel = parallel
    jobs = find_jobs(str(images), str(images / "deep" / "out"), ".png")
    make_folders(jobs, str(images / "deep" / "out"))
    results = list(translate_files(translator, jobs, Manner()))
    assert [isinstance(result, UserError) for result in results] == [False] * 3 + [True, False]
    assert "c.png" in str(results[3])
    for job, result in zip(jobs, results, strict=True):
        if not isinstance(result, UserError):
            expected = 255 - decode(job.source).array
            np.testing.assert_array_equal(decode(job.target).array, expected)
    assert not jobs[3].target.exists()


def test_what_is_far_from_the_trained_size_is_told(translator, images):
    write_image(images / "large.png", np.zeros((64, 70, 3), np.uint8))
    job = Job(images / "large.png", images / "result.png")
    (notes,) = translate_files(translator, [job], Manner())
    assert notes == [
        "far from the 32 pixels that the run was trained at; --fit resizes them to that"
    ]
    assert list(translate_files(translator, [job], Manner(fit=True))) == [[]]


def test_labels_are_for_models_that_make_labels(translator):
    Manner().check(translator.config, translator.spec, "out")
    with pytest.raises(UserError, match=r"--labels=index is for runs whose target shows labels"):
        Manner(labels="index").check(translator.config, translator.spec, "out")


UTM = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 4e5, 5e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32632), True),
]


@pytest.mark.parametrize(("dtype", "limits"), [("uint16", "0:65535"), ("float32", "0:1500")])
def test_a_georeferenced_image_gives_a_georeferenced_tiff(tmp_path, dtype, limits):
    sides = {f"{side}_{name}": value for side in ("input", "target")
             for name, value in (("channels", 4), ("dtype", dtype), ("range", limits))}  # fmt: skip
    config = Pix2PixConfig(crop_size=SIZE, load_size=SIZE, ngf=4, **sides)
    translator = Translator(config, Negative(), 1, spec_with(config, None))
    assert translator.spec.suffix == ".tif"  # four bands are no RGBA
    bands = np.random.default_rng(0).integers(0, 1500, (33, 40, 4)).astype(dtype)
    folder = tmp_path / "scenes"
    folder.mkdir()
    options = {"photometric": "minisblack", "planarconfig": "contig", "extratags": UTM}
    tifffile.imwrite(folder / "s.tif", bands, resolution=(300, 300), **options)
    jobs = find_jobs(str(folder), str(tmp_path / "out"), ".png")
    assert [job.target.name for job in jobs] == ["s.tif"]
    make_folders(jobs, str(tmp_path / "out"))
    assert list(translate_files(translator, jobs, Manner())) == [[]]
    with tifffile.TiffFile(jobs[0].target) as tif:
        page = tif.pages.first
        assert {tag: page.tags[tag].value for tag, *_ in UTM} == {t: v for t, _, _, v, _ in UTM}
        assert page.tags[282].value == (300, 1)
        assert (page.dtype, page.samplesperpixel) == (np.dtype(dtype), 4)
        high = float(limits[2:])
        np.testing.assert_allclose(page.asarray(), high - bands.astype(float), rtol=1e-4, atol=1e-2)
    result = decode(jobs[0].target)
    assert (result.array.shape, result.has_alpha) == ((33, 40, 4), False)


def test_what_a_png_cannot_say_of_a_place_is_told(translator, tmp_path):
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((33, 40, 3), "uint8"), extratags=UTM)
    job = Job(tmp_path / "s.tif", tmp_path / "s.png")
    (notes,) = translate_files(translator, [job], Manner())
    assert notes == ["geographic tags left out: a result named .tif would have them"]


def test_planes_are_those_that_the_run_was_trained_on(tmp_path):
    stack = np.random.default_rng(0).integers(0, 256, (5, 33, 40), np.uint8)
    tifffile.imwrite(tmp_path / "s.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    job = Job(tmp_path / "s.tif", tmp_path / "out.tif")
    for planes, places, said in (
        ("auto", [0], ["5 pages (depths), of which the first is read"]),
        ("channels", [0, 1, 2, 3, 4], []),
        ("4,2", [3, 1], []),
    ):
        channels = {"input_channels": len(places), "target_channels": len(places)}
        config = Pix2PixConfig(
            crop_size=SIZE, load_size=SIZE, ngf=4, input_planes=planes, **channels
        )
        translator = Translator(config, Negative(), 1, spec_with(config, None))
        assert list(translate_files(translator, [job], Manner())) == [said]
        expected = 255 - np.moveaxis(stack[places], 0, -1)
        np.testing.assert_array_equal(decode(job.target).array, expected)


def test_a_manifest_names_files_whose_channels_are_one_image(tmp_path):
    config = Pix2PixConfig(
        crop_size=SIZE, load_size=SIZE, ngf=4, input_channels=3, input_key="green,rest"
    )
    translator = Translator(config, Negative(), 1, spec_with(config, None))
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    # Three images of one channel, named by two columns; "rest" is a list, as JSON can have it.
    for channel, name in enumerate(("r", "g", "b")):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / "1.png", image[..., channel])
    (tmp_path / "m.jsonl").write_text('{"GREEN": "r/1.png", "rest": ["g/1.png", "b\\\\1.png"]}\n')
    out = str(tmp_path / "out")
    jobs = find_jobs(str(tmp_path / "m.jsonl"), out, ".png", config.input_key)
    make_folders(jobs, out)
    assert list(translate_files(translator, jobs, Manner())) == [[]]
    np.testing.assert_array_equal(decode(tmp_path / "out" / "1.png").array, 255 - image)
    alone = find_jobs(str(tmp_path / "r"), out, ".png")
    (failed,) = translate_files(translator, alone, Manner())
    assert "1 of the 3 channels" in str(failed)
    assert "give a manifest with these columns as --input" in str(failed)
    with pytest.raises(UserError, match=r"no column 'swir' \(found: GREEN, rest\)"):
        find_jobs(str(tmp_path / "m.jsonl"), out, ".png", "swir")
