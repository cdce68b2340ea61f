"""Data sets of small images, drawn as needed, in any layout, depth and format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from tfpix2pix.base.errors import DataError


def side_by_side(seed: int, height: int = 12, width: int = 32) -> np.ndarray:
    """Random pixels, smooth enough for JPEG: the left half dark, the right half bright."""
    dice = np.random.default_rng(seed)
    image = dice.integers(0, 100, (height, width, 3), dtype=np.uint8)
    image[:, width // 2 :] += 150
    return image


@pytest.fixture
def pairs_folder(tmp_path):
    """A function ``(train=3, val=2, ...) -> Path`` that writes PNG pairs train/00.png, ..."""

    def write(height: int = 12, width: int = 32, **counts: int) -> Path:
        root = tmp_path / "pairs"
        for number, (split, count) in enumerate((counts or {"train": 5, "val": 2}).items()):
            (root / split).mkdir(parents=True)
            for index in range(count):
                image = side_by_side(100 * number + index, height, width)
                Image.fromarray(image).save(root / split / f"{index:02d}.png")
        return root

    return write


@pytest.fixture(scope="session")
def draw() -> Callable[..., np.ndarray]:
    """`draw(seed, channels=3, dtype="uint8", height=12, width=16)`: random values of a type.

    The whole scale of 8 or 16 bits is used; floats are in [0, 1).
    """

    def pixels(
        seed: int, channels: int = 3, dtype: str = "uint8", height: int = 12, width: int = 16
    ) -> np.ndarray:
        dice = np.random.default_rng(seed)
        shape = (height, width, channels)
        if dtype == "float32":
            return dice.random(shape, np.float32)
        return dice.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)

    return pixels


@pytest.fixture(scope="session")
def save() -> Callable[[Path, np.ndarray], Path]:
    """`save(path, array)` writes ``[H, W, C]`` losslessly by its extension, without our writer.

    .jpg, .png, .webp, .bmp, .gif by Pillow (16 bits: imagecodecs), .tif by tifffile, .npy by
    NumPy. Folders are made.
    """

    def write(path: Path, array: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        flat = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
        if path.suffix == ".npy":
            np.save(path, array)
        elif path.suffix in (".tif", ".tiff"):
            colour = array.ndim == 3 and array.shape[-1] in (3, 4)
            tifffile.imwrite(path, flat, photometric="rgb" if colour else "minisblack")
        elif array.dtype == np.uint16:
            path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(flat)))
        else:
            options = {"lossless": True} if path.suffix == ".webp" else {}
            Image.fromarray(flat).save(path, **options)
        return path

    return write


@pytest.fixture(scope="session")
def refusal() -> Callable[..., str]:
    """`refusal(dataset, **options)`: the message with which a data set is refused."""
    from tfpix2pix.data import open_dataset

    def message(dataset: object, **options: object) -> str:
        with pytest.raises(DataError) as caught:
            open_dataset(str(dataset), **options).check()
        return str(caught.value)

    return message


@pytest.fixture(scope="session")
def loaded() -> Callable[..., dict]:
    """`loaded(source, split="train")`: every pair of a split by name, as stored arrays."""

    def pairs(source, split: str = "train") -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {
            source.pair_name(split, i): source.load(split, i) for i in range(source.count(split))
        }

    return pairs
