"""`Task`: a frozen dataclass whose fields are its flags and whose `make` draws A from B."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from tfpix2pix.base.errors import DataError


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A task's field: its default, its manual text (with the unit), and what it may hold."""
    metadata = {"help": help, "choices": choices, "minimum": minimum, "maximum": maximum}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Task:
    """One way to make a pair (A, the input; B, the target) from one image.

    Subclasses are frozen dataclasses; each field is an `option` and a flag of the same name.

    Attributes:
      name: the task as ``--task`` names it.
      about: one line for the manual.
      titles: what A and B are, for the preview.
      libraries: modules that `make` imports, loaded before the threads start.
      train_flags: flags that a training on such pairs needs besides ``--dataset``.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    titles: ClassVar[tuple[str, str]]
    libraries: ClassVar[tuple[str, ...]] = ()
    train_flags: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self._check(field, getattr(self, field.name))

    def make(self, image: np.ndarray, stem: str) -> np.ndarray:
        """Draws A from an image.

        Args:
          image: uint8 ``[H, W, 3]``, RGB: what B will be.
          stem: the image's name without folder and extension, for tasks that draw at random.

        Returns:
          uint8 ``[H, W, 3]``.
        """
        raise NotImplementedError

    def remark(self, a: np.ndarray, b: np.ndarray) -> str:
        """Plain words on a pair that teaches little; mostly none."""
        return ""

    def settings(self) -> dict[str, Any]:
        """The JSON-able fields on which the pictures depend."""
        return dataclasses.asdict(self)

    def _check(self, field: dataclasses.Field[Any], value: Any) -> None:
        rules, flag = field.metadata, f"--{field.name}={value}"
        if str(field.type) in ("int", "float"):
            whole = str(field.type) == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise DataError(f"{flag}: expected a {'whole ' * whole}number, found {value!r}.")
            if not math.isfinite(value):
                raise DataError(f"{flag} is not a finite number; give one.")
        if rules["choices"] and value not in rules["choices"]:
            raise DataError(f"{flag}: expected {' or '.join(rules['choices'])}.")
        low, high = rules["minimum"], rules["maximum"]
        if low is not None and value < low:
            raise DataError(f"{flag} is too small; the smallest allowed is {low}.")
        if high is not None and value > high:
            raise DataError(f"{flag} is too large; the largest allowed is {high}.")


def as_rgb(grey: np.ndarray) -> np.ndarray:
    """Grey ``[H, W]`` repeated into ``[H, W, 3]``."""
    return np.repeat(grey[..., None], 3, axis=-1)
