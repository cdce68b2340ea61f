"""A trained scorer and its folder: ``scorer.json`` (what it is) and ``weights.npz``."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.archives import load_arrays
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_bytes, write_json
from tfpix2pix.base.size import Size
from tfpix2pix.data.palette import Palette, parse_palette
from tfpix2pix.scorer.settings import is_size

FACTS, WEIGHTS, KIND = "scorer.json", "weights.npz", "tfpix2pix scorer"


class Scorer:
    """FCN-8s with the weights of a trained scorer. TensorFlow is imported when it first runs.

    Args:
      facts: what ``scorer.json`` holds.
      weights: by name, as `tfpix2pix.models.weights.named_weights` has them.

    Raises:
      ValueError: the facts describe no scorer; says why, without a full stop.
    """

    def __init__(self, facts: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        try:
            self.palette: Palette = parse_palette(json.dumps(facts["palette"]))
            self.size, self.width = Size.of(facts["size"]), int(facts["width"])
            self.init = str(facts["init"])
            self.val: dict[str, Any] = dict(facts["val"])
            self.val["per_pixel"], self.val["per_class"], self.val["iou"], self.val["images"]
        except KeyError as error:
            raise ValueError(f"it lacks {error}") from None
        except (TypeError, OverflowError) as error:
            raise ValueError(str(error)) from None
        self.facts = dict(facts)
        self.weights = dict(weights)
        self.identity = identity_of(weights)
        self._read: Callable[[np.ndarray], np.ndarray] | None = None
        self._describe: Callable[[np.ndarray], np.ndarray] | None = None
        self._look: Callable[[np.ndarray], list[np.ndarray]] | None = None
        self._network: Any = None

    def classes(self, photos: np.ndarray) -> np.ndarray:
        """The class of every pixel.

        Every photo is read by itself, so that its classes are the same, bit for bit, whatever
        else stands in the batch.

        Args:
          photos: uint8 ``[B, H, W, 3]`` of `size`, RGB.

        Returns:
          uint8 ``[B, H, W]``, class numbers of `palette`, never one that is void.

        Raises:
          ValueError: photos of another shape or type.
        """
        photos = self._checked(photos)
        if self._read is None:
            self._read = self._reader()
        found = np.empty(photos.shape[:3], np.uint8)
        for index in range(len(photos)):
            found[index] = self._read(photos[index : index + 1])[0]
        return found

    def features(self, photos: np.ndarray) -> np.ndarray:
        """What a photo is to the network before it names classes: the means over its pixels of the
        last activations of blocks 2 to 5, from strokes to parts of objects.

        Every photo by itself, as in `classes`.

        Args:
          photos: uint8 ``[B, H, W, 3]`` of `size`, RGB.

        Returns:
          float32 ``[B, 22 * width]``, 0 or more: 352 of the width 16, 1,408 of VGG-16's 64.

        Raises:
          ValueError: photos of another shape or type.
        """
        photos = self._checked(photos)
        if self._describe is None:
            self._describe = describer(self._built())
        each = [self._describe(photos[index : index + 1]) for index in range(len(photos))]
        return np.concatenate([np.empty((0, 22 * self.width), np.float32), *each])

    def activations(self, photos: np.ndarray) -> list[np.ndarray]:
        """The last activations of blocks 2 to 5, before pooling, of which `features` are the means.

        Every photo by itself, as in `classes`.

        Args:
          photos: uint8 ``[B, H, W, 3]`` of `size`, RGB; at least one.

        Returns:
          float32 ``[B, H / 2, W / 2, 2 * width]`` to ``[B, H / 16, W / 16, 8 * width]``.

        Raises:
          ValueError: photos of another shape or type.
        """
        photos = self._checked(photos)
        if self._look is None:
            self._look = looker(self._built())
        each = [self._look(photos[index : index + 1]) for index in range(len(photos))]
        return [np.concatenate(layer) for layer in zip(*each, strict=True)]

    def layers(self) -> Callable[[Any], list[Any]]:
        """What `activations` has, as TensorFlow's operations that gradients go through.

        Returns:
          As of `tfpix2pix.scorer.fcn.looking`.

        Raises:
          UserError: its weights are not those of its network.
        """
        from tfpix2pix.scorer.fcn import looking

        try:
            return looking(self.weights, vgg=self.init == "imagenet")
        except (KeyError, ValueError) as error:
            raise self._of_another(error) from None

    def _checked(self, photos: np.ndarray) -> np.ndarray:
        photos = np.asarray(photos)
        if photos.dtype != np.uint8 or photos.shape[1:] != (*self.size, 3):
            height, width = self.size
            raise ValueError(
                f"expected uint8 [B, {height}, {width}, 3], got {photos.dtype} {list(photos.shape)}"
            )
        return photos

    def check(self, palette: Palette | None, size: Size | int) -> None:
        """Whether it can judge photos of this size whose labels are of this palette.

        Raises:
          UserError: it was trained for another palette or size.
        """
        if palette is None or _meaning(palette) != _meaning(self.palette):
            found = "no palette" if palette is None else f"{palette.name!r} ({_counted(palette)})"
            raise UserError(
                f"the scorer was trained for the palette {self.palette.name!r} "
                f"({_counted(self.palette)}) and the data set has {found}; give a scorer of the "
                "same classes in the same order, from `tfpix2pix train-scorer`"
            )
        self.check_size(size)

    def check_size(self, size: Size | int) -> None:
        """Whether it can look at photos of this size.

        Raises:
          UserError: it was trained for another one.
        """
        if Size.of(size) != self.size:
            raise UserError(
                f"the scorer was trained for images of {self.size} pixels and "
                f"would be shown {size}; give a scorer from `tfpix2pix train-scorer --size={size}`"
            )

    def _reader(self) -> Callable[[np.ndarray], np.ndarray]:
        import tensorflow as tf

        numbers = np.flatnonzero(~self.palette.void)
        return reader(self._built(), tf.constant(numbers, tf.uint8))

    def _built(self) -> Any:
        """Its network, with its weights."""
        from tfpix2pix.models.weights import named_weights
        from tfpix2pix.scorer.fcn import fcn8s

        if self._network is not None:
            return self._network
        numbers = np.flatnonzero(~self.palette.void)
        network = fcn8s(len(numbers), self.width, vgg=self.init == "imagenet").model
        try:
            for name, variable in named_weights(network).items():
                variable.assign(self.weights[name])
        except (KeyError, ValueError) as error:
            raise self._of_another(error) from None
        self._network = network
        return network

    @staticmethod
    def _of_another(error: Exception) -> UserError:
        return UserError(f"the scorer's {WEIGHTS} are not those of its network ({error}); {_MEND}")


def describer(network: Any) -> Callable[[np.ndarray], np.ndarray]:
    """``uint8 [B, H, W, 3]`` to the features of `Scorer.features`, by a network's layers."""
    import tensorflow as tf

    from tfpix2pix.scorer.fcn import last_activations

    layers = tf.keras.Model(network.input, last_activations(network))

    @tf.function(reduce_retracing=True, autograph=False)
    def describe(photos: tf.Tensor) -> tf.Tensor:
        activations = layers(tf.cast(photos, tf.float32) / 127.5 - 1.0, training=False)
        return tf.concat([tf.reduce_mean(a, axis=[1, 2]) for a in activations], axis=-1)

    return lambda photos: describe(tf.constant(photos, tf.uint8)).numpy()


