"""Where the pictures that an evaluation judges come from: a network, or a folder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size

if TYPE_CHECKING:
    import numpy.typing as npt

    from tfpix2pix.config import Config
    from tfpix2pix.data import PairSpec


class Maker(Protocol):
    """What makes pictures of inputs, as a `tfpix2pix.inference.Translator` does: of a run, an
    export or a server."""

    config: Config
    spec: PairSpec
    step: int
    checkpoint: str
    weights: str
    network: Any
    """Its `image_size`: the height and width that inputs must have, padded; None for any."""

    @property
    def takes_noise(self) -> bool: ...

    @property
    def stride(self) -> int: ...

    def drawn_by(self, seed: int, deterministic: bool = False) -> str:
        """See `tfpix2pix.inference.Translator.drawn_by`."""

    @property
    def latent_size(self) -> int: ...

    def varies(self, deterministic: bool = False) -> bool:
        """See `tfpix2pix.inference.Translator.varies`."""

    def translate_x(
        self,
        x: np.ndarray,
        *,
        seed: int = 0,
        latent: npt.ArrayLike | None = None,
        deterministic: bool = False,
    ) -> np.ndarray:
        """See `tfpix2pix.inference.Translator.translate_x`."""

    def latent(self, seeds: Sequence[int]) -> np.ndarray:
        """See `tfpix2pix.inference.Translator.latent`."""


class Pictures(Protocol):
    """Generated pictures of a split, one pair after the other."""

    spec: PairSpec
    """Of the pairs: it says what the pictures are."""

    samples: int
    """How many there are for each input."""

    def of(self, name: str, x: np.ndarray) -> list[np.ndarray]:
        """The pictures of one pair, as their files hold them.

        Args:
          name: the pair's.
          x: its input, float32 ``[H, W, C_in]`` in [-1, 1].

        Returns:
          `samples` arrays ``[H, W, C]`` as `PairSpec.result` gives them.

        Raises:
          UserError: there is none that can be used.
        """

    def facts(self) -> dict[str, Any]:
        """JSON-able facts on how they are made."""


class Generated:
    """What `tfpix2pix translate` makes of the inputs, at their size, with the same seed.

    Each is made in a batch of its own: in a larger one the last bits of a convolution may differ,
    and a picture's levels with them.

    Args:
      translator: of a run, an export or a server.
      size: of the inputs, for the check of exports of a fixed size.
      seed: of every input's first sample. Sample k has the latent code of seed + k and the noise
        z of the first; where there is no code, z of seed + k.
      samples: for each input.
      deterministic: no noise; codes still vary.
      may_repeat: whether a network that has nothing to vary gives the same picture for every
        sample.

    Raises:
      UserError: the network takes no inputs of this size, or has nothing to draw samples with.
    """

    def __init__(
        self,
        translator: Maker,
        size: Size,
        *,
        seed: int = 0,
        samples: int = 1,
        deterministic: bool = False,
        may_repeat: bool = False,
    ) -> None:
        self.translator, self.spec = translator, translator.spec
        self.seed, self.samples, self.deterministic = seed, samples, deterministic
        padded = Size(*(side + -side % translator.stride for side in size))
        fixed = translator.network.image_size
        if fixed is not None and Size(*fixed) != padded:
            raise UserError(
                f"--size={size}: this export takes {fixed[1]}x{fixed[0]} only; give "
                f"--size={Size(*fixed)}, or export with --image_size=any"
            )
        limit = translator.network.max_pixels
        if limit is not None and padded.pixels > limit:
            raise UserError(
                f"--size={size}: this export takes at most {limit:,} pixels; give a smaller size, "
                "or export with a larger --max_pixels"
            )
        self.varies = translator.varies(deterministic)
        if samples > 1 and not self.varies and not may_repeat:
            why, drop = "the network has neither noise nor a latent code", "--samples"
            if deterministic and translator.takes_noise:
                why, drop = "--deterministic leaves the noise out", "one of the two"
            raise UserError(
                f"--samples={samples}: {why}, so all samples would be the same picture; drop {drop}"
            )

    def of(self, name: str, x: np.ndarray) -> list[np.ndarray]:
        translator = self.translator
        make = functools.partial(translator.translate_x, x, deterministic=self.deterministic)
        seeds = range(self.seed, self.seed + self.samples)
        if translator.latent_size:
            codes = translator.latent(seeds)
            return [make(seed=self.seed, latent=code) for code in codes]
        if not self.varies:
            return [make(seed=self.seed)] * self.samples
        return [make(seed=seed) for seed in seeds]

    def facts(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "seed": self.seed
            if self.translator.takes_noise or self.translator.latent_size
            else None,
            "deterministic": self.deterministic or not self.translator.takes_noise,
            "step": self.translator.step,
            "checkpoint": self.translator.checkpoint,
            "weights": self.translator.weights,
        }


def file_levels(spec: PairSpec, picture: np.ndarray) -> np.ndarray:
    """A result as its file holds it, on the scale 0 to 255: `PairSpec.levels` from the file's side.

    Args:
      spec: of the pairs.
      picture: ``[H, W, C]`` as `PairSpec.result` gives it.

    Returns:
      uint8, or float64 where the target has other steps than whole levels.
    """
    side = spec.result_image
    if side.dtype == "uint8" and side.whole_scale:
        return picture
    return (picture.astype(np.float64) - side.low) * (255.0 / (side.high - side.low))
