"""Loading a run and translating images with it.

import tfpix2pix

model = tfpix2pix.load("runs/sample")
picture = model.translate(image)  # uint8 [H, W, C] to uint8 [H, W, C_out]
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from tfpix2pix.config import Config
from tfpix2pix.errors import UserError


class Translator:
    """G(x, z) of a trained run, for pictures of any size.

    Args:
      config: the run's config.
      generator: its generator, a Keras model ``[x, z] -> y``.
      step: the training step that its weights come from.
    """

    def __init__(self, config: Config, generator: object, step: int) -> None:
        import tensorflow as tf

        self.config, self.generator, self.step = config, generator, step
        channels = generator.inputs[0].shape[-1]
        noise_channels = generator.inputs[1].shape[-1]
        # One trace for every size: a folder of differing sizes must not compile for each.
        self._forward = tf.function(
            lambda x, z: generator([x, z], training=False),
            input_signature=[
                tf.TensorSpec([None, None, None, channels], tf.float32),
                tf.TensorSpec([None, None, None, noise_channels], tf.float32),
            ],
        )

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this; images are padded to it."""
        return self.config.crop_size

    def translate(
        self, image: np.ndarray, *, seed: int = 0, deterministic: bool = False
    ) -> np.ndarray:
        """Translates one picture.

        The picture is padded at the right and bottom by reflection to a multiple of ``stride``
        and the result is cropped back, so it has the picture's own size.

        Args:
          image: uint8 ``[H, W, C]`` or ``[H, W]`` of any size; C as the run was trained, or 1
            (grey, repeated), 3 (RGB, made grey for a grey run) or 4 (RGBA, placed on white).
          seed: of the noise z, any int of 64 bits; the same seed gives the same picture.
          deterministic: no dropout instead of z's.

        Returns:
          uint8 ``[H, W, C_out]``.

        Raises:
          ValueError: another type or shape, or a seed that does not fit.
        """
        import tensorflow as tf

        from tfpix2pix.algorithms.pix2pix import draw_noise
        from tfpix2pix.data import convert_channels, to_float, to_uint8
        from tfpix2pix.models import noise
        from tfpix2pix.models.generator import noise_factor

        if not -(2**63) <= seed < 2**63:
            raise ValueError(f"seed {seed} does not fit in 64 bits")
        image = np.asarray(image)
        if image.ndim == 2:
            image = image[..., None]
        if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
            raise ValueError(
                f"expected a uint8 image [H, W, C], got {image.dtype} {list(image.shape)}"
            )
        image = convert_channels(_on_white(image), self.config.input_channels)
        height, width = image.shape[:2]
        x = tf.constant(to_float(_pad(image, self.stride))[None])
        if deterministic:
            size = noise.shape_for(
                self.generator.inputs[1], *x.shape[1:3], noise_factor(self.config.crop_size)
            )
            z = noise.no_noise(1, size)
        else:
            position = tf.constant([seed], tf.int64)
            z = draw_noise(self.generator, self.config, x, noise.INFERENCE, position)
        y = self._forward(x, z)
        return to_uint8(y[0].numpy()[:height, :width])


def load(
    workdir: str | os.PathLike[str],
    checkpoint: str | int = "latest",
    say: Callable[[str], None] = lambda text: None,
) -> Translator:
    """Loads a trained run.

    Args:
      workdir: the folder that ``tfpix2pix train`` wrote.
      checkpoint: ``"latest"``, ``"best"`` (by the run's val measure) or a step.
      say: told in a sentence when a damaged checkpoint was passed over.

    Raises:
      UserError: it is no run, has no checkpoint (that is whole), or not the one asked for.
    """
    config = Config.load(workdir)
    from tfpix2pix.algorithms.pix2pix import generator_of
    from tfpix2pix.models.weights import named_weights
    from tfpix2pix.training.checkpoints import Checkpoints

    checkpoints = Checkpoints(workdir)
    step = _step_of(checkpoints, checkpoint, workdir, say)
    generator = generator_of(config)
    facts = checkpoints.restore({"generator": named_weights(generator)}, step, say)
    return Translator(config, generator, int(facts["step"]))


def _step_of(
    checkpoints: object, checkpoint: str | int, workdir: object, say: Callable[[str], None]
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


def _on_white(image: np.ndarray) -> np.ndarray:
    """uint8 ``[H, W, 2 or 4]`` without its alpha channel, on white; others as they are."""
    if image.shape[-1] not in (2, 4):
        return image
    colour, alpha = image[..., :-1].astype(np.float32), image[..., -1:] / np.float32(255)
    return np.rint(colour * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _pad(image: np.ndarray, multiple: int) -> np.ndarray:
    """``[H, W, C]`` padded by reflection, at the bottom and right, to multiples of a number."""
    height, width = image.shape[:2]
    bottom, right = -height % multiple, -width % multiple
    if not bottom and not right:
        return image
    # A single row or column has nothing to reflect, so it is repeated.
    mode = "reflect" if min(height, width) > 1 else "edge"
    return np.pad(image, [(0, bottom), (0, right), (0, 0)], mode=mode)
