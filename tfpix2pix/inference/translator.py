"""Loading a run and translating images with it.

import tfpix2pix

model = tfpix2pix.load("runs/sample")
picture = model.translate(image)  # [H, W, C] to [H, W, C_out], uint8 for a run on 8-bit images
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.memory import available_memory
from tfpix2pix.config import Config, load_config
from tfpix2pix.config.dataset import spec_of
from tfpix2pix.inference.labels import Labels, check_labels, marked, result_bytes, result_of
from tfpix2pix.inference.sizes import TooLarge, gigabytes, whole_bytes
from tfpix2pix.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    import numpy.typing as npt
    import tensorflow as tf

    from tfpix2pix.data import Decoded, ImageSpec, PairSpec
    from tfpix2pix.inference.tiles import Node, Region
    from tfpix2pix.models.base import Generator


Tile = int | Literal["auto", "off"]
LEAST_TILE = 64
IN_TILES = "too large for the memory as a whole, so made in tiles, which gives the same picture"
NO_LATENT = "it was trained without a latent"
NO_ENCODER = "it has no encoder, which would make a latent of an image"
ROOM = 0.8  # share of the free memory that a network may take

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

    @property
    def latent_size(self) -> int:
        """n of the latent that it takes besides; 0 for none."""

    def __call__(
        self, x: np.ndarray, z: np.ndarray | None, latent: np.ndarray | None = None
    ) -> np.ndarray:
        """y, float32 ``[B, H, W, C_out]``, of x ``[B, H, W, C_in]``, z and the latent ``[B, n]``
        (None: not taken).

        Of one-hot labels y has the probability of each class, or, of one that has ``argmax``, class
        numbers ``[B, H, W, 1]``."""


class KerasNetwork:
    """A Keras generator, ``[x, z, latent] -> y``, the last two where it takes them, as a
    `Network`.

    Args:
      generator: the model.
      labels: of one that gives logits: the spec of its targets.
    """

    image_size: tuple[int, int] | None = None
    max_pixels: int | None = None

    def __init__(self, generator: tf.keras.Model, labels: ImageSpec | None = None) -> None:
        import tensorflow as tf

        self.generator, self.labels = generator, labels
        _, *more = generator.inputs
        self.latent_size: int = next((i.shape[-1] for i in more if len(i.shape) == 2), 0)
        self.takes_noise = len(more) > (self.latent_size > 0)
        # One trace for every size: a folder of differing sizes must not compile for each.
        signature = [
            tf.TensorSpec([*[None] * (len(i.shape) - 1), i.shape[-1]]) for i in generator.inputs
        ]
        self._forward = tf.function(
            lambda *inputs: generator(list(inputs) if more else inputs[0], training=False),
            input_signature=signature,
            autograph=False,
        )

    def __call__(
        self, x: np.ndarray, z: np.ndarray | None, latent: np.ndarray | None = None
    ) -> np.ndarray:
        taken = [z] * self.takes_noise + [latent] * (self.latent_size > 0)
        y = self._forward(x, *taken).numpy()
        return y if self.labels is None else self.labels.probabilities(y)


Encodes = Callable[[np.ndarray], np.ndarray]
"""Makes latents, float32 ``[B, n]``, of images like the targets, float32 ``[B, H, W, C_out]`` in
[-1, 1] of the size that the run was trained at: Keras here, other engines in `tfpix2pix.export`."""


class KerasEncoder:
    """A Keras encoder, ``y -> [mean, log_variance]``, as an `Encodes`: its mean is the latent.

    Args:
      encoder: the model.
    """

    def __init__(self, encoder: tf.keras.Model) -> None:
        self.encoder = encoder

    def __call__(self, y: np.ndarray) -> np.ndarray:
        mean, _ = self.encoder(y, training=False)
        return mean.numpy()


@dataclass(frozen=True)
class _Drawn:
    """What decides a picture beside the input.

    Attributes:
      seed: of z.
      deterministic: the z that switches dropout off instead.
      latent: float32 ``[n]``; None where the network takes none.
    """

    seed: int
    deterministic: bool
    latent: np.ndarray | None


class Translator:
    """G(x, z) of a trained run or of an export, for pictures of any size.

    Args:
      config: the run's config.
      network: what runs the generator.
      step: the training step that its weights come from.
      spec: of the run's pairs, as this direction has them: channels, depth, value range, labels.
      checkpoint: SHA-256 of the checkpoint that the weights come from.
      weights: ``average`` where they are moving averages, else ``raw``.
      direction: ``AtoB`` or ``BtoA``, of `network`; x is its input. Empty for the run's default.
      encoder: opens what makes latents of images like the targets; None where there is none.

    Attributes:
      direction: that one.
      parallel: calls at a time that use it well; an engine here uses all cores for one.
      is_local: whether the network runs in this machine's memory.
    """

    parallel = 1
    is_local = True

    def __init__(
        self,
        config: Config,
        network: Network,
        step: int,
        spec: PairSpec,
        checkpoint: str = "",
        weights: str = "raw",
        direction: str = "",
        encoder: Callable[[], Encodes] | None = None,
    ) -> None:
        self.config, self.network, self.step, self.spec = config, network, step, spec
        self.checkpoint, self.weights = checkpoint, weights
        self.direction = config.direction_of(direction)
        self._open_encoder = encoder

    @property
    def generator(self) -> tf.keras.Model:
        """The Keras generator; only where Keras runs it."""
        assert isinstance(self.network, KerasNetwork), "another engine runs the generator"
        return self.network.generator

    @functools.cached_property
    def described(self) -> Generator:
        """What is known of the generator before it is made."""
        from tfpix2pix.algorithms.registry import generator_for

        return generator_for(self.config, self.direction)

    @property
    def encodes(self) -> bool:
        """Whether there is what makes latents of images, which `style` needs."""
        return self._open_encoder is not None

    @functools.cached_property
    def encoder(self) -> Encodes:
        """What makes latents of images.

        Raises:
          UserError: it cannot be opened.
        """
        assert self._open_encoder is not None, "only where it encodes"
        return self._open_encoder()

    @property
    def takes_noise(self) -> bool:
        """Whether a seed decides the noise; False for an export made without it."""
        return self.network.takes_noise

    @property
    def latent_size(self) -> int:
        """n of the latent that chooses among several answers; 0 where there is one answer."""
        return getattr(self.network, "latent_size", 0)  # a program's own may not know of it

    def varies(self, deterministic: bool = False) -> bool:
        """Whether another seed makes another picture."""
        noisy = self.takes_noise and self.config.noisy and not deterministic
        return noisy or self.latent_size > 0

    def drawn_by(self, seed: int, deterministic: bool = False) -> str:
        """What of a picture a seed decides, in a few words: ``noise of seed 3``."""
        noise = ["noise"] if self.takes_noise and not deterministic else []
        drawn = (["latent"] if self.latent_size else []) + noise
        words = [f"{' and '.join(drawn)} of seed {seed}"] if drawn else []
        return ", ".join(words + ([] if noise else ["without noise"]))

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this; images are padded to it."""
        return self.config.size_multiple

    def translate(
        self,
        image: np.ndarray | Decoded,
        *,
        seed: int = 0,
        latent: npt.ArrayLike | None = None,
        deterministic: bool = False,
        fit: bool = False,
        notes: list[str] | None = None,
        tile: Tile = "auto",
        progress: Callable[[float], None] | None = None,
        labels: Labels = "raw",
    ) -> np.ndarray:
        """Translates one picture.

        The picture is padded at the right and bottom by reflection to a multiple of ``stride``
        and the result is cropped back, so it has the picture's own size.

        One that is too large for the memory is made in tiles, see `tfpix2pix.inference.tiles`: the
        same picture but for the last bits of float32, which may round to the next level.

        Args:
          image: uint8, uint16 or float32 ``[H, W, C]`` or ``[H, W]`` of any size, or an image as
            `tfpix2pix.data.decode` gives it. C as the run was trained, or 1 (grey), 3 (RGB), 2
            or 4 (the same with alpha, placed on white), which turn into each other; 8 and 16
            bits do as well. For a run of labels: RGB, or class indices ``[H, W]``.
          seed: of the noise z and of the latent, any int of 64 bits; the same seed gives the same
            picture.
          latent: of a run that has one, in the place of the seed's: ``[n]``, numbers about as large
            as standard normal ones; see `latent` and `style`.
          deterministic: no dropout instead of z's (an export made without noise has none anyway);
            the latent stays.
          fit: resize the picture to the size that the run was trained at, and the result back.
          notes: told in plain words what was changed in the picture to make it an input, and if it
            was made in tiles.
          tile: ``"auto"``: in tiles where the memory asks for it; ``"off"``: never; or their side
            in pixels, for every picture that is larger. Exports have none.
          progress: told the share that is done, 0 to 1, after each tile.
          labels: of a run that makes labels: ``"raw"``: colours as the network painted them;
            ``"color"``: the nearest colours of the palette; ``"index"``: index maps as the data
            set's; ``"probabilities"``, only with ``target_encoding="onehot"``, where the first
            two are one: of each class, in the palette's order.

        Returns:
          ``[H, W, C_out]`` in the depth and value range of the run's targets: uint8, uint16 or
          float32; RGB for a run of ``color_space="lab"`` and for colours of labels. Index maps
          ``[H, W]``, uint8 or uint16; probabilities float32 ``[H, W, K]``. Where the picture has
          nothing measured (NaN, or what the run knows as such) it has `ImageSpec.nodata`, in
          labels a void class, in probabilities NaN.

        Raises:
          ValueError: a picture that cannot become an input, one of another size than an export
            of fixed size takes, a larger one than an export takes, or a seed, a latent or a side of
            tiles that cannot be.
          UserError: there is not memory enough, see `TooLarge`; or no such labels can be had.
        """
        self.check_labels(labels)
        drawn = self._drawn(seed, latent, deterministic)
        check_tile(tile)
        decoded = self._decoded(image)
        stored = self.spec.stored_input(decoded, notes)
        if fit:
            x = self.spec.input_of(*stored)
            height, width = self.network.image_size or self.config.whole_size
            seen = resized(x, height, width, nearest=self.spec.x.is_classes)
            y = resized(self._generate(seen, drawn), x.shape[0], x.shape[1], nearest=self._argmax)
            result = result_of(self.spec, x, y, labels)
        else:
            result = self._made(stored, self.spec.input_of, drawn, tile, notes, progress, labels)
        return marked(self.spec, result, stored[1], labels, decoded.nodata)

    def check_labels(self, labels: str) -> None:
        """Refuses labels that `translate` cannot give.

        Raises:
          UserError: they are not known, or not what this makes.
        """
        check_labels(labels, self.config, self.spec, self._argmax)

    @property
    def _argmax(self) -> bool:
        """Whether the network gives class numbers in the place of probabilities."""
        return getattr(self.network, "argmax", False)

    def translate_x(
        self,
        x: np.ndarray,
        *,
        seed: int = 0,
        latent: npt.ArrayLike | None = None,
        deterministic: bool = False,
    ) -> np.ndarray:
        """Translates what is an input already: `translate` of its picture.

        Args:
          x: float32 ``[H, W, C_in]`` in [-1, 1], of any size.
          seed, latent, deterministic: as `translate` takes them.

        Raises:
          ValueError: another size than an export of fixed size takes, or a latent that cannot be.
          UserError: there is not memory enough, see `TooLarge`.
        """
        drawn = self._drawn(seed, latent, deterministic)
        return self._made((x,), lambda part: part, drawn)

    def _made(
        self,
        stored: tuple[np.ndarray, ...],
        input_of: Callable[..., np.ndarray],
        drawn: _Drawn,
        tile: Tile = "auto",
        notes: list[str] | None = None,
        progress: Callable[[float], None] | None = None,
        labels: Labels = "raw",
    ) -> np.ndarray:
        """The result of an input of any size.

        Args:
          stored: ``[H, W, ...]`` each.
          input_of: makes x of them or of the same part of each.
          drawn: what else decides it.
          tile, notes, progress, labels: as `translate` takes them.
        """
        height, width = stored[0].shape[:2]
        size = height + -height % self.stride, width + -width % self.stride
        self._check_size(*size)
        if not self._asks_for_tiles(*size, tile):
            x = input_of(*stored)
            try:
                y = self._generate(pad(x, self.stride), drawn)
                return result_of(self.spec, x, y[:height, :width], labels)
            except Exception as error:
                if tile != "auto" or self._nodes is None or not out_of_memory(error):
                    raise
            del x
        assert self._nodes is not None
        from tfpix2pix.inference import tiles

        room = self._room(height * width, labels)
        plan = tiles.plan(self._nodes, *size, room, tile if isinstance(tile, int) else None)
        if plan is None:
            raise TooLarge(
                f"{width}x{height} pixels do not fit into memory, not in tiles either "
                f"({gigabytes(available_memory())} are free); use --fit, or cut it"
            )
        if notes is not None and tile == "auto":
            notes.append(IN_TILES)
        rows, columns = padded_indices(height, width, self.stride)

        def x_of(region: tiles.Region) -> np.ndarray:
            (top, bottom), (left, right) = region
            part = np.ix_(rows[top:bottom], columns[left:right])
            return input_of(*(each[part] for each in stored))

        z_of = self._noise_of(size, drawn) if self.takes_noise else None
        made = tiles.Tiles(plan, x_of, z_of, progress, drawn.latent)

        def result(region: Region, y: np.ndarray) -> np.ndarray:
            if self.config.labels_out:
                y = self.spec.y.probabilities(y)
            return result_of(self.spec, x_of(region), y, labels)

        return tiles.joined(made, height, width, result)

    def _room(self, pixels: int, labels: str) -> int:
        """Bytes that the network may take for a picture of that size in tiles."""
        # The result, and once more while its file is made.
        result = pixels * result_bytes(self.spec, labels)
        return int(ROOM * available_memory() - 2 * result)

    def _noise_of(self, size: tuple[int, int], drawn: _Drawn) -> Callable[[Region], np.ndarray]:
        """Gives regions of the z of a padded x of that size: those of `noise`."""
        from tfpix2pix.models import noise

        shape = self.described.z.shape(*size)

        @functools.lru_cache(maxsize=1)  # tiles beside each other have the same
        def rows(first: int, last: int) -> np.ndarray:
            z = noise.draw_rows(self.config.seed, noise.INFERENCE, drawn.seed, shape, first, last)
            return z.numpy()

        def region(at: Region) -> np.ndarray:
            (top, bottom), (left, right) = at
            if drawn.deterministic:
                return noise.no_noise(bottom - top, [right - left, shape[-1]]).numpy()
            return rows(top, bottom)[:, left:right]

        return region

    def _asks_for_tiles(self, height: int, width: int, tile: Tile) -> bool:
        """Whether a padded x of that size is to be made in tiles.

        Raises:
          TooLarge: it has to be, and cannot.
        """
        if isinstance(tile, int):
            return self._nodes is not None and max(height, width) > tile
        if not self.is_local:
            return False
        needed, there = whole_bytes(self.described, height, width), available_memory()
        if needed is None or needed <= ROOM * there:
            return False
        if tile == "auto" and self._nodes is not None:
            return True
        # Some take half of what is reckoned.
        if needed > 2 * there:
            ways = "--fit, or the run itself (--workdir), which makes it in tiles"
            if self._nodes is not None:
                ways = "--tile=auto"
            elif isinstance(self.network, KerasNetwork):
                ways = "--fit, or cut it"
            raise TooLarge(
                f"{width}x{height} pixels (padded) need about {gigabytes(needed)} of memory at "
                f"once, and {gigabytes(there)} are free; use {ways}"
            )
        return False

    @functools.cached_property
    def _nodes(self) -> dict[str, Node] | None:
        """The network's layers, of which tiles are made; None where they are not known."""
        if not isinstance(self.network, KerasNetwork):
            return None
        from tfpix2pix.inference.tiles import Unknown, nodes_of

        noise = self.described.noise
        try:
            return nodes_of(self.network.generator, noise.factor if noise else 1)
        except Unknown:
            return None

    def _decoded(self, image: np.ndarray | Decoded, side: ImageSpec | None = None) -> Decoded:
        """An image as `translate` takes it, of a side; None for x."""
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
        has_alpha = channels in (2, 4) and channels != (side or self.spec.x).channels
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

        from tfpix2pix.models import noise

        shape = self.described.z.shape(*x.shape[1:3])
        if deterministic:
            return noise.no_noise(len(seeds), shape).numpy()
        # Tensors, also where functions are run without a graph.
        seed, positions = (tf.constant(of, tf.int64) for of in (self.config.seed, list(seeds)))
        return _drawing()(seed, positions, tf.constant(list(shape), tf.int32)).numpy()

    def latent(self, seeds: Sequence[int]) -> np.ndarray:
        """The latents that `translate` hands to the network beside x and z.

        Args:
          seeds: one for each image, whose latent is a function of it alone.

        Returns:
          float32 ``[B, n]``, standard normal.

        Raises:
          ValueError: the run has none.
        """
        if not self.latent_size:
            raise ValueError(NO_LATENT)
        import tensorflow as tf

        from tfpix2pix.models import noise

        positions = tf.constant(list(seeds), tf.int64)
        return noise.draw_latent(
            self.config.seed, noise.INFERENCE, positions, self.latent_size
        ).numpy()

    def style(self, image: np.ndarray | Decoded, notes: list[str] | None = None) -> np.ndarray:
        """The latent that an image stands for, such as one whose style others are to have.

        The image is resized to the size that the run was trained at; the mean of what its encoder
        says of it is the latent (BicycleGAN, Zhu et al. 2017, arXiv 1711.11586).

        Args:
          image: like the targets, as `translate` takes one like the inputs.
          notes: told in plain words what was changed in it.

        Returns:
          float32 ``[n]``, for `translate`.

        Raises:
          ValueError: no image like the targets, or nothing here makes latents of images.
        """
        if not self.encodes:
            raise ValueError(NO_LATENT if not self.latent_size else NO_ENCODER)
        decoded = self._decoded(image, self.spec.y)
        self.spec.check_target(decoded)
        y = self.spec.read_target(decoded, notes)
        height, width = self.config.whole_size
        y = resized(y, height, width, nearest=self.spec.y.is_classes)
        return self.encoder(np.ascontiguousarray(y[None], np.float32))[0]

    def _drawn(self, seed: int, latent: npt.ArrayLike | None, deterministic: bool) -> _Drawn:
        """What decides a picture, checked."""
        if not -(2**63) <= seed < 2**63:
            raise ValueError(f"seed {seed} does not fit in 64 bits")
        size = self.latent_size
        if latent is None:
            code = self.latent([seed])[0] if size else None
        elif not size:
            raise ValueError(NO_LATENT)
        else:
            code = np.asarray(latent, np.float32)
            if code.shape != (size,) or not np.isfinite(code).all():
                raise ValueError(
                    f"a latent of shape {list(code.shape)}, where {size} finite numbers were "
                    "expected"
                )
        return _Drawn(seed, deterministic, code)

    def _generate(self, x: np.ndarray, drawn: _Drawn) -> np.ndarray:
        """G of one x ``[H, W, C]`` whose sides are multiples of the stride."""
        x = np.ascontiguousarray(x[None], np.float32)
        z = self.noise(x, [drawn.seed], drawn.deterministic) if self.takes_noise else None
        latent = {} if drawn.latent is None else {"latent": drawn.latent[None]}
        return self.network(x, z, **latent)[0]

    def _check_size(self, height: int, width: int) -> None:
        least = self.config.least_size
        if min(height, width) < least:
            raise ValueError(
                f"{width}x{height} pixels (width x height, padded), and the generator takes "
                f"{least} or more a side; use --fit, or a larger image"
            )
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
                f"{limit:,}; use --fit, the run itself (--workdir), or export with a larger "
                "--max_pixels"
            )


