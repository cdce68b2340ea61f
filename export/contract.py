"""What an exported model promises, in words that every format carries.

A `Contract` goes into each artefact (an asset of the SavedModel, metadata of TFLite and ONNX) and
into ``export.json``. It says how to use the artefact without this package, and holds what this
package needs to use it like the run that it came from.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import plain_values
from tfpix2pix.base.version import __version__
from tfpix2pix.config import Config, config_of
from tfpix2pix.inference.translator import WEIGHTS, weights_held

if TYPE_CHECKING:
    from tfpix2pix.data import PairSpec
    from tfpix2pix.data.spec import ImageSpec
    from tfpix2pix.inference import Translator
    from tfpix2pix.models.base import Encoder, Generator

KIND = "tfpix2pix export"
VERSION = 1
# Pixels of the largest image that an export of any size takes, unless it is told otherwise: beyond
# what phones and most cameras take, and for the full-size network some 5 GB of memory.
MAX_PIXELS = 4096 * 4096
LARGEST_IMAGE = 89_478_485
"""Pixels of one image: as many as Pillow decodes without a warning."""
INFERENCES = ("paper", "deterministic")
_STATISTICS = {
    "instance": "of each image itself",
    "batch": "moving averages of the training",
    "none": "none, the network has no normalisation",
}


@dataclass(frozen=True)
class Contract:
    """What an export is.

    Attributes:
      config: of the run.
      palette: the run's label palette as JSON text, or empty.
      step: training step of the weights.
      checkpoint: SHA-256 of the checkpoint that they come from, as hexadecimal digits.
      inference: ``paper``: G(x, z), dropout by the noise z; ``deterministic``: G(x), no dropout.
        Where the generator has a latent, both take it too.
      image_size: ``(height, width)`` that x has, or None for any multiples of ``size_multiple``.
      max_pixels: height times width of x, at most, in the SavedModel's signatures; None where
        ``image_size`` says it, and in exports of versions that had no such limit.
      weights: ``average`` where they are moving averages, else ``raw``.
      direction: ``AtoB`` or ``BtoA``, of the run's generators the one that this is of; x is its
        input. Empty, and then replaced, for the run's default.
      argmax: of a run of one-hot targets: whether y has class numbers, uint8 ``[B, H, W, 1]``, in
        the place of the probability of each class.
      encodes: whether there is also what makes latents of images like the targets; never in
        exports of versions that left it out.
    """

    config: Config
    palette: str
    step: int
    checkpoint: str
    inference: str = "paper"
    image_size: tuple[int, int] | None = None
    max_pixels: int | None = None
    weights: str = "raw"
    direction: str = ""
    argmax: bool = False
    encodes: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction", self.config.direction_of(self.direction))
        check_argmax(self.argmax, self.config)

    @classmethod
    def of(
        cls,
        translator: Translator,
        inference: str = "paper",
        image_size: tuple[int, int] | None = None,
        max_pixels: int | None = None,
        argmax: bool = False,
    ) -> Contract:
        """The contract of an export of a run's generator.

        Args:
          translator: the run.
          inference, image_size, argmax: see the class.
          max_pixels: for an export of any size; None for `default_max_pixels`.
        """
        spec = translator.spec
        if image_size is None:
            max_pixels = max_pixels or default_max_pixels(translator.config)
        palette = spec.x.palette or spec.y.palette
        return cls(
            translator.config,
            "" if palette is None else _canonical(json.loads(palette.to_json())),
            translator.step,
            translator.checkpoint,
            inference,
            image_size,
            None if image_size else max_pixels,
            translator.weights,
            translator.direction,
            argmax,
            translator.encodes,
        )

    @property
    def noise(self) -> bool:
        """Whether the network has the input z."""
        if self.inference != "paper":
            return False
        # Of the default direction it is known without TensorFlow, which clients of servers spare.
        is_default = self.direction == self.config.direction
        return self.config.takes_noise if is_default else self.generator.noise is not None

    @property
    def latent_size(self) -> int:
        """Numbers of the network's input ``latent``; 0 where it has none."""
        if self.direction == self.config.direction:  # as above
            return self.config.latent_size
        return self.generator.latent.size if self.generator.latent else 0

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's inputs, in its order: ``x``, then ``z`` and ``latent`` where it
        has those."""
        has = {"x": True, "z": self.noise, "latent": self.latent_size > 0}
        return tuple(name for name, is_there in has.items() if is_there)

    @property
    def seeded(self) -> bool:
        """Whether there is anything that a seed decides."""
        return self.inputs != ("x",)

    @property
    def formula(self) -> str:
        """The network as a function of its inputs: ``G(x, z)``."""
        return f"G({', '.join(self.inputs)})"

    @cached_property
    def generator(self) -> Generator:
        """What is known of the generator besides its weights."""
        from tfpix2pix.algorithms.registry import generator_for

        return generator_for(self.config, self.direction)

    @cached_property
    def encoder(self) -> Encoder:
        """What is known of the encoder besides its weights; only where there is one."""
        from tfpix2pix.algorithms.registry import encoder_for

        found = encoder_for(self.config, self.direction)
        assert found is not None, "only where it `encodes`"
        return found

    @property
    def channels(self) -> tuple[int, int]:
        """Of x and of y."""
        config = self.config
        x, y = config.x_channels, config.y_channels
        return (x, y) if self.direction == config.direction else (y, x)

    @property
    def labels_out(self) -> bool:
        """Whether y has classes and no picture: their probabilities, or with `argmax` numbers."""
        return self.config.labels_out

    @property
    def result_channels(self) -> int:
        """Of y as the export gives it; the network itself makes those of `channels`."""
        return 1 if self.argmax else self.channels[1]

    @property
    def size_multiple(self) -> int:
        """Height and width of x are multiples of this, pixels."""
        return self.config.size_multiple

    @property
    def noise_factor(self) -> int:
        """Pixels of x per cell of z, along each axis; 1 where the generator takes no z."""
        return self.generator.z.factor if self.generator.noise else 1

    @property
    def noise_channels(self) -> int:
        """Channels Z of z; 0 where the generator takes no z."""
        return self.generator.z.channels if self.generator.noise else 0

    @property
    def spec(self) -> PairSpec:
        """Channels, depth, value range and labels of inputs and results."""
        from tfpix2pix.config.dataset import spec_with

        return spec_with(self.config, self.palette or None, self.direction)

    def shapes(self, height: int | None, width: int | None) -> dict[str, tuple[Any, ...]]:
        """Shapes of the network's inputs by name, in its order, without the batch.

        Args:
          height, width: of x; None for any.
        """
        shapes: dict[str, tuple[Any, ...]] = {"x": (height, width, self.channels[0])}
        if self.noise:
            sides = (side and side // self.noise_factor for side in (height, width))
            shapes["z"] = (*sides, self.noise_channels)
        if self.latent_size:
            shapes["latent"] = (self.latent_size,)
        return shapes

    @property
    def encoder_shape(self) -> tuple[int, int, int]:
        """``[H, W, C_out]`` of the image that the encoder takes: of the size of the training."""
        return *self.config.whole_size, self.channels[1]

    def noise_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """``[h, w, Z]`` of the z that goes with an x of that height and width."""
        return height // self.noise_factor, width // self.noise_factor, self.noise_channels

    def _check_size(self) -> None:
        """Refuses a fixed size that an export cannot have, or no memory holds."""
        size = self.image_size
        if size is None:
            return
        if any(side < self.config.least_size or side % self.size_multiple for side in size):
            raise UserError(
                f"image_size {list(size)}: expected multiples of {self.size_multiple} pixels"
            )
        if math.prod(size) > LARGEST_IMAGE:
            raise UserError(f"image_size {list(size)}: more than {LARGEST_IMAGE:,} pixels")

    # === JSON ===

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON: first what a person reads, last what this package reads back."""
        spec = self.spec
        height, width = self.image_size or ("H", "W")
        noise: dict[str, Any] = {
            "dropout": "off: the network has no z, equal inputs give equal results"
        }
        if self.noise:
            noise = {
                "dropout": "by z: a feature is dropped where its number of z is in [0, rate)",
                "rate": self.generator.z.rate,
                "z": f"float32 [B, H / {self.noise_factor}, W / {self.noise_factor}, "
                f"{self.noise_channels}]",
                "pixels_per_cell": self.noise_factor,
                "channels": self.noise_channels,
                "distribution": "uniform in [0, 1), independent",
                "off": "-1 everywhere: no dropout",
            }
        latent = {
            "what": "chooses among the right answers: another latent, another picture of the input",
            "latent": f"float32 [B, {self.latent_size}]",
            "size": self.latent_size,
            "distribution": "normal of mean 0 and standard deviation 1, independent",
            "seed": "where a seed is given in its place, it is drawn from that and config's seed",
        }
        return {
            "kind": KIND,
            "version": VERSION,
            "tfpix2pix": __version__,
            "inference": self.inference,
            "statistics": _STATISTICS[self.generator.statistics],
            "noise": noise,
            "latent": latent if self.latent_size else None,
            **({"encoder": self._encoder()} if self.encodes else {}),
            "x": {
                "tensor": f"float32 [B, {height}, {width}, {self.channels[0]}] in [-1, 1]",
                "channels": spec.channel_names["x"],
                "files": _side(spec.x),
            },
            "y": {
                **self._y(f"[B, {height}, {width}, {self.result_channels}]"),
                "channels": ["class"] if self.argmax else spec.channel_names["y"],
                "files": _side(spec.y),
            },
            "argmax": self.argmax,
            "image_size": "any" if self.image_size is None else list(self.image_size),
            "size_multiple": self.size_multiple,
            "least_size": self.config.least_size,
            "max_pixels": self.max_pixels,
            "padding": "at the bottom and right by reflection to the multiple, result cropped back",
            "direction": self.direction,
            "color_space": self.config.color_space,
            "label_side": spec.label_side,
            "palette": json.loads(self.palette) if self.palette else None,
            "checkpoint": {"step": self.step, "sha256": self.checkpoint},
            "weights": self.weights,
            "config": plain_values(self.config),
        }

    def _encoder(self) -> dict[str, Any]:
        """What the encoder is."""
        height, width, channels = self.encoder_shape
        return {
            "what": "makes a latent of an image like the targets, which gives others its style",
            "y": f"float32 [B, {height}, {width}, {channels}] in [-1, 1]",
            "resizing": "to that size, antialiased",
            "size": [height, width],
            "latent": f"float32 [B, {self.latent_size}]",
        }

    def _y(self, shape: str) -> dict[str, str]:
        """What the numbers of y are."""
        if self.argmax:
            what = "the likeliest class, by its place in the palette, from 0 on"
            return {"tensor": f"uint8 {shape}", "activation": "argmax", "what": what}
        if self.labels_out:
            what = "the probability of each class of the palette, in its order"
            return {"tensor": f"float32 {shape} in [0, 1]", "activation": "softmax", "what": what}
        return {
            "tensor": f"float32 {shape} in [-1, 1]",
            "activation": self.generator.activation,
            "what": "a picture",
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def parse(cls, text: str | bytes, where: str) -> Contract:
        """Reads what `to_json` wrote.

        Args:
          text: the JSON.
          where: the file it comes from, for the message.

        Raises:
          UserError: it is no contract of an export, or one of a later version.
        """
        try:
            values = json.loads(text)
            if values["kind"] != KIND:
                raise ValueError("another kind")
            if values["version"] > VERSION:
                raise UserError(
                    f"{where} was exported by tfpix2pix {values['tfpix2pix']}, which is newer "
                    f"than this one ({__version__}); upgrade this one"
                )
            size = values["image_size"]
            palette = values["palette"]
            # Exports of earlier versions do not have these.
            pixels, weights = values.get("max_pixels"), values.get("weights", "raw")
            contract = cls(
                config_of(values["config"]),
                "" if palette is None else _canonical(palette),
                int(values["checkpoint"]["step"]),
                str(values["checkpoint"]["sha256"]),
                values["inference"],
                None if size == "any" else (int(size[0]), int(size[1])),
                None if pixels is None else int(pixels),
                weights,
                str(values["direction"]),
                bool(values.get("argmax", False)),
                values.get("encoder") is not None,
            )
            if contract.max_pixels is not None and contract.max_pixels < 1:
                raise ValueError("no pixels")
            if contract.inference not in INFERENCES:
                raise ValueError("unknown inference")
            if weights != weights_held(contract.config, weights) or weights not in WEIGHTS:
                raise ValueError("unknown weights")
            if contract.encodes and not contract.config.ENCODES:
                raise ValueError("an encoder of a run that has none")
            contract._check_size()
            contract.spec  # noqa: B018 - raises where palette and config do not fit
        except UserError as error:
            if str(error).startswith(where):
                raise
            raise UserError(f"{where}: its contract cannot be used ({error})") from None
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            raise UserError(
                f"{where} does not carry the contract of a tfpix2pix export, so how to use it is "
                "not known; give what `tfpix2pix export` wrote"
            ) from None
        return contract


def check_argmax(argmax: bool, config: Config) -> None:
    """Raises UserError where class numbers are wanted of a run that has no classes."""
    if argmax and not config.labels_out:
        raise UserError(
            "--argmax is for runs of --target_encoding=onehot, whose network gives classes; this "
            "one's gives pictures, so leave it out"
        )


def default_max_pixels(config: Config) -> int:
    """`MAX_PIXELS`, or as many as twice the run's size a side where those are more."""
    return max(MAX_PIXELS, least_max_pixels(config))


def least_max_pixels(config: Config) -> int:
    """The smallest limit that an export can have: the proof runs at twice the run's size."""
    return 4 * config.whole_size.pixels


def _canonical(palette: Any) -> str:
    # Of one text for one palette, so that contracts can be compared.
    return json.dumps(palette)


def _side(side: ImageSpec) -> dict[str, Any]:
    return {
        "dtype": side.dtype,
        "low": side.low,
        "high": side.high,
        "what": side.describe(),
        "scaling": "a channel for each class"
        if side.one_hot
        else f"-1 is {side.low:g}, 1 is {side.high:g}",
    }
