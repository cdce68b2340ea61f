"""Exports as the page has them: with a known sample, examples, and what one draws for them."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpix2pix.base.errors import DataError, UserError
from tfpix2pix.base.files import shown
from tfpix2pix.base.serving import Content, size_of
from tfpix2pix.config.dataset import short_name
from tfpix2pix.data.images import fit_depth
from tfpix2pix.data.spec import LabSpec
from tfpix2pix.demo import kinds
from tfpix2pix.demo.kinds import Drawn
from tfpix2pix.demo.models import PageModel, check_memory, check_spec
from tfpix2pix.export.contract import Contract
from tfpix2pix.export.engine import Engine
from tfpix2pix.export.formats import load_format
from tfpix2pix.export.manifest import FILE, Index, Manifest
from tfpix2pix.export.onnx.format import require_runner
from tfpix2pix.export.opening import translator_of
from tfpix2pix.export.pictures import drawn_input, stored_inputs, val_pictures
from tfpix2pix.export.publish import check_published
from tfpix2pix.export.web.network import network_of
from tfpix2pix.inference.sizes import whole_bytes

PRECISIONS = {"none": "float32", "float16": "float16", "int8": "int8"}
_FORMATS = ("onnx", "web")  # that have ONNX files
# By how many levels an engine may differ from the sample. 8-bit steps fall to the other side of a
# half elsewhere, which the layers behind spread.
_TOLERANCE = {"float32": 1.0, "float16": 1.0, "int8": 64.0}
_SEED = 0  # of the sample
LOOKED_AT = 8  # inputs that tell what they show


# === What is named on the command line ===


@dataclass(frozen=True)
class _Named:
    """One network that is meant.

    Attributes:
      path: of its file, or of its folder on a page.
      format: ``onnx`` or ``web``.
      quantize: of `PRECISIONS`; empty where the file has to tell.
      manifest: what its export tells; None of a file alone.
    """

    path: Path
    format: str = "onnx"
    quantize: str = ""
    manifest: Manifest | None = None


def check_named(path: str | os.PathLike[str]) -> None:
    """Refuses at once what `models_of` would.

    Raises:
      UserError: as it has them, and where what runs ONNX files is not installed.
    """
    what = f"--model={shown(path)}"
    for named in _named(path, "", what):
        require_runner(os.fspath(named.path))
        if named.manifest:
            check_spec(named.manifest.contract.spec, what)


def models_of(
    path: str | os.PathLike[str],
    direction: str = "",
    examples: int = 0,
    dataset: str = "",
    what: str = "",
    draw: str = kinds.AUTO,
) -> list[PageModel]:
    """The networks of an export, of each direction the one of the highest precision.

    Args:
      path: the folder of an export, or an ``.onnx`` file of one.
      direction: ``AtoB`` or ``BtoA``; empty for all that there are.
      examples: how many val inputs of its run come along.
      dataset: where the run's data set is now; empty for where the run found it.
      what: names it, for messages; empty for the flag that did.
      draw: what one draws, of `kinds.DRAWS`.

    Raises:
      UserError: it holds no ONNX file, or one that a page cannot have; or examples are asked for
        and the data are not there; or what is drawn does not go with it.
    """
    what = what or f"--model={shown(path)}"
    found = _named(path, direction, what)
    return [_model(named, what, examples, dataset, draw) for named in found]


def with_names(models: Sequence[PageModel]) -> list[PageModel]:
    """The same, those of one name told apart by numbers."""
    found: dict[str, PageModel] = {}
    for model in models:
        number, name, title = 1, model.name, model.title
        while name in found:
            number += 1
            name, title = f"{model.name}-{number}", f"{model.title} ({number})"
        found[name] = dataclasses.replace(model, name=name, title=title)
    return list(found.values())


def _named(path: str | os.PathLike[str], direction: str, what: str) -> list[_Named]:
    """What is meant; see `models_of`."""
    place = Path(path).expanduser()
    if place.is_file():
        if place.suffix.lower() != ".onnx":
            raise UserError(f"{what}: expected an .onnx file, or the folder of an export")
        return [_of_file(place)]
    if not place.is_dir():
        raise UserError(f"{what}: no such file or folder; give what `tfpix2pix export` wrote")
    check_published(place)
    index = Index.find(place)
    folders = [place / each for each in index.directions] if index else [place]
    manifests = {folder: Manifest.load(folder) for folder in folders}
    there = [manifest.contract.direction for manifest in manifests.values()]
    if direction and direction not in there:
        raise UserError(
            f"--direction={direction}: {what} is of {' and '.join(there)}; leave --direction out"
        )
    return [
        _best(folder, manifest, what)
        for folder, manifest in manifests.items()
        if direction in ("", manifest.contract.direction)
    ]


def _of_file(file: Path) -> _Named:
    """An ONNX file, alone or in the folder of an export."""
    for folder in file.absolute().parents[1:3]:
        if (folder / FILE).is_file() and Index.find(folder) is None:
            manifest = Manifest.load(folder)
            for artifact, _ in manifest.artifacts:
                if folder / artifact.path == file.absolute():
                    return _Named(file, quantize=artifact.quantize, manifest=manifest)
    return _Named(file)


def _best(folder: Path, manifest: Manifest, what: str) -> _Named:
    """The most precise one of an export."""
    found = [a for a, _ in manifest.artifacts if a.format in _FORMATS]
    if not found:
        there = ", ".join(sorted({a.format for a, _ in manifest.artifacts})) or "nothing"
        raise UserError(
            f"{what} holds {there}, and a page runs ONNX files; export the run with "
            "--formats=onnx, or give the run itself by --workdir"
        )
    orders = list(PRECISIONS), list(_FORMATS)
    best = min(found, key=lambda a: (orders[0].index(a.quantize), orders[1].index(a.format)))
    return _Named(folder / best.path, best.format, best.quantize, manifest)


def _model(named: _Named, what: str, examples: int, dataset: str, draw: str) -> PageModel:
    from tfpix2pix.export.onnx.quantize import quantization_of

    engine = load_format(named.format).open(named.path)
    contract = engine.contract
    run = named.manifest.run if named.manifest else ""
    inputs, shown = _run_data(contract, run, dataset, examples, what)
    title = Path(run).name or short_name(contract.config)
    if len(contract.config.directions) > 1:
        title = f"{title} {contract.direction}"
    file = named.path if named.format == "onnx" else network_of(named.path)
    precision = PRECISIONS[named.quantize or quantization_of(named.path)]
    drawn = drawn_of(contract, inputs, draw, what)
    return page_model(engine, file, title, precision, drawn, shown, what)


# === One network ===


def page_model(
    engine: Engine,
    file: Content,
    title: str,
    precision: str,
    drawn: Drawn,
    examples: Sequence[np.ndarray] = (),
    what: str = "the export",
) -> PageModel:
    """A network as the page has it.

    Args:
      engine: that runs the file.
      file: ONNX, or its bytes.
      title: the run's name.
      precision: ``float32``, ``float16`` or ``int8``.
      drawn: what one draws for it, see `drawn_of`.
      examples: that come along, float32 ``[H, W, C_in]`` in [-1, 1].
      what: names it, for messages.

    Raises:
      UserError: a page cannot have it.
    """
    contract = engine.contract
    check_spec(contract.spec, what)
    height, width = contract.image_size or contract.config.whole_size
    check_memory(size_of(file), whole_bytes(contract.generator, height, width), what)
    words = [title] if precision == PRECISIONS["none"] else [title, precision]
    spec = contract.spec
    return PageModel(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(words)).strip("-.") or "model",
        title=title if precision == PRECISIONS["none"] else f"{title}, {precision}",
        precision=precision,
        file=file,
        contract=contract.to_dict(),
        sample=known_sample(engine, height, width),
        tolerance=_TOLERANCE[precision],
        drawn=drawn,
        examples=[fit_depth(spec.input_file(x), "uint8") for x in examples],
    )


def known_sample(engine: Engine, height: int, width: int) -> dict[str, np.ndarray]:
    """Inputs of a network by name, drawn from a seed, and the ``y`` that it makes of them."""
    contract, translator = engine.contract, translator_of(engine)
    x = drawn_input(contract.spec, height, width)[None]
    inputs = {"x": x}
    if contract.noise:
        inputs["z"] = translator.noise(x, [_SEED])
    if contract.latent_size:
        inputs["latent"] = translator.latent([_SEED])
    y = engine(x, inputs.get("z"), inputs.get("latent"))
    return {**inputs, "y": np.asarray(y, np.float32)}


def drawn_of(
    contract: Contract,
    inputs: Sequence[np.ndarray],
    draw: str = kinds.AUTO,
    what: str = "the export",
) -> Drawn:
    """What one draws for a network.

    Args:
      contract: of its export.
      inputs: of its run, as `pictures.stored_inputs` has them, to see what they show.
      draw: of `kinds.DRAWS`.
      what: names it, for messages.

    Raises:
      UserError: it does not go with the network.
    """
    palette = contract.spec.x.palette
    pictures = [_shown(values) for values in inputs]
    if palette is not None and draw == kinds.LINES:
        raise UserError(f"--draw=lines: {what} takes labels of a palette; draw labels or photo")
    if draw in (kinds.LINES, kinds.PHOTO):
        return Drawn(draw)
    if palette is not None:
        return kinds.of_palette(contract.to_dict()["palette"])
    if draw == kinds.LABELS:
        found = kinds.labels_of_pictures(pictures)
        if found is None:
            seen = (
                "its inputs are not painted in a few colours; draw lines or photo, or train with "
                "--label_palette"
                if pictures
                else "its inputs, which have the colours, are not here; say with --dataset=FOLDER "
                "where the data set is now"
            )
            raise UserError(f"--draw=labels: {what} has no palette, and {seen}")
        return found
    if isinstance(contract.spec, LabSpec):
        return Drawn(kinds.PHOTO)
    if pictures:
        return kinds.of_pictures(pictures)
    config = contract.config
    turned = contract.direction != config.direction
    return Drawn(kinds.PHOTO) if turned else kinds.of_dataset(short_name(config))


def _shown(values: np.ndarray) -> np.ndarray:
    """Stored values as a picture, uint8 ``[H, W, 1 or 3]``."""
    return fit_depth(values[..., :3] if values.shape[-1] >= 3 else values[..., :1], "uint8")


def _run_data(
    contract: Contract, run: str, dataset: str, examples: int, what: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Some inputs of a run as they are stored, and so many of its val split as the network sees
    them; none where its data are not here.

    Raises:
      UserError: examples are asked for, and they are not here.
    """
    config, where = contract.config, (run or None, dataset)
    # Those of another machine are not downloaded to see what they show.
    is_here = bool(dataset) or config.dataset == "sample" or (bool(run) and Path(run).is_dir())
    if not is_here and not examples:
        return [], []
    try:
        stored = stored_inputs(config, *where, LOOKED_AT, contract.direction)
        if not examples:
            return stored, []
        seen, _ = val_pictures(config, *where, examples, contract.direction)
    except (DataError, OSError) as error:
        if examples:
            raise UserError(
                f"--examples: the val inputs of {what} cannot be read ({error}); say with "
                "--dataset=FOLDER where the data set is now, or leave --examples out"
            ) from None
        return [], []
    return stored, [picture.x for picture in seen]