@functools.cache
def _drawing() -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """`noise.draw` of a seed, positions and a shape as one function, traced once: operation by
    operation it takes longer than a small network."""
    import tensorflow as tf

    from tfpix2pix.models import noise

    seed, positions = (tf.TensorSpec(shape, tf.int64) for shape in ([], [None]))
    return tf.function(
        lambda *of: noise.draw(of[0], noise.INFERENCE, *of[1:]),
        input_signature=[seed, positions, tf.TensorSpec([3], tf.int32)],
        autograph=False,
    )


def check_tile(tile: Tile) -> None:
    """Refuses what cannot be said of tiles.

    Raises:
      ValueError: it is neither ``auto`` nor ``off`` nor a side of at least `LEAST_TILE` pixels.
    """
    if tile not in ("auto", "off") and not (isinstance(tile, int) and tile >= LEAST_TILE):
        raise ValueError(f"tile={tile}: expected auto, off or pixels, {LEAST_TILE} or more")


def out_of_memory(error: Exception) -> bool:
    """Whether that is why something failed."""
    # By name: a server's client needs no TensorFlow.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def load(
    workdir: str | os.PathLike[str],
    checkpoint: str | int = "latest",
    say: Callable[[str], None] = lambda text: None,
    weights: str = "average",
    direction: str = "",
) -> Translator:
    """Loads a trained run.

    Args:
      workdir: the folder that ``tfpix2pix train`` wrote, or what `tfpix2pix.train` returned.
      checkpoint: ``"latest"``, ``"best"`` (by the run's val measure) or a step.
      say: told in a sentence when a damaged checkpoint was passed over.
      weights: ``average``, or ``raw``: the weights themselves, where the run has averages of them.
      direction: ``AtoB`` or ``BtoA``, of a run that learned both ways; empty for its default.

    Raises:
      UserError: it is no run, has no checkpoint (that is whole), or not the one or the direction
        asked for.
    """
    check_weights(weights)
    workdir = os.fspath(workdir)
    config = load_config(workdir)
    direction = config.direction_of(direction, f"the run {workdir}")
    spec = spec_of(config, workdir, direction)
    from tfpix2pix.algorithms.base import averaged
    from tfpix2pix.algorithms.registry import encoder_for, generator_for
    from tfpix2pix.models.weights import named_weights

    checkpoints = Checkpoints(workdir)
    step = _step_of(checkpoints, checkpoint, workdir, say)
    generator = generator_for(config, direction)
    _check_stored(config, generator, checkpoints, step, workdir)
    model = generator.build()
    held = weights_held(config, weights)
    part = averaged(generator.name) if held == "average" else generator.name
    facts = checkpoints.restore({part: named_weights(model)}, step, say)
    assert facts is not None, "_step_of refuses a run without checkpoints"
    network = KerasNetwork(model, spec.y if config.labels_out else None)
    found = int(facts["step"])
    described = encoder_for(config, direction)

    def encoder() -> KerasEncoder:
        assert described is not None
        encodes = described.build()
        checkpoints.restore({described.name: named_weights(encodes)}, found, say)
        return KerasEncoder(encodes)

    opens = None if described is None else encoder
    return Translator(config, network, found, spec, facts["sha256"], held, direction, opens)


