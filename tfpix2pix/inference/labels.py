"""Labels that a network makes: in colours, as index maps, or as probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.data.unmeasured import VOID

if TYPE_CHECKING:
    from tfpix2pix.config import Config
    from tfpix2pix.data import PairSpec

Labels = Literal["raw", "color", "index", "probabilities"]
LABELS: tuple[Labels, ...] = ("raw", "color", "index", "probabilities")
"""What `Translator.translate` makes of labels."""


def check_labels(labels: str, config: Config, spec: PairSpec, argmax: bool = False) -> None:
    """Refuses what cannot be had of a model.

    Args:
      labels: what is wanted.
      config, spec: of the model.
      argmax: whether it gives classes alone.

    Raises:
      UserError: it is none of `LABELS`, or nothing that the model makes.
    """
    check_known(labels)
    flag = f"--labels={labels}"
    if labels != "raw" and not spec.y.is_classes:
        raise UserError(
            f"{flag} is for runs whose target shows labels (--label_palette), and this one's does "
            "not; drop it"
        )
    if labels != "probabilities":
        return
    if not config.labels_out:
        raise UserError(
            f"{flag} is for runs of --target_encoding=onehot, and this one paints colours; "
            "--labels=index gives the classes whose colours are nearest"
        )
    if argmax:
        raise UserError(
            f"{flag}: the export was made with --argmax and gives classes alone; give the run "
            "(--workdir), or export it without --argmax"
        )


def check_known(labels: str) -> None:
    """Raises UserError where it is none of `LABELS`."""
    if labels not in LABELS:
        raise UserError(f"--labels={labels}: expected {', '.join(LABELS[:-1])} or {LABELS[-1]}")


def result_bytes(spec: PairSpec, labels: str) -> int:
    """Bytes of a result's pixel, at least those of a picture that is made of it on the way."""
    if labels == "probabilities":
        return 4 * spec.y.channels
    return max(3, spec.result_image.stored_bytes)


def result_of(spec: PairSpec, x: np.ndarray, y: np.ndarray, labels: str) -> np.ndarray:
    """A network's y as `Translator.translate` gives it.

    Args:
      spec: of the pairs.
      x: ``[H, W, C_in]``.
      y: ``[H, W, C_out]`` in [-1, 1]; of one-hot labels probabilities, or class numbers
        ``[H, W, 1]``.
      labels: of `LABELS`.
    """
    if labels == "probabilities":
        return np.asarray(y, np.float32)
    if labels == "index" and spec.y.palette is not None and spec.y.one_hot:
        return spec.y.palette.to_indices(spec.y.classes(y))
    return as_labels(spec, spec.result(x, y), labels)


def as_labels(spec: PairSpec, picture: np.ndarray, labels: str) -> np.ndarray:
    """What a picture of labels, uint8 ``[H, W, 3]``, shows: itself, its nearest colours of the
    palette, or an index map ``[H, W]``."""
    palette = spec.y.palette
    if labels == "raw" or palette is None:
        return picture
    # What was never learned is no class of a result.
    palette = palette.without_void if VOID in spec.y.ignore else palette
    classes = palette.to_classes(picture)
    return palette.to_colors(classes) if labels == "color" else palette.to_indices(classes)


def colours_of(spec: PairSpec, result: np.ndarray, labels: str) -> np.ndarray:
    """A result of labels as a person sees it: uint8 ``[H, W, 3]``."""
    palette = spec.y.palette
    if palette is None or labels in ("raw", "color"):
        return result
    classes = palette.from_indices(result) if labels == "index" else spec.y.classes(result)
    return palette.to_colors(classes)


def nodata_of(spec: PairSpec, labels: str, of_input: float | None = None) -> float | None:
    """The one value that stands in a result where the input has nothing measured; None where there
    is none: a colour, or a guess.

    Args:
      spec, labels: as `result_of` takes them.
      of_input: the input's own such value.
    """
    palette = spec.y.palette
    if palette is None:
        return spec.result_image.nodata(of_input)
    if labels == "probabilities":
        return float("nan")
    if labels != "index":
        return None
    void = [label.indices[0] for label in palette.classes if label.void]
    return void[0] if void else spec.y.nodata() if spec.y.has_mask else None


def marked(
    spec: PairSpec,
    result: np.ndarray,
    missing: np.ndarray,
    labels: str,
    of_input: float | None = None,
) -> np.ndarray:
    """A result that says so where the input has nothing measured (`missing`, bool ``[H, W]``)."""
    if not missing.any():
        return result
    if spec.y.palette is None or labels in ("raw", "color"):
        return spec.marked(result, missing, of_input)
    nodata = nodata_of(spec, labels)
    if nodata is None:
        return result
    where = missing if result.ndim == 2 else missing[..., None]
    return np.where(where, np.asarray(nodata, result.dtype), result)
