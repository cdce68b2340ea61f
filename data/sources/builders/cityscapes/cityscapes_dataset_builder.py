"""The data set cityscapes of the pix2pix paper, for TensorFlow Datasets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from tfpix2pix.data.sources.builders.pair_builder import PairBuilder
from tfpix2pix.data.sources.cityscapes import find_pairs


class Builder(PairBuilder):
    """Builder of `cityscapes_pairs`; see README.md."""

    # TFDS has a set of its own called cityscapes: the full-size images, unpaired with colours.
    name = "cityscapes_pairs"
    RELEASE_NOTES = {"1.0.0": "Photographs and label colours at 256x256."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The licence of Cityscapes allows nobody else to offer its images. Register at "
        "https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip, and put them into the manual folder as they are."
    )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        folder = dl_manager.manual_dir
        return {
            tfds.Split.TRAIN: self._generate_examples(folder, "train"),
            tfds.Split.VALIDATION: self._generate_examples(folder, "val"),
        }

    def _generate_examples(self, folder: Any, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        with find_pairs(folder) as pairs:
            for pair in pairs.get(split, []):
                yield pair.stem, self._example(*pair.load())
