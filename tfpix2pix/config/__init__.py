"""A run's configuration: data + run + one section of the algorithm, its presets, its file."""

from tfpix2pix.base.options import KIND_NAMES, nearest
from tfpix2pix.config.base import GROUPS, Config, Preset, RunConfig
from tfpix2pix.config.resolving import (
    allowed_changes,
    config_of,
    differences,
    load_config,
    resolve,
    with_preset,
)

__all__ = [
    "GROUPS",
    "KIND_NAMES",
    "Config",
    "Preset",
    "RunConfig",
    "allowed_changes",
    "config_of",
    "differences",
    "load_config",
    "nearest",
    "resolve",
    "with_preset",
]
