"""Options: dataclass fields that carry what a manual and a check need to know of them.

One declaration serves a run's config, the tasks of `tfpix2pix pairs` and a scorer's settings: the
flag, its manual text, its default and what it may hold.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable
from typing import Any

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import EXPECTED, Size

LARGEST = 2**31 - 1
"""Of whole numbers (steps, pairs) that have no limit of their own."""
LONGEST = 4
"""How many times its largest smaller side the larger side of a size may be."""
KIND_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Size: EXPECTED,
}
_KINDS = {kind.__name__: kind for kind in KIND_NAMES}


def option(
    default: Any,
    help: str,
    group: str = "",
    *,
    choices: tuple[Any, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    may_change: bool = False,
    resolves: bool = False,
    shown: str = "",
) -> Any:
    """A dataclass field: its default, its manual text (with the unit), and what it may hold.

    Args:
      default: its value where nothing is said.
      help: for the manual, one clause.
      group: of the manual in which it stands.
      choices: all values that it may have; empty for any.
      minimum, maximum: of a number, or of the smaller side of a size; both allowed.
      may_change: a continued run may be given it anew, because no weight of the finished run
        depends, but for rounding, on when it changes.
      resolves: the default leaves the matter open; it is resolved when the data are looked at, and
        the run's config holds the result.
      shown: what the manual says of the default; empty for its value.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "group": group,
            "choices": choices,
            "minimum": minimum,
            "maximum": maximum,
            "may_change": may_change,
            "resolves": resolves,
            "shown": shown,
        },
    )


def again(options: Any, name: str, default: Any) -> Any:
    """An option of another dataclass with a default of its own."""
    (field,) = (field for field in dataclasses.fields(options) if field.name == name)
    return dataclasses.field(default=default, metadata=dict(field.metadata))


def kind_of(field: dataclasses.Field[Any]) -> type:
    """int, float, str, bool or Size: the type that an option is annotated with."""
    return _KINDS[str(field.type)]


def parser_of(kind: type) -> Callable[[str], Any]:
    """What makes a value of that kind of a text; raises ValueError."""
    return Size.of if kind is Size else kind


def as_kept(field: dataclasses.Field[Any], value: Any) -> Any:
    """A value as `check_options` leaves it in the field, where it is of the field's kind."""
    if kind_of(field) is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if kind_of(field) is Size:
        with contextlib.suppress(ValueError):
            return Size.of(value)
    return value


def plain_values(values: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON has them: a `Size` is a number, or text such as 64x128."""
    found = dataclasses.asdict(values)
    return {k: v.value if isinstance(v, Size) else v for k, v in found.items()}


def default_text(field: dataclasses.Field[Any]) -> str:
    """What the manual says of an option's default: ``[286]``; empty where that is empty text."""
    if field.metadata["shown"]:
        return f"[{field.metadata['shown']}]"
    value = field.default
    if value == "":
        return ""
    return f"[{str(value).lower() if isinstance(value, bool) else value}]"


def check_options(values: Any, error: type[UserError] = UserError) -> None:
    """Checks every option of a dataclass; whole numbers become floats where floats belong, and
    numbers, texts and (height, width) become sizes where sizes do.

    Args:
      values: an instance of a (frozen) dataclass; fields that are no options are left alone.
      error: what to raise.

    Raises:
      UserError: a value of another type, out of range or not among the choices; names the flag.
    """
    for field in dataclasses.fields(values):
        if not field.metadata:
            continue
        given = getattr(values, field.name)
        value = as_kept(field, given)
        if value is not given:
            object.__setattr__(values, field.name, value)  # frozen for others, not for us
        fault = _fault(field, value)
        if fault:
            raise error(f"--{field.name}={value}{fault}")


def _fault(field: dataclasses.Field[Any], value: Any) -> str:
    """What is wrong with a value, to stand behind the flag; empty if nothing is."""
    kind, rules = kind_of(field), field.metadata
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f": expected {KIND_NAMES[kind]}, found {value!r}"
    if isinstance(value, float) and not math.isfinite(value):
        return " is not a finite number; give one"
    if rules["choices"] and value not in rules["choices"]:
        return (
            f" is not one of {', '.join(str(c) for c in rules['choices'] if c != '')}"
            f"{nearest(str(value), map(str, rules['choices']))}"
        )
    low, high = rules["minimum"], rules["maximum"]
    if kind is int and high is None:
        high = LARGEST
    if isinstance(value, Size):
        if high is not None and value.smaller <= high and value.larger > LONGEST * high:
            return f" is too large; the larger side may be at most {LONGEST * high}"
        value = value.smaller
    if low is not None and value < low:
        return f" is too small; the smallest allowed is {low}"
    if high is not None and value > high:
        return f" is too large; the largest allowed is {high}"
    return ""


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the known word most like this one, or an empty string."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.55)
    return f"; did you mean {match[0]!r}?" if match else ""
