"""The TFDS builders of the paper's sets, on dummy data, with TFDS's own test case."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfpix2pix.data.sources.paper_sets import PAPER_SETS

tfds = pytest.importorskip("tensorflow_datasets", reason="needs the tfds extra")
pytest.importorskip("dill", reason="tfds.testing needs it")

BUILDERS = Path(__file__).resolve().parents[2] / "data" / "sources" / "builders"
LEFT, RIGHT = (200, 60, 60), (60, 60, 200)  # of tests/data/draw_dummy_data.py
FILES = ("README.md", "CITATIONS.bib", "TAGS.txt", "checksums.tsv")


def builder_class(name: str):
    module = importlib.import_module(
        f"tfpix2pix.data.sources.builders.{name}.{name}_dataset_builder"
    )
    return module.Builder


class _Case(tfds.testing.DatasetBuilderTestCase):
    # None is known to us; a checksum must not be made up to please this.
    SKIP_CHECKSUMS = True


class TestFacades(_Case):
    DATASET_CLASS = builder_class("facades")
    SPLITS = {"train": 3, "validation": 2, "test": 1}  # noqa: RUF012


class TestMaps(_Case):
    DATASET_CLASS = builder_class("maps")
    SPLITS = {"train": 3, "validation": 2}  # noqa: RUF012


class TestEdges2Shoes(_Case):
    DATASET_CLASS = builder_class("edges2shoes")
    SPLITS = {"train": 3, "validation": 2}  # noqa: RUF012


class TestEdges2Handbags(_Case):
    DATASET_CLASS = builder_class("edges2handbags")
    SPLITS = {"train": 3, "validation": 2}  # noqa: RUF012


class TestNight2Day(_Case):
    DATASET_CLASS = builder_class("night2day")
    SPLITS = {"train": 3, "validation": 2, "test": 1}  # noqa: RUF012


class TestCityscapes(_Case):
    DATASET_CLASS = builder_class("cityscapes")
    SPLITS = {"train": 3, "validation": 2}  # noqa: RUF012


del _Case  # Not a case itself, and pytest would take it for one.


@pytest.mark.parametrize("name", PAPER_SETS)
def test_the_input_is_what_the_paper_conditions_on(name, tmp_path, monkeypatch):
    """Left halves are drawn reddish, right halves bluish; the direction says which is the input."""
    builder = builder_class(name)(data_dir=tmp_path)
    dummy = BUILDERS / name / "dummy_data"
    downloads = tfds.download.DownloadManager
    with monkeypatch.context() as patch:
        patch.setattr(downloads, "download_and_extract", lambda self, url: _epath(dummy))
        config = tfds.download.DownloadConfig(manual_dir=dummy)
        builder.download_and_prepare(download_config=config)
    x, y = next(iter(tfds.as_numpy(builder.as_dataset("train", as_supervised=True))))
    by_side = {"A": LEFT, "B": RIGHT}
    sides = {"facades": "BA", "maps": "AB", "night2day": "BA", "cityscapes": "BA"}.get(name, "AB")
    for image, side in zip((x, y), sides, strict=True):
        assert image.dtype == np.uint8
        assert image.shape[0] == image.shape[1]
        np.testing.assert_allclose(np.median(image, axis=(0, 1)), by_side[side], atol=12)
    assert PAPER_SETS[name].input_side == sides[0]


def _epath(path: Path):
    from etils import epath

    return epath.Path(path)


@pytest.mark.parametrize("name", PAPER_SETS)
def test_the_files_beside_a_builder_describe_it(name):
    metadata = builder_class(name).get_metadata()
    assert "`input_image`" in metadata.description
    assert f"--direction={PAPER_SETS[name].direction}" in metadata.description
    assert "Isola" in metadata.citation
    assert "ml.task.image-to-image-translation" in metadata.tags
    for number in PAPER_SETS[name].counts.values():
        assert f"| {number:,} |" in metadata.description or f"| {number} |" in metadata.description


@pytest.mark.parametrize("name", PAPER_SETS)
def test_checksums_name_the_authors_url_or_nothing(name):
    """A line, once somebody knows it: url, bytes, sha256, file name."""
    for line in (BUILDERS / name / "checksums.tsv").read_text().splitlines():
        url, size, checksum = line.split("\t")[:3]
        assert url == PAPER_SETS[name].url
        assert int(size) > 0
        assert len(bytes.fromhex(checksum)) == 32


def test_tfds_own_cityscapes_stays_reachable():
    assert builder_class("cityscapes").name == "cityscapes_pairs"
    assert tfds.builder_cls("cityscapes").__module__.startswith("tensorflow_datasets.")


def test_the_registry_needs_neither_tensorflow_nor_tfds():
    program = (
        "import sys; sys.modules['tensorflow_datasets'] = None;"
        "from tfpix2pix.data.sources import paper_sets, tfds_sets;"
        "import tfpix2pix.data.sources.builders.facades;"
        "print({'tensorflow', 'requests', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