def looker(network: Any) -> Callable[[np.ndarray], list[np.ndarray]]:
    """``uint8 [B, H, W, 3]`` to `Scorer.activations`, by a network's layers."""
    import tensorflow as tf

    from tfpix2pix.scorer.fcn import last_activations

    layers = tf.keras.Model(network.input, last_activations(network))

    @tf.function(reduce_retracing=True, autograph=False)
    def look(photos: tf.Tensor) -> list[tf.Tensor]:
        return layers(tf.cast(photos, tf.float32) / 127.5 - 1.0, training=False)

    return lambda photos: [layer.numpy() for layer in look(tf.constant(photos, tf.uint8))]


def reader(network: Any, numbers: Any) -> Callable[[np.ndarray], np.ndarray]:
    """``uint8 [B, H, W, 3]`` to class numbers, uint8 ``[B, H, W]``, by a network's scores.

    Args:
      network: photos in [-1, 1] to class scores.
      numbers: of the palette's classes that are not void, uint8 ``[K]``.
    """
    import tensorflow as tf

    @tf.function(reduce_retracing=True, autograph=False)
    def read(photos: tf.Tensor) -> tf.Tensor:
        scores = network(tf.cast(photos, tf.float32) / 127.5 - 1.0, training=False)
        return tf.gather(numbers, tf.argmax(scores, axis=-1, output_type=tf.int32))

    return lambda photos: read(tf.constant(photos, tf.uint8)).numpy()


