"""Which image shows the labels, and in which palette, is found out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.data import evaluation_batches, open_store
from tfpix2pix.scorer.labelled import check_labelled, open_labelled, palette_of, photos_and_classes

SAMPLE = {"dataset": "sample", "sample_pairs": 4, "crop_size": 32, "load_size": 64}


def first_pair(config):
    source = open_labelled(config)
    source.check()
    check_labelled(source)
    store = open_store(source, "train", size=64, cache="none")
    x, y = next(iter(evaluation_batches(store, size=64)))
    photos, classes = photos_and_classes(source.spec, x, y)
    stored = source.load("train", 0)
    labels = stored[0] if source.spec.x.is_classes else stored[1]
    return photos.numpy(), classes.numpy(), labels[..., 0], palette_of(source.spec)


def test_either_image_may_show_the_labels_in_either_encoding():
    found = [
        first_pair(Pix2PixConfig(**SAMPLE, label_palette="facades", **more))
        for more in ({}, {"direction": "BtoA"}, {"input_encoding": "onehot"})
    ]
    photos, classes, labels, palette = found[0]
    np.testing.assert_array_equal(classes[0], labels)
    assert len(np.unique(classes)) > 3
    assert palette.name == "facades"
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], photos)
        np.testing.assert_array_equal(other[1], classes)


@pytest.mark.parametrize(("labels", "palette"), [("cmp", "facades"), ("detailed", "sample")])
def test_a_builtin_palette_is_found(labels, palette):
    said = []
    for direction in ("AtoB", "BtoA"):
        config = Pix2PixConfig(**SAMPLE, direction=direction, sample_labels=labels)
        assert palette_of(open_labelled(config, said).spec).name == palette
    assert said == [f"the labels are painted in the palette '{palette}'"] * 2


def test_pairs_without_labels_are_refused(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "train").mkdir()
    for name in "ab":
        noise = random.integers(0, 256, (32, 64, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "train" / f"{name}.png")
    with pytest.raises(UserError, match=r"neither image .*--label_palette") as caught:
        open_labelled(Pix2PixConfig(dataset=str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_own_colours_are_found_by_nobody_but_given(drawn, drawn_source):
    check_labelled(drawn_source)
    assert palette_of(drawn_source.spec).name == "drawn"
    with pytest.raises(UserError, match="tfpix2pix inspect"):
        open_labelled(Pix2PixConfig(dataset=str(drawn)))


def test_without_val_there_is_no_scorer(drawn, drawn_palette, tmp_path):
    (tmp_path / "train").symlink_to(drawn / "train")
    source = open_labelled(Pix2PixConfig(dataset=str(tmp_path), label_palette=str(drawn_palette)))
    source.check()
    with pytest.raises(UserError, match="no val split"):
        check_labelled(source)
