"""Prints how much of label maps, and of photographs, each built-in palette covers.

    python benchmarks/palette_coverage.py [--data=../shared/data] [--images=400]

`covered` is `Palette.covered`, by which training accepts a palette: its mean, least and most.
"within 24" and "within 56" are, for comparison, the plain shares of pixels so near to a colour of
the palette, flat or not. All in percent. data/label_classes.py quotes the table beside its
constants.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image

_DATA = flags.DEFINE_string("data", "../shared/data", "The folder with facades, camvid, ....")
_IMAGES = flags.DEFINE_integer("images", 400, "At most so many images of each kind.")

# Which palette is the right one for which images; all others are wrong ones.
RIGHT = {
    "facades labels": "facades",
    "camvid labels": "camvid",
    "sample labels": "facades",
    "sample labels, JPEG 75": "facades",
    "sample labels, JPEG 50": "facades",
}


def main(argv: list[str]) -> None:
    del argv
    from tfpix2pix.data.palette import BUILTIN, load_palette

    print("| images | | palette | covered | least | most | within 24 | within 56 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind, images in _kinds(Path(_DATA.value), _IMAGES.value).items():
        pictures = list(images())
        for name in BUILTIN:
            palette = load_palette(name)
            covered = 100 * np.array([palette.covered(picture) for picture in pictures])
            near = 100 * np.mean([_within(palette, picture, (24, 56)) for picture in pictures], 0)
            mark = "right" if RIGHT.get(kind) == name else ""
            print(
                f"| {kind} | {mark} | {name} | {covered.mean():.1f} | {covered.min():.1f} "
                f"| {covered.max():.1f} | {near[0]:.1f} | {near[1]:.1f} |",
                flush=True,
            )


def _within(palette, picture: np.ndarray, distances: tuple[int, ...]) -> list[float]:
    off = picture.astype(np.int32) - palette.to_colors(palette.to_classes(picture))
    squares = (off * off).sum(axis=-1)
    return [float(np.mean(squares <= distance**2)) for distance in distances]


def _kinds(data: Path, count: int) -> dict[str, Callable[[], Iterator[np.ndarray]]]:
    from tfpix2pix.data.images import read_image
    from tfpix2pix.data.sample import facade_pair

    def halves(folder: str, right: bool) -> Callable[[], Iterator[np.ndarray]]:
        def read() -> Iterator[np.ndarray]:
            for path in sorted((data / folder).glob("*.*"))[:count]:
                image = read_image(path)
                middle = image.shape[1] // 2
                yield image[:, middle:] if right else image[:, :middle]

        return read

    def sample(part: int, quality: int | None = None) -> Callable[[], Iterator[np.ndarray]]:
        def draw() -> Iterator[np.ndarray]:
            for index in range(count):
                picture = facade_pair(0, 256, "train", index)[part]
                if quality is not None:
                    file = io.BytesIO()
                    Image.fromarray(picture).save(file, "JPEG", quality=quality)
                    picture = np.asarray(Image.open(file))
                yield picture

        return draw

    kinds = {}
    if (data / "facades").is_dir():
        for name in ("facades", "camvid", "aerial"):
            kinds[f"{name} labels"] = halves(f"{name}/train", right=True)
            kinds[f"{name} photos"] = halves(f"{name}/train", right=False)
        kinds["horse2zebra photos"] = lambda: (
            read_image(path)
            for path in sorted((data / "horse2zebra" / "trainA").glob("*.*"))[:count]
        )
    kinds["sample labels"] = sample(0)
    kinds["sample labels, JPEG 75"] = sample(0, 75)
    kinds["sample labels, JPEG 50"] = sample(0, 50)
    kinds["sample photos"] = sample(1)
    return kinds


if __name__ == "__main__":
    app.run(main)
