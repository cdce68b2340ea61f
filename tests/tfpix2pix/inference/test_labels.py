"""Labels of a network that gives classes: colours, index maps, probabilities."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from scipy.special import softmax

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.config.dataset import spec_with
from tfpix2pix.data import decode, write_image
from tfpix2pix.data.palette import parse_palette
from tfpix2pix.inference import Translator
from tfpix2pix.inference.files import Job, Manner, find_jobs, translate_files

SIZE = 32
PALETTE = """{"name": "streets", "classes": [
  {"name": "sky", "color": [128, 128, 128], "index": 4},
  {"name": "nothing", "color": [1, 2, 3], "index": 255, "void": true},
  {"name": "road & path", "color": [128, 64, 128], "index": [7, 9]},
  {"name": "tree", "color": [0, 128, 0], "index": 11}]}"""
COLORS, INDICES = parse_palette(PALETTE).colors, np.array([4, 255, 7, 11])
LABELS = {"label_palette": "streets", "label_side": "target"}
COLOURED = {"target_encoding": "image", "target_channels": 3}


class Classes:
    """Probabilities of the logits x: red, -, green, blue; void where none counts."""

    takes_noise, image_size, max_pixels, argmax = False, None, None, False

    def __call__(self, x, z):
        logits = np.stack([x[..., 0], np.full(x.shape[:3], -np.inf), x[..., 1], x[..., 2]], -1)
        if self.argmax:
            return logits.argmax(-1)[..., None].astype(np.uint8)
        return softmax(8 * logits, axis=-1).astype(np.float32)


def translator_of(network, **changes):
    values = {**LABELS, "target_encoding": "onehot", "target_channels": 4, **changes}
    config = Pix2PixConfig(crop_size=SIZE, load_size=SIZE, ngf=4, **values)
    return Translator(config, network, 1, spec_with(config, PALETTE))


@pytest.fixture
def translator():
    return translator_of(Classes())


@pytest.fixture
def classes_alone():
    network = Classes()
    network.argmax = True
    return translator_of(network)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (37, 45, 3), np.uint8)


def likeliest(picture):
    """Of `Classes`, by its place in the palette."""
    return np.array([0, 2, 3])[picture.argmax(-1)]


def test_classes_are_colours_index_maps_or_probabilities(translator, picture):
    expected = likeliest(picture)
    for labels in ("raw", "color"):
        found = translator.translate(picture, labels=labels)
        np.testing.assert_array_equal(found, COLORS[expected])
    found = translator.translate(picture, labels="index")
    np.testing.assert_array_equal(found, INDICES[expected])
    assert found.dtype == np.uint8
    found = translator.translate(picture, labels="probabilities")
    assert (found.dtype, found.shape) == (np.float32, (37, 45, 4))
    np.testing.assert_array_equal(found.argmax(-1), expected)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
    x = picture.astype(np.float32) / 127.5 - 1
    weights = np.exp(8 * x[..., [0, 1, 2]])
    np.testing.assert_allclose(
        found[..., [0, 2, 3]], weights / weights.sum(-1, keepdims=True), atol=1e-6
    )


def test_a_network_of_classes_alone_gives_the_same_maps(translator, classes_alone, picture):
    for labels in ("raw", "color", "index"):
        expected = translator.translate(picture, labels=labels)
        np.testing.assert_array_equal(classes_alone.translate(picture, labels=labels), expected)
    fitted = classes_alone.translate(picture, labels="index", fit=True)
    assert fitted.shape == (37, 45)
    assert set(np.unique(fitted)) <= set(INDICES)  # none between two of them
    with pytest.raises(UserError, match=r"--labels=probabilities: .*--argmax .*--workdir"):
        classes_alone.translate(picture, labels="probabilities")


def test_a_fitted_map_is_of_probabilities_between_pixels(translator):
    picture = np.zeros((2 * SIZE, 2 * SIZE, 3), np.uint8)
    picture[:, :SIZE, 0] = picture[:, SIZE:, 2] = 255
    found = translator.translate(picture, fit=True, labels="index")
    np.testing.assert_array_equal(
        found, np.where(np.arange(2 * SIZE) < SIZE, 4, 11)[None] + 0 * found
    )
    soft = translator.translate(picture, fit=True, labels="probabilities")
    np.testing.assert_allclose(soft.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "labels", "said"),
    [
        ({}, "colour", "--labels=colour: expected raw, color, index or probabilities"),
        (
            COLOURED,
            "probabilities",
            "--target_encoding=onehot, and this one paints colours; --labels=index gives",
        ),
        (
            {**COLOURED, "label_palette": "", "label_side": ""},
            "probabilities",
            "--labels=probabilities is for runs whose target shows labels",
        ),
    ],
)  # fmt: skip
def test_what_a_model_does_not_make_is_refused(changes, labels, said):
    values = {**LABELS, "target_encoding": "onehot", "target_channels": 4, **changes}
    config = Pix2PixConfig(crop_size=SIZE, load_size=SIZE, ngf=4, **values)
    spec = spec_with(config, PALETTE if values["label_palette"] else None)
    model, image = Translator(config, Classes(), 1, spec), np.zeros((32, 32, 3), np.uint8)
    for check in (
        lambda: Manner(labels=labels).check(config, spec, "out"),
        lambda: model.translate(image, labels=labels),
    ):
        with pytest.raises(UserError) as raised:
            check()
        assert said in str(raised.value)


def test_jpeg_is_no_format_of_index_maps(translator):
    with pytest.raises(UserError, match=r"--output=a\.jpg: JPEG changes values.* name it \.png"):
        Manner(labels="index").check(translator.config, translator.spec, "a.jpg")
    Manner(labels="color").check(translator.config, translator.spec, "a.jpg")


# === Files ===


def test_files_hold_what_was_asked_for(translator, picture, tmp_path):
    write_image(tmp_path / "a.png", picture)
    for labels, name in (("raw", "a.png"), ("index", "a.png"), ("probabilities", "a.tif")):
        manner = Manner(labels=labels)
        (job,) = find_jobs(
            str(tmp_path / "a.png"), str(tmp_path / labels), manner.suffix(translator.spec)
        )
        job.target.parent.mkdir()
        assert list(translate_files(translator, [job], manner)) == [[]]
        assert job.target == tmp_path / labels / name
        expected = translator.translate(picture, labels=labels)
        np.testing.assert_array_equal(np.squeeze(decode(job.target).array), expected)
    with tifffile.TiffFile(tmp_path / "probabilities" / "a.tif") as tif:
        assert tif.pages[0].dtype == np.float32
        items = ElementTree.fromstring(tif.pages[0].tags[42112].value)
    assert [(i.get("sample"), i.get("role"), i.text) for i in items] == [
        ("0", "description", "sky"), ("1", "description", "nothing"),
        ("2", "description", "road & path"), ("3", "description", "tree"),
    ]  # fmt: skip
    job = Job(tmp_path / "a.png", tmp_path / "a.npy")
    assert list(translate_files(translator, [job], Manner(labels="probabilities"))) == [[]]
    np.testing.assert_array_equal(
        np.load(tmp_path / "a.npy"), translator.translate(picture, labels="probabilities")
    )


def test_where_nothing_is_measured_no_class_is_found(tmp_path):
    """Index maps have void's index there, colours its colour, probabilities NaN; and say so."""
    wishes = {"input_dtype": "float32", "input_range": "0:1"}
    translator = translator_of(Classes(), **wishes)
    values = np.random.default_rng(1).uniform(0, 1, (32, 33, 3)).astype(np.float32)
    values[3:9, 5:20] = np.nan
    missing = np.isnan(values[..., 0])
    expected = likeliest(np.nan_to_num(values))
    expected[missing] = 1
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    for labels, of in (("color", COLORS), ("index", INDICES)):
        np.testing.assert_array_equal(translator.translate(values, labels=labels), of[expected])
    found = translator.translate(values, labels="probabilities")
    np.testing.assert_array_equal(np.isnan(found), np.repeat(missing[..., None], 4, -1))
    for labels, nodata in (("index", "255"), ("probabilities", "nan"), ("raw", "")):
        job = Job(tmp_path / "a.tif", tmp_path / f"{labels}.tif")
        (notes,) = translate_files(translator, [job], Manner(labels=labels))
        said = [f"{nodata} stands where the input has nothing measured"] if nodata else []
        assert notes == said
        with tifffile.TiffFile(job.target) as tif:
            tag = tif.pages[0].tags.get(42113)
            assert (tag.value if tag else "") == nodata
            np.testing.assert_array_equal(
                tif.asarray(), translator.translate(values, labels=labels)
            )
