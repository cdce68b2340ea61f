"""Flags: the parser with its manual pages, and the config's fields as flags.

Subcommands come from ``absl.flags.argparse_flags``, so absl's own flags (``--verbosity``,
``--flagfile``) work everywhere.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from absl.flags import argparse_flags

from tfpix2pix.algorithms import registry
from tfpix2pix.base.options import KIND_NAMES, default_text, kind_of, nearest, parser_of
from tfpix2pix.base.size import Size
from tfpix2pix.config import GROUPS, Config
from tfpix2pix.config.dataset import with_absolute_paths

METAVARS: dict[type, str] = {Size: "PIXELS|HEIGHTxWIDTH"}
_TRUE, _FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")


class Parser(argparse_flags.ArgumentParser):
    """An argument parser that prints one sentence on a mistake and exits with code 2.

    Attributes:
      leaf: it is the last to parse, so that what it does not know is wrong.
    """

    leaf = False

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", ManualFormatter)
        super().__init__(**kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see `{self.prog} --help`)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown and self.leaf:
            self._reject(unknown[0])
        return namespace, unknown

    def _reject(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            self.error(f"unexpected argument {word!r}; flags look like --name=value")
        name = word.split("=")[0]
        known = [
            flag
            for action in self._actions
            if action.help is not argparse.SUPPRESS
            for flag in action.option_strings
        ]
        self.error(f"unknown flag {name}{nearest(name, known)}")


class ManualFormatter(argparse.RawDescriptionHelpFormatter):
    """Help like a manual page: the flag on a line, its text indented below it."""

    def __init__(self, prog: str) -> None:
        width = min(100, max(60, shutil.get_terminal_size().columns))
        super().__init__(prog, max_help_position=6, width=width, indent_increment=2)

    def _format_action(self, action: argparse.Action) -> str:
        if action.help is argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):
            return ""
        names = list(action.option_strings)
        if isinstance(action, _SetBoolean):
            names = names[:2]  # the third spelling, --no-NAME, needs no mention
        head = ", ".join(names) or str(action.metavar or action.dest)
        if action.metavar and action.nargs != 0 and names:
            head += f"={action.metavar}"
        lines = [""]
        for part in re.findall(r"[^|]+\|?", head):  # a long row of choices is broken
            if len(lines[-1] + part) > self._width - 4:
                lines.append("    ")
            lines[-1] += part
        lines += [f"    {line}" for line in textwrap.wrap(action.help or "", self._width - 8)]
        return "".join(f"  {line}\n" for line in lines)


class _SetBoolean(argparse.Action):
    """``--flip``, ``--noflip``, ``--no-flip``, ``--flip=true|false``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        value: Any,
        option: str | None = None,
    ) -> None:
        negated = str(option).startswith("--no")
        if value is None:
            chosen = True
        elif str(value).lower() in _TRUE + _FALSE:
            chosen = str(value).lower() in _TRUE
        else:
            parser.error(f"{option}={value}: expected true or false")
        setattr(namespace, self.dest, chosen != negated)


def add_boolean(group: Any, name: str, help: str, default: Any = False) -> None:
    """A boolean flag in every spelling that absl and argparse users know."""
    group.add_argument(
        f"--{name}",
        f"--no{name}",
        f"--no-{name}",
        dest=name,
        nargs="?",
        action=_SetBoolean,
        default=default,
        help=help,
    )


def add_weights(group: Any, of: str = "a run") -> None:
    """``--weights``, which `tfpix2pix.inference.check_weights` checks."""
    group.add_argument(
        "--weights",
        default="average",
        metavar="average|raw",
        help=f"of {of} with --ema: the moving averages, or the weights themselves [average]",
    )


def add_draw(group: Any, of: str = "") -> None:
    """``--draw``, of `tfpix2pix.demo.kinds.DRAWS`."""
    group.add_argument(
        "--draw",
        default="auto",
        metavar="auto|labels|lines|photo",
        help=f"{of}what one draws: labels in the colours of the run's palette or of its inputs, "
        "lines in grey, or nothing on a photo that is opened; auto: by what the run's inputs look "
        "like [auto]",
    )


