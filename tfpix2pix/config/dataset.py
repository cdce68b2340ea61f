"""Between a run's config and the data: what to open, and what its pairs turned out to be."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_text
from tfpix2pix.config import Config
from tfpix2pix.config.shapes import squeeze_note
from tfpix2pix.data.config import ARRAYS, PLACES

if TYPE_CHECKING:
    from tfpix2pix.data import PairArrays, PairSource, PairSpec, Palette
    from tfpix2pix.data.check.inspection import Inspection

PALETTE_FILE = "palette.json"


def open_source(
    config: Config,
    workdir: str | os.PathLike[str] | None = None,
    arrays: PairArrays | None = None,
    training: bool = True,
) -> PairSource:
    """Opens the data set that a config names, downloading it where need be, with its progress
    on the terminal; see `tfpix2pix.data.open_dataset`.

    Args:
      config: the run's config.
      workdir: the run's folder; if it holds a palette of its own, that one is used.
      arrays: the pairs of a config whose data set is arrays.
      training: refuse a data set without training pairs.

    Raises:
      DataError: as `open_dataset`.
    """
    from tfpix2pix.data import open_dataset
    from tfpix2pix.data.sources.paper_sets import stage_lines

    saved = saved_palette(workdir)
    if config.label_palette and saved is not None:
        config = config.replace(label_palette=os.fspath(saved))
    with stage_lines() as stages:
        return open_dataset(
            config, arrays=arrays, sample_size=config.load_size, stages=stages, training=training
        )


def missing_place(config: Config, given: Mapping[str, Any]) -> str:
    """The folder or table of a run's pairs, where it is there no more and no other was given."""
    if given.keys() & set(PLACES):
        return ""
    places = (getattr(config, name) for name in PLACES)
    return next((p for p in places if os.path.isabs(p) and not os.path.exists(p)), "")


def arrays_of(run: object, dataset: object = None) -> PairArrays | None:
    """The arrays that a caller from Python means: those that were handed over, else those of a
    run that was trained on arrays in this process; None where the data are files.

    Args:
      run: the run; an `Outcome` of `tfpix2pix.train` knows its data, a path does not.
      dataset: arrays, a path, or None.

    Raises:
      DataError: as `tfpix2pix.data.PairArrays`.
    """
    from tfpix2pix.data.sources.arrays import ArraySource, PairArrays
    from tfpix2pix.data.sources.unpaired_arrays import UnpairedArrays

    if dataset is not None:
        return None if isinstance(dataset, str | os.PathLike) else PairArrays(dataset)
    source = getattr(run, "source", None)
    source = getattr(source, "pairs", source)  # pairs that were trained unpaired
    return source.arrays if isinstance(source, ArraySource | UnpairedArrays) else None


def short_name(config: Config) -> str:
    """What the data set is called, fit for a folder's name."""
    if config.input_dir:
        return f"{Path(config.input_dir).name}-to-{Path(config.target_dir).name}"
    if config.dataset == ARRAYS:
        return "arrays"
    if config.dataset.startswith("tfds:"):
        return re.sub(r"[^\w.-]+", "-", config.dataset[len("tfds:") :])
    path = Path(config.dataset)
    return (path.stem if path.is_file() else path.name) or "data"


