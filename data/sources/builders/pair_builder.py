"""What the TFDS builders of the paper's sets share. Needs tensorflow-datasets; nothing else does.

TFDS has no convention for paired images: its sets name the two ``lr`` and ``hr``, ``image`` and
``depth``, ``image`` and ``segmentation_mask``, and its `cycle_gan` is unpaired (``image`` and
``label``). The names here are those of TensorFlow's pix2pix tutorial.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from PIL import Image

from tfpix2pix.data.sources.paper_sets import PAPER_SETS, PaperSet

INPUT, TARGET = "input_image", "real_image"
PAPER = "https://phillipi.github.io/pix2pix/"

# Folder in the archive -> TFDS's name for such a split.
_SPLITS = {
    "train": tfds.Split.TRAIN,
    "val": tfds.Split.VALIDATION,
    "test": tfds.Split.TEST,
}


# TFDS has no types, so that mypy does not know what its subclasses may say of themselves.
class PairBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Pairs of images: what the paper conditions on, and what it wants to see.

    A subclass is called ``Builder`` and stands in ``NAME/NAME_dataset_builder.py``; TFDS takes its
    name from there, and description, citation and tags from the files beside it.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The authors' archive, both halves losslessly."}  # noqa: RUF012

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        # TFDS would look below the folder of the package `tfpix2pix`, but data/ lies beside it
        # until it is installed.
        cls.code_path = epath.Path(inspect.getfile(cls))
        cls.pkg_dir_path = cls.code_path.parent

    @property
    def paper_set(self) -> PaperSet:
        """The facts about this set."""
        return PAPER_SETS[self.code_path.parent.name]

    def _info(self) -> tfds.core.DatasetInfo:
        # The two halves have one size, 256 or 600 pixels; PNG keeps them as they were decoded.
        image = {"shape": (None, None, 3), "encoding_format": "png"}
        features = {INPUT: tfds.features.Image(**image), TARGET: tfds.features.Image(**image)}
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            supervised_keys=(INPUT, TARGET),
            homepage=PAPER,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        root = dl_manager.download_and_extract(self.paper_set.url) / self.paper_set.name
        return {
            split: self._generate_examples(root, folder)
            for folder, split in _SPLITS.items()
            if (root / folder).exists()
        }

    def _generate_examples(self, folder: Any, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for path in sorted((folder / split).glob("*.jpg")):
            with path.open("rb") as file, Image.open(file) as image:
                both = np.asarray(image.convert("RGB"))
            width = both.shape[1] // 2
            yield path.stem, self._example(both[:, :width], both[:, width:])

    def _example(self, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        """A, B as uint8 [H, W, 3], to features: the paper's input first."""
        x, y = (a, b) if self.paper_set.input_side == "A" else (b, a)
        return {INPUT: np.ascontiguousarray(x), TARGET: np.ascontiguousarray(y)}