# === The folder ===


def save_scorer(
    folder: str | os.PathLike[str], facts: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> Scorer:
    """Writes a scorer, the weights first, so that where there is a ``scorer.json`` it is whole."""
    content = io.BytesIO()
    arrays: dict[str, Any] = dict(weights)  # by its stubs one keyword of NumPy's is a bool
    np.savez(content, **arrays)
    write_bytes(Path(folder) / WEIGHTS, content.getvalue())
    facts = {"kind": KIND, **facts, "weights_sha256": identity_of(weights)}
    facts["sha256"] = _digest(facts)
    write_json(Path(folder) / FACTS, facts)
    return Scorer(facts, weights)


def load_scorer(path: str | os.PathLike[str]) -> Scorer:
    """Reads a scorer; TensorFlow is not needed for that.

    Args:
      path: the folder that `tfpix2pix train-scorer` wrote.

    Raises:
      UserError: it is none, is not trained to its end, or was damaged.
    """
    folder = Path(path).expanduser()
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder}: {_why_none(folder)}") from None
    except OSError as error:
        raise UserError(f"{folder / FACTS} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{folder / FACTS} is not valid JSON ({error}); {_MEND}") from None
    if not isinstance(facts, dict) or facts.get("kind") != KIND:
        raise UserError(f"{folder / FACTS} describes no scorer of tfpix2pix; {_MEND}")
    if facts.get("sha256") != _digest(facts):
        raise UserError(f"{folder / FACTS} was changed after it was written; {_MEND}")
    weights = _read_weights(folder / WEIGHTS)
    try:
        scorer = Scorer(facts, weights)
    except ValueError as error:
        raise UserError(f"{folder / FACTS} cannot be used ({error}); {_MEND}") from None
    if scorer.identity != facts.get("weights_sha256"):
        raise UserError(f"{folder / WEIGHTS} holds other weights than {FACTS} names; {_MEND}")
    # Nearly all of a scorer's weights: no network is made that they are not there for.
    wide = (7, 7, 8 * scorer.width, 64 * scorer.width)
    if scorer.width < 1 or np.shape(weights.get("fc6/kernel", ())) != wide:
        raise UserError(
            f"{folder / FACTS} describes a network of width {scorer.width} and {WEIGHTS} holds "
            f"another; {_MEND}"
        )
    if not is_size(scorer.size):
        raise UserError(
            f"{folder / FACTS} says images of {scorer.size} pixels, where multiples of 32 from 32 "
            f"to 1024 are possible; {_MEND}"
        )
    return scorer


_MEND = "restore it, or train a scorer again into a new folder with `tfpix2pix train-scorer`"


def _why_none(folder: Path) -> str:
    if not folder.exists():
        return "no such folder; give one that `tfpix2pix train-scorer` wrote"
    if not folder.is_dir():
        return "a file, where the folder of a scorer was expected"
    if (folder / "training.json").exists():
        return (
            "this scorer is not trained to its end; run its `tfpix2pix train-scorer` command again"
        )
    return f"no {FACTS} there, so it is no scorer; give a folder of `tfpix2pix train-scorer`"


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_arrays(path, path.stat().st_size)  # they are stored as they are
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {_MEND}") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise UserError(f"{path} is damaged ({reason}); {_MEND}") from None


def _digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the facts but itself, so that a mistyped width is no riddle later."""
    rest = {key: value for key, value in facts.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def identity_of(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 (hex) of weights: names, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        values = np.ascontiguousarray(weights[name], "<f4")
        digest.update(f"{name}\0{values.shape}\0".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _meaning(palette: Palette) -> list[tuple[Any, ...]]:
    """What must agree: neither a palette's name nor the values of index maps matter here."""
    return [(label.name, label.color, label.void) for label in palette.classes]


def _counted(palette: Palette) -> str:
    return f"{len(palette)} classes, {int(palette.void.sum())} of them void"
