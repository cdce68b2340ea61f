"""Between a run's config and the data: what to open, and what its pairs turned out to be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_text
from tfpix2pix.config import Config

if TYPE_CHECKING:
    from tfpix2pix.data import PairForm, PairSource, Palette

PALETTE_FILE = "palette.json"

# The config's fields, besides `dataset`, that say which pairs there are and how they are read.
DATA_FIELDS = (
    "direction",
    "layout",
    "input_dir",
    "target_dir",
    "val_fraction",
    "input_key",
    "target_key",
    "input_channels",
    "target_channels",
    "input_dtype",
    "target_dtype",
    "input_range",
    "target_range",
    "label_palette",
    "label_side",
    "input_encoding",
    "color_space",
    "data_dir",
    "sample_pairs",
    "seed",
    "allow_mixed_sizes",
)


def open_source(config: Config, workdir: str | os.PathLike[str] | None = None) -> PairSource:
    """Opens the data set that a config names, downloading it where need be, with its progress
    on the terminal; see `tfpix2pix.data.open_dataset`.

    Args:
      config: the run's config.
      workdir: the run's folder; if it holds a palette of its own, that one is used.

    Raises:
      DataError: as `open_dataset`.
    """
    from tfpix2pix.data import open_dataset
    from tfpix2pix.data.sources.paper_sets import stage_lines

    options: dict[str, Any] = {name: getattr(config, name) for name in DATA_FIELDS}
    saved = _saved_palette(workdir)
    if config.label_palette and saved is not None:
        options["label_palette"] = saved
    # Drawn no smaller than the networks need it.
    size = max(config.load_size, config.crop_size)
    with stage_lines() as stages:
        return open_dataset(config.dataset, sample_size=size, stages=stages, **options)


def check_source(source: PairSource) -> None:
    """Looks at every pair once, with its progress on the terminal; see `PairSource.check`."""
    from tfpix2pix.base.progress import ProgressLine
    from tfpix2pix.data import SPLITS

    total = sum(source.count(split) for split in SPLITS)
    with ProgressLine("checking", total, "pair") as line:
        source.check(lambda done, _: line.show(done))


def settled(config: Config, form: PairForm) -> Config:
    """The config with what was found out about the pairs in the fields that left it open."""
    return config.replace(
        input_channels=form.x.channels,
        target_channels=form.y.channels,
        input_dtype=form.x.dtype,
        target_dtype=form.y.dtype,
        # As it was typed, where it was: the same command has to continue the run.
        input_range=config.input_range or form.x.value_range,
        target_range=config.target_range or form.y.value_range,
        label_side=form.label_side,
    )


def form_of(config: Config, workdir: str | os.PathLike[str]) -> PairForm:
    """The form of a run's pairs, from its folder alone.

    Raises:
      UserError: the run's palette is missing or damaged.
    """
    if not config.label_palette:
        return form_with(config, None)
    saved = _saved_palette(workdir)
    if saved is None:
        raise UserError(
            f"--workdir={workdir}: its {PALETTE_FILE} is missing, so its labels cannot be "
            "read; put it back, or train in a new --workdir"
        )
    from tfpix2pix.data.palette import load_palette

    return _form(config, load_palette(saved))


def form_with(config: Config, palette: str | None) -> PairForm:
    """The form of the pairs of a run whose palette (None: it has none) is at hand as JSON text.

    Raises:
      UserError: the palette is none, or does not fit the config.
    """
    if palette is None:
        return _form(config, None)
    from tfpix2pix.data.palette import parse_palette

    try:
        return _form(config, parse_palette(palette))
    except ValueError as error:
        raise UserError(f"the label palette cannot be used: {error}") from None


def _form(config: Config, palette: Palette | None) -> PairForm:
    from tfpix2pix.data.forms import FULL_SCALE, FormWish, SideWish

    def side(flag: str, channels: int) -> SideWish:
        # Runs of earlier versions do not say; they are of 8 bits.
        dtype = getattr(config, f"{flag}_dtype") or "uint8"
        limits = getattr(config, f"{flag}_range")
        if not limits:
            limits = "{:g}:{:g}".format(*FULL_SCALE.get(dtype, (0, 1)))
        return SideWish(flag, channels, dtype, limits)

    wish = FormWish(
        side("input", config.x_channels),
        side("target", config.y_channels),
        palette,
        config.label_side,
        config.input_encoding,
        config.color_space,
    )
    return wish.form()


def save_palette(form: PairForm, workdir: str | os.PathLike[str]) -> None:
    """Keeps the palette with the run, which then does not depend on the user's file."""
    palette = form.x.palette or form.y.palette
    if palette is not None:
        write_text(Path(workdir, PALETTE_FILE), palette.to_json())


def _saved_palette(workdir: str | os.PathLike[str] | None) -> Path | None:
    if workdir is None:
        return None
    path = Path(workdir, PALETTE_FILE)
    return path if path.is_file() else None