def checkpoint_of(
    workdir: str | os.PathLike[str],
    checkpoint: str | int = "latest",
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The facts of the checkpoint that `load` loads, such as its ``sha256``, without TensorFlow.

    Raises:
      UserError: as `load`.
    """
    checkpoints = Checkpoints(workdir)
    facts = checkpoints.whole(_step_of(checkpoints, checkpoint, workdir, say), say)
    assert facts is not None, "_step_of refuses a run without checkpoints"
    return facts


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
    direction: str = "",
) -> Translator:
    """`load`, without the lines that TensorFlow prints when it is imported."""
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    return load(workdir, checkpoint, say, weights, direction)


@dataclass(frozen=True)
class Model:
    """A run or an export that may be loaded later: TensorFlow takes seconds to import, and what
    does not fit the model is refused before that.

    Attributes:
      name: as the user typed it: a run's folder, an export's, or a server's address.
      config: of the run.
      spec: of its pairs, x the input of its direction.
      direction: ``AtoB`` or ``BtoA``.
      encodes: whether it has what makes latents of images.
      open: loads it; its argument is told in a sentence when a damaged checkpoint was passed over.
      open_back: loads its other direction likewise; None where it has none, or that is not known.
    """

    name: str
    config: Config
    spec: PairSpec
    direction: str
    encodes: bool
    open: Callable[[Callable[[str], None]], Translator]
    open_back: Callable[[Callable[[str], None]], Translator] | None = None

    @property
    def title(self) -> str:
        """`name`, with the direction where the run has another one too."""
        several = len(self.config.directions) > 1
        return f"{self.name} ({self.direction})" if several else self.name

    @classmethod
    def of_run(
        cls,
        workdir: str,
        checkpoint: str = "latest",
        weights: str = "average",
        direction: str = "",
    ) -> Model:
        """A trained run, of which its folder's small files are read; see `load`.

        Raises:
          UserError: it is no run, or the weights or the direction are not known. What is wrong with
            its checkpoints is found when it is opened.
        """
        check_weights(weights)
        config = load_config(workdir)
        direction = config.direction_of(direction, f"the run {workdir}")
        back = next((each for each in config.directions if each != direction), "")
        return cls(
            workdir,
            config,
            spec_of(config, workdir, direction),
            direction,
            config.ENCODES,
            lambda say: load_quietly(workdir, checkpoint, say, weights, direction),
            (lambda say: load_quietly(workdir, checkpoint, say, weights, back)) if back else None,
        )

    @classmethod
    def of_translator(cls, name: str, translator: Translator) -> Model:
        """What is loaded already, such as an export."""
        return cls(
            name,
            translator.config,
            translator.spec,
            translator.direction,
            translator.encodes,
            lambda say: translator,
        )


def _check_stored(
    config: Config,
    generator: Generator,
    checkpoints: Checkpoints,
    step: int | None,
    workdir: object,
) -> None:
    """Refuses a config whose generator is larger than what is stored, before it is made."""
    from tfpix2pix.inference.sizes import kernel_numbers

    needed = 4 * kernel_numbers(generator)
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
    if height % multiple == 0 and width % multiple == 0:
        return image
    return image[np.ix_(*padded_indices(height, width, multiple))]


def padded_indices(height: int, width: int, multiple: int) -> list[np.ndarray]:
    """The rows and the columns of an image that are those of `pad` of it."""
    # A single row or column has nothing to reflect, so it is repeated.
    mode: Literal["reflect", "edge"] = "reflect" if min(height, width) > 1 else "edge"
    return [np.pad(np.arange(n), (0, -n % multiple), mode=mode) for n in (height, width)]


def resized(image: np.ndarray, height: int, width: int, nearest: bool = False) -> np.ndarray:
    """``[H, W, C]`` resized, as ``--fit`` does: antialiased, or by nearest neighbour for labels."""
    import tensorflow as tf

    if nearest:
        return tf.image.resize(image, [height, width], "nearest").numpy()
    return tf.image.resize(image, [height, width], antialias=True).numpy()
