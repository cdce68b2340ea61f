"""SavedModel, as TensorFlow Serving loads it; the signatures are in `serving_graph`.

The network alone, as converters for other platforms want it, is another one: `network`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_text
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine import Engine, ExportedEncoder, Loaded
from tfpix2pix.export.formats import Artifact, Format, Job, require
from tfpix2pix.export.publish import free_version

if TYPE_CHECKING:
    import tensorflow as tf

FOLDER = "saved_model"
ENCODER = "network_encoder"
"""The folder of the encoder alone, beside that of the network alone."""
CONTRACT = "assets.extra/contract.json"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


class SavedModelFormat(Format):
    """Writes ``saved_model/VERSION/`` and ``serving/``, and opens versions."""

    name = "savedmodel"
    quantizations = ("none",)

    def check(self) -> None:
        require(
            "tensorflow_serving",
            "tensorflow-serving-api",
            "--formats=savedmodel (its warm-up requests)",
            "serving",
        )

    def write(self, job: Job, folder: Path) -> list[Artifact]:
        """Writes the next free version.

        Raises:
          UserError: the disk is full, or refuses otherwise.
        """
        import tensorflow as tf

        from tfpix2pix.export.savedmodel.serving_graph import ServingGraph
        from tfpix2pix.export.savedmodel.warmup import write_warmup

        version = free_version(job.output / FOLDER)
        path = folder / FOLDER / str(version)
        graph = ServingGraph(job.generator, job.contract, job.encoder)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            tf.saved_model.save(graph, os.fspath(path), signatures=graph.signatures())
            (path / CONTRACT).parent.mkdir(exist_ok=True)
            write_text(path / CONTRACT, job.contract.to_json())
            write_warmup(path, job.contract, job.name)
        except (OSError, tf.errors.OpError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "message", error)
            raise UserError(
                f"{path}: the SavedModel cannot be written ({reason}); see to room and permission"
            ) from None
        notes = () if job.contract.seeded else ("no z: signatures without seed only",)
        return [Artifact(f"{FOLDER}/{version}", self.name, notes=notes)]

    def open(self, path: Path, threads: int | None = None) -> SavedModelEngine:
        return SavedModelEngine(path)

    def extras(self, jobs: Mapping[str, Job], name: str, folder: Path) -> list[str]:
        from tfpix2pix.export.savedmodel.serving_config import write_serving

        places = {job.name: f"{place}/{FOLDER}".lstrip("/") for place, job in jobs.items()}
        return write_serving(folder, name, places)


class _SavedModel(Loaded):
    """A network in a SavedModel, run by TensorFlow in this process."""

    name = "TensorFlow (SavedModel)"
    function: Callable[..., Any]
    """Its signature."""

    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        import tensorflow as tf

        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return self._run(self.function, tensors)[self.OUTPUT].numpy()

    def _run(
        self, function: Callable[..., Any], inputs: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        import tensorflow as tf

        try:
            return function(**inputs)
        except tf.errors.ResourceExhaustedError:
            raise  # the caller knows how large the image is
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise self.failed(error) from None


class SavedModelEngine(_SavedModel, Engine):
    """A SavedModel, a server's or one of the network alone.

    Args:
      path: the folder of one version, or of the network.

    Raises:
      UserError: it is damaged, or carries no contract.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.contract = read_contract(self.path)
        self._model = _load(self.path)
        signatures = self._model.signatures
        self.has_pictures = "float" in signatures
        name = "float" if self.has_pictures else "serving_default"
        found = signatures[name].structured_input_signature[1] if name in signatures else ()
        if set(found) != set(self.inputs):
            raise _damaged(self.path, f"it has no signature 'float' of {' and '.join(self.inputs)}")
        self.function = signatures[name]

    @property
    def max_pixels(self) -> int | None:
        # The network alone has no limit inside, like the other formats.
        return self.contract.max_pixels if self.has_pictures else None

    def _encoder(self) -> SavedModelEncoder | None:
        if self.has_pictures:
            return SavedModelEncoder(self.path, self.contract, self._model)
        path = self.path.with_name(ENCODER)
        return SavedModelEncoder.open(path) if path.is_dir() else None

    def translate(
        self,
        images: np.ndarray,
        seeds: Sequence[int] | None = None,
        latent: np.ndarray | None = None,
    ) -> np.ndarray:
        """Runs the image signatures, as a server would; only where it `has_pictures`.

        Args:
          images: ``[B, H, W, C]`` of the run's depth (uint8 RGB for labels and Lab).
          seeds: one for each image; None for the signature without, or with `latent` for 0. An
            export in which they decide nothing ignores them.
          latent: float32 ``[B, n]`` in the place of the seeds'.

        Returns:
          ``[B, H, W, C_out]`` in the depth of the run's targets.
        """
        import tensorflow as tf

        name, given = "serving_default", {"image": images}
        if seeds is not None and self.contract.seeded:
            name = "seeded"
        given["seed"] = np.array([0] * len(images) if seeds is None else list(seeds), np.int64)
        if latent is not None:
            name, given["latent"] = "latent", np.asarray(latent, np.float32)
        function = self._model.signatures[name]
        taken = function.structured_input_signature[1]
        inputs = {key: tf.constant(value) for key, value in given.items() if key in taken}
        return self._run(function, inputs)["output"].numpy()


