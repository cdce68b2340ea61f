"""Several answers to one input: by their seeds, or on the way from one latent to another.

a, b = model.latent([0, 1])
frames = [model.translate(image, latent=code) for code in walk(a, b, 24)]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpix2pix.base.grid import Sheet, encode_animation, shown_at, size_within, to_rgb

MOST = 999  # answers to one input
ANIMATIONS = {".webp": "WEBP", ".gif": "GIF", ".png": "PNG"}
"""Files that hold an animation, with the name that Pillow has for them."""

_LARGEST = 1024  # pixels of the longer side of a frame
_ROOM = 256 << 20  # bytes of all frames together
_PARALLEL = 1e-3  # radians


@dataclass(frozen=True)
class Answer:
    """What one picture is made with.

    Attributes:
      seed, latent: as `Translator.translate` takes them.
      title: of the picture.
    """

    seed: int
    latent: np.ndarray | None = None
    title: str = ""


def walk(start: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """The latents on the way from one to another, both ends among them.

    By the angle between them (Shoemake 1985, "Animating rotation with quaternion curves"; of
    latents White 2016, arXiv 1609.04468): the straight line leads past the middle, where there are
    hardly any latents of a standard normal distribution. Where both point the same way, or just
    opposite ways, so that no way is the shortest, it is the straight line.

    Args:
      start, end: ``[n]``.
      count: of latents, 2 or more.

    Returns:
      float32 ``[count, n]``.
    """
    if count < 2:
        raise ValueError(f"{count} latents, where a way has two ends; give 2 or more")
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    share = np.linspace(0, 1, count)[:, None]
    lengths = np.linalg.norm(start) * np.linalg.norm(end)
    angle = math.acos(np.clip(start @ end / lengths, -1, 1)) if lengths else 0.0
    before, after = 1 - share, share
    if min(angle, math.pi - angle) > _PARALLEL:
        before, after = (np.sin(part * angle) / math.sin(angle) for part in (before, after))
    return (before * start + after * end).astype(np.float32)


class SheetFile:
    """The input and its answers in one picture.

    Args:
      shape: height and width of the pictures, pixels.
      count: of answers.
    """

    def __init__(self, shape: tuple[int, int], count: int) -> None:
        self._sheet = Sheet(shape, count)

    def add_input(self, picture: np.ndarray) -> None:
        """uint8 ``[H, W, C]``."""
        self._sheet.add("input", picture)

    def add(self, answer: Answer, picture: np.ndarray) -> None:
        """uint8 ``[H, W, C]``."""
        self._sheet.add(answer.title, picture)

    def write(self, path: Path) -> None:
        """Writes it, whole or not at all.

        Raises:
          DataError: it cannot be written.
        """
        from tfpix2pix.data import write_image

        write_image(path, self._sheet.picture())


class AnimationFile:
    """The answers one after the other, there and back; large ones are shown smaller.

    Args:
      shape: height and width of the pictures, pixels.
      count: of answers.
    """

    def __init__(self, shape: tuple[int, int], count: int) -> None:
        shorter, longer = sorted(shape)
        room = int(math.sqrt(_ROOM / 3 / count * longer / shorter))
        self._size = size_within(*shape, min(_LARGEST, room))
        self._frames: list[np.ndarray] = []

    def add_input(self, picture: np.ndarray) -> None:
        """It is no frame."""

    def add(self, answer: Answer, picture: np.ndarray) -> None:
        """uint8 ``[H, W, C]``."""
        self._frames.append(shown_at(to_rgb(picture), self._size))

    def write(self, path: Path) -> None:
        """Writes it, whole or not at all.

        Raises:
          DataError: it cannot be written.
        """
        from tfpix2pix.data.images import write_content

        frames = self._frames + self._frames[-2:0:-1]
        kind = ANIMATIONS[path.suffix.lower()]
        write_content(path, lambda: encode_animation(frames, kind))
