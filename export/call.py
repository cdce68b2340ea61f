"""What ``tfpix2pix.export(...)`` and `tfpix2pix export` do: settings as people write them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.export.formats import USUAL

if TYPE_CHECKING:
    from tfpix2pix.export.exporter import Exported


def export(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] = USUAL,
    quantize: str | Sequence[str] = "none",
    inference: str = "paper",
    image_size: str | int | tuple[int, int] = "any",
    opset: str | int = "oldest",
    max_pixels: int | None = None,
    direction: str = "",
    argmax: bool = False,
    examples: int = 0,
    draw: str = "auto",
    checkpoint: str | int = "latest",
    weights: str = "average",
    dataset: Any = None,
    check_images: str | os.PathLike[str] = "",
    check_count: int = 12,
    name: str = "",
) -> Exported:
    """Writes a run's generator for servers, phones and browsers, each file proved against Keras.

    Progress is shown on standard output; nothing is published unless all of it is proved.

    Args:
      run: what `tfpix2pix.train` returned, or the run's folder.
      output: the folder of the export, made if missing.
      formats: some of savedmodel, tflite, onnx, network, web: names, or a text with commas.
      quantize: some of none, float16, dynamic, int8, likewise, one file each.
      inference: ``paper`` (dropout by the noise z, an input) or ``deterministic``.
      image_size: ``any``, a side, ``"512x256"`` (width x height) or ``(height, width)``, pixels.
      opset: version of the ONNX files' operators, or ``oldest``: the oldest that holds each file.
      max_pixels: height times width that the SavedModel takes at most, where the size is any;
        None for the default of `tfpix2pix export`.
      direction: of a run that learned both ways: ``AtoB``, ``BtoA`` or ``both``; empty for all that
        the run has. Of both, each has a folder of its own below the output.
      argmax: of a run of ``target_encoding="onehot"``: class numbers, uint8
        ``[B, H, W, 1]``, in the place of the classes' probabilities.
      examples: of the format web: how many inputs of the run's val split the page has; they are
        published with it.
      draw: of the format web: what one draws on the page, ``labels``, ``lines`` or ``photo``;
        ``auto`` by what the run's inputs look like.
      checkpoint: ``latest``, ``best`` or a step.
      weights: of a run with ``ema``: ``average``, or ``raw`` for the weights themselves.
      dataset: the run's data where they are not where it found them: a folder, or the arrays that
        it was trained on (those of a run that this process trained are known).
      check_images: an image or a folder to check on instead of the val split.
      check_count: images that PSNR is taken on, 1 to 10,000.
      name: of the model on a server; by default the run's.

    Returns:
      What was published: ``output``, ``manifest``, ``proof``, ``report``; of both directions one in
      ``parts`` for each.

    Raises:
      UserError: it cannot be done.
      ExportMismatch: a file differs from Keras by more than is allowed.
    """
    checked_count(check_count)
    from tfpix2pix.base.progress import StepLine
    from tfpix2pix.base.quiet import import_tensorflow
    from tfpix2pix.config.dataset import arrays_of
    from tfpix2pix.export.exporter import Request, check_request, export_run
    from tfpix2pix.inference import check_weights

    check_weights(weights)
    workdir, output = os.fspath(run), os.fspath(output)
    if isinstance(image_size, tuple | list):
        image_size = "x".join(map(str, reversed(image_size)))
    request = Request.parse(
        _text(formats),
        _text(quantize),
        inference,
        str(image_size),
        str(opset),
        max_pixels,
        direction,
        argmax,
        examples,
        draw,
    )
    check_request(workdir, output, request)
    arrays = arrays_of(run, dataset)
    import_tensorflow()
    with StepLine("exporting") as reporter:
        return export_run(
            workdir,
            output,
            request,
            checkpoint=checkpoint,
            weights=weights,
            dataset=arrays or os.fspath(dataset or ""),
            check_images=os.fspath(check_images),
            check_count=check_count,
            name=name,
            reporter=reporter,
        )


KEYWORDS = tuple(inspect.signature(export).parameters)[2:]


def checked_count(count: int) -> int:
    """A number of images to check on.

    Raises:
      UserError: it is not 1 to 10,000.
    """
    if not isinstance(count, int) or not 1 <= count <= 10_000:
        raise UserError(f"--check_count={count}: expected 1 to 10,000 images")
    return count


def _text(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else ",".join(names)
