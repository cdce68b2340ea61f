"""Images of two sides that are no pairs, as arrays in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.check.faults import fault_report
from tfpix2pix.data.check.resolve import resolve_unpaired
from tfpix2pix.data.check.scan import PairLook, look_at
from tfpix2pix.data.config import ARRAYS
from tfpix2pix.data.layouts.pair_files import PairFiles
from tfpix2pix.data.layouts.splits import DEFAULT_VAL_FRACTION, check_val_fraction, split_of
from tfpix2pix.data.sources.arrays import Images, PairArrays, decoded_of, label_of, name_of
from tfpix2pix.data.sources.base import SPLITS, ImageSource, Progress
from tfpix2pix.data.sources.unpaired import UnpairedSource, sizes_of_both
from tfpix2pix.data.spec import ImageSpec, PairWish
from tfpix2pix.data.threads import threaded


class _Side(ImageSource):
    """The images of x, or of y."""

    def __init__(
        self,
        side: str,
        arrays: PairArrays,
        val_fraction: float,
        spec: Callable[[], ImageSpec],
    ) -> None:
        self.name, self._side, self._arrays, self._spec = f"dataset: {side}", side, arrays, spec
        # (split of the arrays, number there) of every image, by split.
        self.places: dict[str, list[tuple[str, int]]] = {split: [] for split in SPLITS}
        for split in arrays.splits:
            for i in range(len(self._of(split))):
                own = split or split_of(name_of(i), val_fraction)
                self.places[own].append((split, i))

    @property
    def spec(self) -> ImageSpec:  # type: ignore[override]
        return self._spec()

    def count(self, split: str) -> int:
        return len(self.places.get(split, ()))

    def load(self, split: str, index: int) -> np.ndarray:
        place = self.places[split][index]
        try:
            return self.spec.store(decoded_of(self._image(place)))
        except ValueError as error:
            raise DataError(
                f"{self.label(place)}: {error}; expected {self.spec.describe()}."
            ) from None

    def image_name(self, split: str, index: int) -> str:
        return name_of(self.places[split][index][1])

    def cache_key(self, split: str) -> str:
        return f"{self._arrays.digest[:24]}-{self._side}-{split}"

    def label(self, place: tuple[str, int]) -> str:
        return label_of(f"{self._side}[{place[1]}]", place[0])

    def look(self, split: str, place: tuple[str, int], wish: PairWish) -> PairLook:
        path = Path(self.label(place))
        files = PairFiles(name_of(place[1]), path, whole=True)
        seen = look_at(path, decoded_of(self._image(place)), wish)
        return PairLook(split, files, seen, seen)

    def sizes(self) -> dict[tuple[int, int], int]:
        """Number of images by (height, width)."""
        images = (image for split in self._arrays.splits for image in self._of(split))
        return dict(Counter(image.shape[:2] for image in images))

    def _of(self, split: str) -> Images:
        return self._arrays.splits[split]["xy".index(self._side)]

    def _image(self, place: tuple[str, int]) -> np.ndarray:
        return self._of(place[0])[place[1]]


class UnpairedArrays(UnpairedSource):
    """Arrays x and y of any counts; x are the inputs.

    Args:
      arrays: the images.
      wish: what the user asked of the spec; the rest is as the arrays are.
      val_fraction: the share of each side that is held out as val where the arrays are not split.
      allow_mixed_sizes: let `check` accept images of differing size on one side.

    Raises:
      DataError: a fraction out of range.
    """

    def __init__(
        self,
        arrays: PairArrays,
        *,
        wish: PairWish = PairWish(),  # noqa: B008 (frozen)
        val_fraction: float = DEFAULT_VAL_FRACTION,
        allow_mixed_sizes: bool = False,
    ) -> None:
        self.name, self.direction, self.arrays = f"--dataset={ARRAYS}", "AtoB", arrays
        self._wish, self._allow_mixed_sizes = wish, allow_mixed_sizes
        self._spec = wish.spec() if wish.resolved else None
        self._notes: list[str] = []
        check_val_fraction(val_fraction)
        self._both = (
            _Side("x", arrays, val_fraction, lambda: self.spec.x),
            _Side("y", arrays, val_fraction, lambda: self.spec.y),
        )
        self.x, self.y = self._both

    def describe(self) -> str:
        return f"{self._shown_counts()} images (unpaired, arrays; {self.spec.describe()})"

    def identity(self) -> dict[str, Any]:
        return {
            "layout": "arrays",
            "data": "unpaired",
            "counts": self._counts_of_sides(),
            "sizes": [[list(size) for size in sorted(of.sizes())[:16]] for of in self._both],
            "arrays": self.arrays.digest,
        }

    def image_sizes(self) -> dict[tuple[int, int], int]:
        return sizes_of_both(*(side.sizes() for side in self._both))

    def notes(self) -> list[str]:
        return list(self._notes)

    def check(self, progress: Progress | None = None) -> None:
        done, looks = 0, []
        for side in self._both:
            jobs = [(split, place) for split, places in side.places.items() for place in places]

            def look(job: tuple[str, tuple[str, int]], side: _Side = side) -> PairLook:
                return side.look(*job, self._wish)

            seen = []
            for one in threaded(look, jobs):
                seen.append(one)
                done += 1
                if progress:
                    progress(done, self.to_check())
            looks.append(seen)
        x, y = looks
        resolved = resolve_unpaired(
            x, y, self._wish, label=str, allow_mixed_sizes=self._allow_mixed_sizes
        )
        if resolved.faults:
            raise DataError(fault_report(self.name, resolved.faults, self.to_check()))
        self._spec, self._notes = resolved.spec, resolved.notes
