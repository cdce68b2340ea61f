"""Loading a run and translating images with it.

import tfpix2pix

model = tfpix2pix.load("runs/sample")
picture = model.translate(image)  # [H, W, C] to [H, W, C_out], uint8 for a run on 8-bit images
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import Config, load_config
from tfpix2pix.config.dataset import spec_of

if TYPE_CHECKING:
    import tensorflow as tf

    from tfpix2pix.data import Decoded, PairSpec
    from tfpix2pix.training.checkpoints import Checkpoints


WEIGHTS = ("average", "raw")
"""Of a run with moving averages, the averages or what is trained; else both mean the latter."""


class Network(Protocol):
    """A generator that something runs: Keras here, other engines in `tfpix2pix.export`."""

    @property
    def takes_noise(self) -> bool:
        """Whether it is G(x, z); False for G(x)."""

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width that x must have; None for any multiples of the size multiple."""

    @property
    def max_pixels(self) -> int | None:
        """Height times width that x may have; None for no limit."""

    def __call__(self, x: np.ndarray, z: np.ndarray | None) -> np.ndarray:
        """y, float32 ``[B, H, W, C_out]``, of x ``[B, H, W, C_in]`` and z (None: not taken)."""


class KerasNetwork:
    """A Keras generator, ``[x, z] -> y`` (or ``x -> y``: no noise), as a `Network`."""

    image_size: tuple[int, int] | None = None
    max_pixels: int | None = None

    def __init__(self, generator: tf.keras.Model) -> None:
        import tensorflow as tf

        self.generator = generator
        self.takes_noise = len(generator.inputs) > 1
        # One trace for every size: a folder of differing sizes must not compile for each.
        signature = [tf.TensorSpec([None, None, None, i.shape[-1]]) for i in generator.inputs]
        self._forward = tf.function(
            lambda *inputs: generator(
                list(inputs) if self.takes_noise else inputs[0], training=False
            ),
            input_signature=signature,
        )

    def __call__(self, x: np.ndarray, z: np.ndarray | None) -> np.ndarray:
        return self._forward(*([x, z] if self.takes_noise else [x])).numpy()


