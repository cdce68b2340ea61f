"""Algorithms by name: where each one and its section of the config are found.

A further algorithm is one file here, its section in ``configs/``, and a line in `ALGORITHMS`; a
program of its own may call `register` instead. TensorFlow is imported when one is built.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from typing import TYPE_CHECKING, Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import nearest

if TYPE_CHECKING:
    from tfpix2pix.algorithms.base import Algorithm
    from tfpix2pix.config.base import Config, Preset
    from tfpix2pix.models.base import Encoder, Generator

DEFAULT = "pix2pix"  # of runs and commands that name none
# By name: the class, and the class of its config, each as "module:class".
ALGORITHMS: dict[str, tuple[str, str]] = {
    "pix2pix": (
        "tfpix2pix.algorithms.pix2pix:Pix2Pix",
        "tfpix2pix.algorithms.configs.pix2pix:Pix2PixConfig",
    ),
    "cyclegan": (
        "tfpix2pix.algorithms.cyclegan:CycleGAN",
        "tfpix2pix.algorithms.configs.cyclegan:CycleGANConfig",
    ),
    "cut": (
        "tfpix2pix.algorithms.cut:Cut",
        "tfpix2pix.algorithms.configs.cut:CutConfig",
    ),
    "bicyclegan": (
        "tfpix2pix.algorithms.bicyclegan:BicycleGAN",
        "tfpix2pix.algorithms.configs.bicyclegan:BicycleGANConfig",
    ),
    "scorer": (
        "tfpix2pix.algorithms.scorer:ScorerTraining",
        "tfpix2pix.algorithms.configs.scorer:ScorerConfig",
    ),
}
# What `tfpix2pix train` offers; the others have commands of their own.
TRAINABLE = ("pix2pix", "bicyclegan", "cyclegan", "cut")
TWO_WAY = "cyclegan"  # of runs that are made of two generators, one the way back of the other


def register(name: str, algorithm: str, config: str) -> None:
    """Makes an algorithm known.

    Args:
      name: as ``--algorithm`` and ``config.json`` have it.
      algorithm: its class, ``"module:Class"``, an `Algorithm`.
      config: the class of its config, ``"module:Class"``, a `Config`, in a module that does not
        import TensorFlow.
    """
    ALGORITHMS[name] = (algorithm, config)


def algorithm_class(name: str) -> type[Algorithm]:
    """The class of an algorithm, which imports TensorFlow.

    Raises:
      UserError: there is none of that name.
    """
    return _imported(_entry(name)[0])


def generator_for(config: Config, direction: str = "") -> Generator:
    """The generator of a run that translates in a direction; imports TensorFlow.

    Args:
      config: the run's.
      direction: ``AtoB`` or ``BtoA``; empty for the run's default.

    Raises:
      UserError: the run's algorithm makes no pictures, or none in this direction.
    """
    generators = algorithm_class(config.algorithm).generators(config)
    if not generators:
        raise UserError(f"a run of --algorithm={config.algorithm} makes no pictures")
    return generators[config.direction_of(direction)]


def encoder_for(config: Config, direction: str = "") -> Encoder | None:
    """What finds the latents of a run in images like its targets; None where there is none. As
    `generator_for`."""
    encoders = algorithm_class(config.algorithm).encoders(config)
    return encoders.get(config.direction_of(direction))


def default_generator(config: Config) -> Generator:
    """`generator_for` of the direction that is taken where none is asked for."""
    return generator_for(config)


def config_class(name: str) -> type[Config]:
    """The class of an algorithm's config.

    Raises:
      UserError: there is no algorithm of that name.
    """
    return _imported(_entry(name)[1])


def config_fields() -> dict[str, dataclasses.Field[Any]]:
    """Every field that a run may have, by name: common ones, and those of each algorithm."""
    return dict(_fields_of(tuple(trainable())))


@functools.cache
def _fields_of(kinds: tuple[type[Config], ...]) -> dict[str, dataclasses.Field[Any]]:
    """Of configs; each flag of a command asks for them."""
    return {field.name: field for kind in reversed(kinds) for field in dataclasses.fields(kind)}


def trainable() -> list[type[Config]]:
    """The configs of the algorithms that `tfpix2pix train` offers, the default one first."""
    return [config_class(name) for name in TRAINABLE]


def several_answers(style: bool = False) -> list[str]:
    """The algorithms that `tfpix2pix train` offers whose runs may have a latent; with `style`, also
    an encoder, which finds that of an image."""
    return [k.algorithm for k in trainable() if (k.ENCODES if style else k.TAKES_LATENT)]


def presets() -> dict[str, Preset]:
    """The presets of all algorithms that `tfpix2pix train` offers, by name."""
    return {key: preset for kind in trainable() for key, preset in kind.PRESETS.items()}


def _entry(name: str) -> tuple[str, str]:
    if not isinstance(name, str) or name not in ALGORITHMS:
        raise UserError(
            f"--algorithm={name} is not known{nearest(str(name), ALGORITHMS)} (there are "
            f"{', '.join(ALGORITHMS)})"
        )
    return ALGORITHMS[name]


def _imported(place: str) -> type:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