class SavedModelEncoder(_SavedModel, ExportedEncoder):
    """The encoder of a SavedModel, a server's or one of the network alone.

    Args:
      path: its folder.
      contract: that it carries.
      model: loaded.

    Attributes:
      has_pictures: whether there is also `style`.

    Raises:
      UserError: it has no function of an encoder.
    """

    def __init__(self, path: Path, contract: Contract, model: tf.Module) -> None:
        self.path, self.contract = path, contract
        self._model = model  # kept, since its functions do not keep its variables
        signatures = model.signatures
        self.has_pictures = "style" in signatures
        name = "encoder" if self.has_pictures else "serving_default"
        found = signatures[name].structured_input_signature[1] if name in signatures else ()
        if tuple(found) != self.inputs:
            raise _damaged(path, f"it has no signature '{name}' of {' and '.join(self.inputs)}")
        self.function = signatures[name]

    @classmethod
    def open(cls, path: Path) -> SavedModelEncoder:
        """That of a network alone."""
        return cls(path, read_contract(path), _load(path))

    def style(self, images: np.ndarray) -> np.ndarray:
        """Runs the signature of images, as a server would; only where it `has_pictures`.

        Args:
          images: ``[B, H, W, C]`` in the depth of the run's targets, of any size.

        Returns:
          float32 ``[B, n]``.
        """
        import tensorflow as tf

        given = {"image": tf.constant(images)}
        return self._run(self._model.signatures["style"], given)["latent"].numpy()


def saved_weights(path: str | os.PathLike[str], of: str = "") -> dict[str, np.ndarray]:
    """A network's weights in a SavedModel, without running it.

    Args:
      path: the folder of one version, or of a network.
      of: ``encoder/``: those of the encoder of a served SavedModel; empty for its generator's, and
        for those of the one network that there is.

    Returns:
      Arrays by the names of `tfpix2pix.models.weights.named_weights`.

    Raises:
      UserError: it is damaged, or not one of ours.
    """
    import tensorflow as tf

    from tfpix2pix.training.checkpoints import check_claims

    place = Path(path)
    try:
        check_claims(os.fspath(place / "variables" / "variables"))
        reader = tf.train.load_checkpoint(os.fspath(place / "variables" / "variables"))
        found = {}
        for key in reader.get_variable_to_shape_map():
            start = f"{of}weights/"
            if key.startswith(start) and key.endswith(_VALUE):
                name = key[len(start) : -len(_VALUE)]
                # As a checkpoint writes a dictionary's keys: / is .S and . is two of them.
                name = ".".join(part.replace(".S", "/") for part in name.split(".."))
                found[name] = np.asarray(reader.get_tensor(key))
    # The reader's C++ errors arrive as Python's: IndexError for a file that is cut short.
    except (ValueError, RuntimeError, IndexError, OSError, tf.errors.OpError):
        raise _damaged(place, "its variables cannot be read") from None
    if not found:
        raise _damaged(place, f"it holds no weights of {'an encoder' if of else 'a generator'}")
    return found


def read_contract(path: Path) -> Contract:
    """The contract in a version's folder.

    Raises:
      UserError: there is none, or it cannot be used.
    """
    place = path / CONTRACT
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"{path} holds no {CONTRACT}, so it is no SavedModel of `tfpix2pix export`; give one "
            "that is"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, f"{CONTRACT} cannot be read: {error}") from None
    return Contract.parse(text, str(place))


def _load(path: Path) -> tf.Module:
    """Loads a version whose operators are those of an export; see `saved_model_check`."""
    import tensorflow as tf

    from tfpix2pix.export.savedmodel.check import Refused, check_saved_model
    from tfpix2pix.training.checkpoints import check_claims

    try:
        check_saved_model(path)
        check_claims(os.fspath(path / "variables" / "variables"))
        return tf.saved_model.load(os.fspath(path))
    except MemoryError:
        raise
    except Refused as error:
        raise UserError(
            f"{path} was not loaded: {error}, which no export of tfpix2pix does; take a SavedModel "
            "that `tfpix2pix export` wrote"
        ) from None
    # Protocol buffers, checkpoints and the file system each fail in their own way.
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise _damaged(path, reason[0][:200] if reason else type(error).__name__) from None


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is a damaged SavedModel ({reason}); export again")


FORMAT = SavedModelFormat()