def add_limit(group: Any) -> None:
    """``--limit``, how many pairs of a split are taken."""
    group.add_argument(
        "--limit",
        type=number(int),
        default=0,
        metavar="INT",
        help="only the first pairs of the split, 0 for all [0]",
    )


def add_direction(group: Any, what: str) -> None:
    """``--direction`` of what is made already, which `Config.direction_of` checks."""
    group.add_argument(
        "--direction",
        default="",
        metavar="AtoB|BtoA",
        help=f"{what} [the one of its training]",
    )


def number(kind: type) -> Callable[[str], Any]:
    """A converter for argparse whose complaint says what was expected (argparse adds the flag)."""

    def convert(text: str) -> Any:
        try:
            return parser_of(kind)(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"expected {KIND_NAMES[kind]}, found {text!r}"
            ) from None

    return convert


# === The config's fields ===


def add_config_flags(parser: Parser) -> None:
    """One flag per field of a run's config, grouped; a flag that is not given sets nothing."""
    groups = {key: parser.add_argument_group(title) for key, title in GROUPS.items()}
    for field in registry.config_fields().values():
        add_field(groups[field.metadata["group"]], field)


def add_field(group: Any, field: dataclasses.Field[Any], text: str | None = None) -> None:
    """The flag of one option, with its own manual text and default or another text."""
    if text is None:
        text = f"{field.metadata['help']} {_default_text(field)}"
    text = text.replace("%", "%%")
    kind = kind_of(field)
    if kind is bool:
        add_boolean(group, field.name, text, default=argparse.SUPPRESS)
        return
    choices = field.metadata["choices"]
    if registry.config_fields().get(field.name) is field:
        known = {"preset": tuple(registry.presets()), "algorithm": registry.TRAINABLE}
        choices = known.get(field.name, choices)
    named = [str(choice) for choice in choices if choice != ""]
    metavar = "|".join(named) if named else METAVARS.get(kind, kind.__name__.upper())
    group.add_argument(
        f"--{field.name}",
        dest=field.name,
        type=number(kind),
        metavar=metavar,
        default=argparse.SUPPRESS,
        help=text,
    )


def _default_text(field: dataclasses.Field[Any]) -> str:
    """``[286]``, or ``[quick 143, paper 286]`` where a run's default preset differs; behind it what
    the default presets of other algorithms have: ``[unet; cyclegan_quick resnet6]``."""
    if registry.config_fields().get(field.name) is not field or field.name == "algorithm":
        return default_text(field)
    owners = [kind for kind in registry.trainable() if hasattr(kind, field.name)]
    first, *others = owners
    used = _used(first, field.name)
    text = default_text(field)[1:-1]
    if field.name == "preset":
        text = used
    elif field.name in first.PRESETS[first.DEFAULT_PRESET].values:
        text = f"{first.DEFAULT_PRESET} {used}, {first.preset} {_shown(field.default)}"
    for kind in others:
        own = _used(kind, field.name)
        if field.name == "preset":
            text += f"; with --algorithm={kind.algorithm} {own}"
        elif own != used:
            text += f"; {kind.DEFAULT_PRESET} {own}"
    return f"[{text}]" if text else ""


def _used(kind: type[Config], name: str) -> str:
    """What a field is in a run of an algorithm where nothing is said."""
    if name == "preset":
        return kind.DEFAULT_PRESET
    return _shown(kind.PRESETS[kind.DEFAULT_PRESET].values.get(name, getattr(kind, name)))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def given_config(args: argparse.Namespace) -> dict[str, Any]:
    """The config fields that the command line gave."""
    return {name: getattr(args, name) for name in registry.config_fields() if hasattr(args, name)}


def given_data_config(args: argparse.Namespace) -> dict[str, Any]:
    """The config fields that the command line gave, with the data's paths absolute."""
    return with_absolute_paths(given_config(args))


def fail(program: str, message: str, code: int = 2) -> int:
    """Prints one sentence on standard error and returns the exit code."""
    sys.stdout.flush()
    text = message.strip()
    print(f"{program}: {text}", file=sys.stderr, flush=True)
    return code