def with_absolute_paths(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a config that the user gave, with the data's paths absolute, so that the run can
    be continued from anywhere."""
    from tfpix2pix.data.palette import BUILTIN

    given = dict(given)
    for name in ("dataset", "input_dir", "target_dir", "label_palette"):
        # A built-in palette, whatever stands in this folder.
        if given.get(name) and not (name == "label_palette" and given[name] in BUILTIN):
            given[name] = _absolute(os.fspath(given[name]))
    for name in ("init_from", "perceptual"):
        if given.get(name):
            given[name] = os.path.abspath(os.path.expanduser(given[name]))
    return given


def _absolute(dataset: str) -> str:
    # The embedded set, whatever stands in this folder; a TFDS name is no path, nor are arrays.
    if dataset in ("sample", ARRAYS) or dataset.startswith("tfds:"):
        return dataset
    path = Path(os.path.expanduser(dataset))
    # abspath takes ".." out too: the same folder from elsewhere must compare equal.
    return os.path.abspath(path) if path.exists() or os.sep in dataset else dataset


def check_source(source: PairSource) -> None:
    """Looks at every pair once, with its progress on the terminal; see `PairSource.check`."""
    from tfpix2pix.base.progress import ProgressLine

    with ProgressLine("checking", source.to_check(), source.unit) as line:
        source.check(lambda done, _: line.show(done))


def inspect_data(config: Config, source: PairSource, duplicates: bool = True) -> Inspection:
    """All that can be told of a data set, and whether a run of this config would accept it, with
    the progress on the terminal; see `tfpix2pix.data.check.inspection.inspect_source`."""
    from tfpix2pix.base.progress import ProgressLine
    from tfpix2pix.data.cache_choice import cache_dir
    from tfpix2pix.data.check.inspection import inspect_source

    with ProgressLine("looking", source.to_check(), source.unit) as line:
        seen = inspect_source(
            source,
            progress=lambda done, _: line.show(done),
            duplicates=duplicates,
            load_size=config.load_size,
            cache=config.cache,
            cache_dir=cache_dir(config.data_dir),
        )
    if not seen.refusal:
        note = squeeze_note(config, source.image_sizes())
        seen.notes += [note] if note else []
        try:
            resolved(config, source.spec)
        except UserError as error:  # a spec that no run can have
            seen.refusal = str(error)
    return seen


def check_outside(output: Path, config: Config, source: PairSource) -> None:
    """Raises UserError where a folder to write to lies in one of the data set's."""
    real = output.resolve()
    for own in _folders_of(config, source):
        if real == own or own in real.parents:
            raise UserError(
                f"--output={output} lies in the data set's own folder ({own}), where nothing is "
                "written; give another --output"
            )


def _folders_of(config: Config, source: PairSource) -> list[Path]:
    """Where the data lie: the folders that were named, and those of all files."""
    folders = source.folders()
    if not folders:
        return []
    named = [config.input_dir, config.target_dir] if config.input_dir else [config.dataset]
    folders |= {Path(os.path.expanduser(name)) for name in named}
    return sorted({folder.resolve() for folder in folders if folder.is_dir()})


def resolved(config: Config, spec: PairSpec) -> Config:
    """The config with what was found out about the pairs in the fields that left it open."""
    return config.replace(
        input_channels=spec.x.channels,
        target_channels=spec.y.channels,
        input_dtype=spec.x.dtype,
        target_dtype=spec.y.dtype,
        # As it was typed, where it was: the same command has to continue the run.
        input_range=config.input_range or spec.x.value_range,
        target_range=config.target_range or spec.y.value_range,
        input_alpha=spec.x.alpha,
        target_alpha=spec.y.alpha,
        input_ignore=config.input_ignore or spec.x.ignored,
        target_ignore=config.target_ignore or spec.y.ignored,
        label_side=spec.label_side,
    )


def spec_of(config: Config, workdir: str | os.PathLike[str], direction: str = "") -> PairSpec:
    """The spec of a run's pairs, from its folder alone.

    Args:
      config, workdir: the run's.
      direction: in which it translates: x is that one's input; empty for the run's default.

    Raises:
      UserError: the run's palette is missing or damaged.
    """
    if not config.label_palette:
        return spec_with(config, None, direction)
    saved = saved_palette(workdir)
    if saved is None:
        raise UserError(
            f"--workdir={workdir}: its {PALETTE_FILE} is missing, so its labels cannot be "
            "read; put it back, or train in a new --workdir"
        )
    from tfpix2pix.data.palette import load_palette

    return _spec(config, load_palette(saved), direction)


def spec_with(config: Config, palette: str | None, direction: str = "") -> PairSpec:
    """The spec of the pairs of a run whose palette (None: it has none) is at hand as JSON text.

    Args:
      config: the run's.
      palette: of its labels.
      direction: as `spec_of` has it.

    Raises:
      UserError: the palette is none, or does not fit the config.
    """
    if palette is None:
        return _spec(config, None, direction)
    from tfpix2pix.data.palette import parse_palette

    try:
        return _spec(config, parse_palette(palette), direction)
    except ValueError as error:
        raise UserError(f"the label palette cannot be used: {error}") from None


def _spec(config: Config, palette: Palette | None, direction: str) -> PairSpec:
    from tfpix2pix.data.spec import FULL_SCALE, ImageWish, PairWish
    from tfpix2pix.data.unmeasured import NONE

    def side(flag: str, channels: int) -> ImageWish:
        # Runs of earlier versions do not say; they are of 8 bits.
        dtype = getattr(config, f"{flag}_dtype") or "uint8"
        limits = getattr(config, f"{flag}_range")
        if not limits:
            limits = "{:g}:{:g}".format(*FULL_SCALE.get(dtype, (0, 1)))
        planes = getattr(config, f"{flag}_planes")
        alpha = getattr(config, f"{flag}_alpha")
        ignore = getattr(config, f"{flag}_ignore") or NONE
        return ImageWish(flag, channels, dtype, limits, planes, alpha, ignore)

    wish = PairWish(
        side("input", config.x_channels),
        side("target", config.y_channels),
        palette,
        config.label_side,
        config.input_encoding,
        config.color_space,
        config.target_encoding,
    )
    spec = wish.spec()
    return spec if config.direction_of(direction) == config.direction else spec.turned()


def save_palette(spec: PairSpec, workdir: str | os.PathLike[str]) -> None:
    """Keeps the palette with the run, which then does not depend on the user's file."""
    palette = spec.x.palette or spec.y.palette
    if palette is not None:
        write_text(Path(workdir, PALETTE_FILE), palette.to_json())


def saved_palette(workdir: str | os.PathLike[str] | None) -> Path | None:
    """The file of a run's own palette; None where it has none."""
    if workdir is None:
        return None
    path = Path(workdir, PALETTE_FILE)
    return path if path.is_file() else None