class Translator:
    """G(x, z) of a trained run or of an export, for pictures of any size.

    Args:
      config: the run's config.
      network: what runs the generator.
      step: the training step that its weights come from.
      spec: of the run's pairs: channels, depth, value range, labels.
      checkpoint: SHA-256 of the checkpoint that the weights come from.
      weights: ``average`` where they are moving averages, else ``raw``.

    Attributes:
      parallel: calls at a time that use it well; an engine here uses all cores for one.
    """

    parallel = 1

    def __init__(
        self,
        config: Config,
        network: Network,
        step: int,
        spec: PairSpec,
        checkpoint: str = "",
        weights: str = "raw",
    ) -> None:
        self.config, self.network, self.step, self.spec = config, network, step, spec
        self.checkpoint, self.weights = checkpoint, weights

    @property
    def generator(self) -> tf.keras.Model:
        """The Keras generator; only where Keras runs it."""
        assert isinstance(self.network, KerasNetwork), "another engine runs the generator"
        return self.network.generator

    @property
    def takes_noise(self) -> bool:
        """Whether a seed decides the noise; False for an export made without it."""
        return self.network.takes_noise

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this; images are padded to it."""
        return self.config.size_multiple

    def translate(
        self,
        image: np.ndarray | Decoded,
        *,
        seed: int = 0,
        deterministic: bool = False,
        fit: bool = False,
        notes: list[str] | None = None,
    ) -> np.ndarray:
        """Translates one picture.

        The picture is padded at the right and bottom by reflection to a multiple of ``stride``
        and the result is cropped back, so it has the picture's own size.

        Args:
          image: uint8, uint16 or float32 ``[H, W, C]`` or ``[H, W]`` of any size, or an image as
            `tfpix2pix.data.decode` gives it. C as the run was trained, or 1 (grey), 3 (RGB), 2
            or 4 (the same with alpha, placed on white), which turn into each other; 8 and 16
            bits do as well. For a run of labels: RGB, or class indices ``[H, W]``.
          seed: of the noise z, any int of 64 bits; the same seed gives the same picture.
          deterministic: no dropout instead of z's (an export made without noise has none anyway).
          fit: resize the picture to the size that the run was trained at, and the result back.
          notes: told in plain words what was changed in the picture to make it an input.

        Returns:
          ``[H, W, C_out]`` in the depth and value range of the run's targets: uint8, uint16 or
          float32; RGB for a run of ``color_space="lab"``. Where the picture has nothing measured
          (NaN, or what the run knows as such) it has `ImageSpec.nodata`.

        Raises:
          ValueError: a picture that cannot become an input, one of another size than an export
            of fixed size takes, a larger one than an export takes, or a seed that does not fit.
        """
        if not -(2**63) <= seed < 2**63:
            raise ValueError(f"seed {seed} does not fit in 64 bits")
        decoded = self._decoded(image)
        x = self.spec.read_input(decoded, notes)
        result = self._result(x, seed, deterministic, fit)
        missing = self.spec.missing(decoded)
        return self.spec.marked(result, missing, decoded.nodata) if missing.any() else result

    def _result(self, x: np.ndarray, seed: int, deterministic: bool, fit: bool) -> np.ndarray:
        """What `translate` makes of an input, before it is marked."""
        if not fit:
            return self.translate_x(x, seed=seed, deterministic=deterministic)
        height, width = self.network.image_size or self.config.whole_size
        seen = resized(x, height, width, nearest=self.spec.x.is_classes)
        y = resized(self._generate(seen, seed, deterministic), *x.shape[:2])
        return self.spec.result(x, y)

    def translate_x(
        self, x: np.ndarray, *, seed: int = 0, deterministic: bool = False
    ) -> np.ndarray:
        """Translates what is an input already: `translate` of its picture.

        Args:
          x: float32 ``[H, W, C_in]`` in [-1, 1], of any size.
          seed, deterministic: as `translate` takes them.

        Raises:
          ValueError: another size than an export of fixed size takes.
        """
        height, width = x.shape[:2]
        padded = pad(x, self.stride)
        self._check_size(*padded.shape[:2])
        return self.spec.result(x, self._generate(padded, seed, deterministic)[:height, :width])

    def _decoded(self, image: np.ndarray | Decoded) -> Decoded:
        from tfpix2pix.data import Decoded

        if isinstance(image, Decoded):
            return image
        image = np.asarray(image)
        if image.ndim == 2:
            image = image[..., None]
        if image.dtype.name not in ("uint8", "uint16", "float32"):
            raise ValueError(f"expected uint8, uint16 or float32, got {image.dtype}")
        if image.ndim != 3 or 0 in image.shape:
            raise ValueError(f"expected an image [H, W, C], got {list(image.shape)}")
        channels = image.shape[-1]
        has_alpha = channels in (2, 4) and channels != self.spec.x.channels
        return Decoded(image, has_alpha, None, ())

    def noise(self, x: np.ndarray, seeds: Sequence[int], deterministic: bool = False) -> np.ndarray:
        """The z that `translate` hands to the network beside x.

        Args:
          x: ``[B, H, W, C]``, H and W multiples of the stride.
          seeds: one for each image, whose z is a function of it alone.
          deterministic: the z that switches dropout off instead.

        Returns:
          float32 ``[B, h, w, Z]``.
        """
        import tensorflow as tf

        from tfpix2pix.algorithms.registry import default_generator
        from tfpix2pix.models import noise

        shape = default_generator(self.config).z.shape(*x.shape[1:3])
        if deterministic:
            return noise.no_noise(len(seeds), shape).numpy()
        positions = tf.constant(list(seeds), tf.int64)
        return noise.draw(self.config.seed, noise.INFERENCE, positions, shape).numpy()

    def _generate(self, x: np.ndarray, seed: int, deterministic: bool) -> np.ndarray:
        """G of one x ``[H, W, C]`` whose sides are multiples of the stride."""
        x = np.ascontiguousarray(x[None], np.float32)
        z = self.noise(x, [seed], deterministic) if self.takes_noise else None
        return self.network(x, z)[0]

    def _check_size(self, height: int, width: int) -> None:
        fixed = self.network.image_size
        if fixed is not None and fixed != (height, width):
            raise ValueError(
                f"{width}x{height} pixels (width x height, padded), and this export takes "
                f"{fixed[1]}x{fixed[0]} only; use --fit, or export with --image_size=any"
            )
        limit = self.network.max_pixels
        if limit is not None and height * width > limit:
            raise ValueError(
                f"{width}x{height} pixels (width x height, padded), and this export takes at most "
                f"{limit:,}; use --fit, or export with a larger --max_pixels"
            )


def load(
    workdir: str | os.PathLike[str],
    checkpoint: str | int = "latest",
    say: Callable[[str], None] = lambda text: None,
    weights: str = "average",
) -> Translator:
    """Loads a trained run.

    Args:
      workdir: the folder that ``tfpix2pix train`` wrote, or what `tfpix2pix.train` returned.
      checkpoint: ``"latest"``, ``"best"`` (by the run's val measure) or a step.
      say: told in a sentence when a damaged checkpoint was passed over.
      weights: ``average``, or ``raw``: the weights themselves, where the run has averages of them.

    Raises:
      UserError: it is no run, has no checkpoint (that is whole), or not the one asked for.
    """
    check_weights(weights)
    workdir = os.fspath(workdir)
    config = load_config(workdir)
    spec = spec_of(config, workdir)
    from tfpix2pix.algorithms.base import averaged
    from tfpix2pix.algorithms.registry import default_generator
    from tfpix2pix.models.weights import named_weights
    from tfpix2pix.training.checkpoints import Checkpoints

    checkpoints = Checkpoints(workdir)
    step = _step_of(checkpoints, checkpoint, workdir, say)
    _check_stored(config, checkpoints, step, workdir)
    generator = default_generator(config)
    model = generator.build()
    held = weights_held(config, weights)
    part = averaged(generator.name) if held == "average" else generator.name
    facts = checkpoints.restore({part: named_weights(model)}, step, say)
    assert facts is not None, "_step_of refuses a run without checkpoints"
    network = KerasNetwork(model)
    return Translator(config, network, int(facts["step"]), spec, facts["sha256"], held)


def check_weights(weights: str) -> None:
    """Refuses a name of weights that is not known.

    Raises:
      UserError: it is none of `WEIGHTS`.
    """
    if weights not in WEIGHTS:
        raise UserError(f"--weights={weights}: expected {' or '.join(WEIGHTS)}")


def weights_held(config: Config, weights: str) -> str:
    """Which weights a run gives when it is asked for some: ``raw`` where it has no averages."""
    return weights if config.average_decay else "raw"


def load_quietly(
    workdir: str | os.PathLike[str],
    checkpoint: str | int = "latest",
    say: Callable[[str], None] = lambda text: None,
    weights: str = "average",
) -> Translator:
    """`load`, without the lines that TensorFlow prints when it is imported."""
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    return load(workdir, checkpoint, say, weights)


@dataclass(frozen=True)
class Model:
    """A run or an export that may be loaded later: TensorFlow takes seconds to import, and what
    does not fit the model is refused before that.

    Attributes:
      name: as the user typed it: a run's folder, an export's, or a server's address.
      config: of the run.
      spec: of its pairs.
      open: loads it; its argument is told in a sentence when a damaged checkpoint was passed over.
    """

    name: str
    config: Config
    spec: PairSpec
    open: Callable[[Callable[[str], None]], Translator]

    @classmethod
    def of_run(cls, workdir: str, checkpoint: str = "latest", weights: str = "average") -> Model:
        """A trained run, of which its folder's small files are read; see `load`.

        Raises:
          UserError: it is no run, or the weights are not known. What is wrong with its checkpoints
            is found when it is opened.
        """
        check_weights(weights)
        config = load_config(workdir)
        return cls(
            workdir,
            config,
            spec_of(config, workdir),
            lambda say: load_quietly(workdir, checkpoint, say, weights),
        )

    @classmethod
    def of_translator(cls, name: str, translator: Translator) -> Model:
        """What is loaded already, such as an export."""
        return cls(name, translator.config, translator.spec, lambda say: translator)


def _check_stored(
    config: Config, checkpoints: Checkpoints, step: int | None, workdir: object
) -> None:
    """Refuses a config whose generator is larger than what is stored, before it is made."""
    from tfpix2pix.inference.sizes import kernel_numbers

    needed = 4 * kernel_numbers(config)
    steps = checkpoints.steps() if step is None else [step]
    if any(checkpoints.stored(each) >= needed for each in steps):
        return
    checkpoints.restore({}, step)  # raises where it was cut short, and says so
    raise UserError(
        f"--workdir={workdir}: its config.json describes a generator of {needed:,} bytes "
        f"({config.networks}, crop_size {config.crop_size}) and its checkpoint holds "
        f"{max(map(checkpoints.stored, steps)):,}; restore the config.json it was trained with"
    )


def _step_of(
    checkpoints: Checkpoints, checkpoint: str | int, workdir: object, say: Callable[[str], None]
) -> int | None:
    """The step of a checkpoint by its name; None for the newest that is whole."""
    steps = checkpoints.steps()
    if not steps:
        raise UserError(
            f"--workdir={workdir} has no checkpoint yet; train it first: "
            f"tfpix2pix train --workdir={workdir}"
        )
    if checkpoint == "latest":
        return None
    if checkpoint == "best":
        best = checkpoints.best(say)
        if not best:
            raise UserError(
                f"--workdir={workdir} was never measured on a val split, so no checkpoint is the "
                "best; use --checkpoint=latest"
            )
        return int(best["step"])
    if str(checkpoint) not in map(str, steps):
        raise UserError(
            f"--checkpoint={checkpoint}: there is none; give latest, best or one of the steps "
            f"{', '.join(map(str, steps))}"
        )
    return int(checkpoint)


def pad(image: np.ndarray, multiple: int) -> np.ndarray:
    """``[H, W, C]`` padded by reflection, at the bottom and right, to multiples of a number."""
    height, width = image.shape[:2]
    bottom, right = -height % multiple, -width % multiple
    if not bottom and not right:
        return image
    # A single row or column has nothing to reflect, so it is repeated.
    mode: Literal["reflect", "edge"] = "reflect" if min(height, width) > 1 else "edge"
    return np.pad(image, [(0, bottom), (0, right), (0, 0)], mode=mode)


def resized(image: np.ndarray, height: int, width: int, nearest: bool = False) -> np.ndarray:
    """``[H, W, C]`` resized, as ``--fit`` does: antialiased, or by nearest neighbour for labels."""
    import tensorflow as tf

    if nearest:
        return tf.image.resize(image, [height, width], "nearest").numpy()
    return tf.image.resize(image, [height, width], antialias=True).numpy()
