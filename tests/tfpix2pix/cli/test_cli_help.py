"""The manual pages, and what the command says to a word that it does not know."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re

import pytest

import tfpix2pix
from tfpix2pix.algorithms.configs.pix2pix import PRESETS, Pix2PixConfig

FIELDS = dataclasses.fields(Pix2PixConfig)


@pytest.fixture
def manual(run_cli):
    """A manual page; asserts that it came without TensorFlow and without a word on stderr."""

    def read(*args: str) -> str:
        done = run_cli(*args, env={"PYTHONPROFILEIMPORTTIME": "1"})
        imported, said = [], []
        for line in done.stderr.splitlines():
            (imported if line.startswith("import time:") else said).append(line)
        names = [line.rsplit("|", 1)[-1].strip() for line in imported]
        assert done.returncode == 0
        assert said == []
        assert "tfpix2pix.cli.main" in names  # the list of imports works at all
        assert [name for name in names if name.split(".")[0] in ("tensorflow", "keras")] == []
        return done.stdout

    return read


@pytest.mark.parametrize("args", [(), ("--help",), ("-h",), ("help",)], ids=str)
def test_the_first_page_names_the_commands_and_the_presets(manual, args):
    page = manual(*args)
    for word in ("train", "translate", *PRESETS):
        assert re.search(rf"^  {word} ", page, re.MULTILINE), word


def test_the_page_of_train_has_every_field_of_the_config_with_its_default(manual):
    page = manual("train", "--help")
    for field in FIELDS:
        match = re.search(rf"^  --{field.name}[,= \n].*\n((?:      .*\n)*)", page, re.MULTILINE)
        assert match, field.name
        text = " ".join(match[1].split())
        if field.default == "":  # what is left empty has its meaning in the text
            continue
        shown = text[text.rindex("[") :]
        default = "quick" if field.name == "preset" else field.default
        expected = str(default).lower() if isinstance(default, bool) else str(default)
        assert expected in shown, f"{field.name}: {shown}"
        if field.name in PRESETS["quick"].values:
            assert f"quick {PRESETS['quick'].values[field.name]}" in shown


def test_the_page_of_train_starts_with_the_flags_that_matter(manual):
    page = manual("train", "--help")
    names = ("workdir", "dataset", "lambda_l1", "log_every")
    places = [page.index(f"  --{name}") for name in names]
    assert places == sorted(places)


def test_the_page_of_translate_names_its_flags(manual):
    page = manual("translate", "--help")
    for name in (
        "workdir",
        "input",
        "output",
        "checkpoint",
        "seed",
        "deterministic",
        "side_by_side",
    ):
        assert f"  --{name}" in page


def test_no_line_of_a_page_is_wider_than_a_terminal(manual):
    for args in ((), ("train", "--help"), ("translate", "--help")):
        assert max(map(len, manual(*args).splitlines())) <= 100


def test_version(run_cli, without_tensorflow):
    done = run_cli("--version", env=without_tensorflow, fresh=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"tfpix2pix {tfpix2pix.__version__}\n"


def test_the_command_is_installed():
    scripts = importlib.metadata.entry_points(group="console_scripts", name="tfpix2pix")
    assert {script.value for script in scripts} == {"tfpix2pix.cli.main:run"}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("trian",), "did you mean 'train'"),
        (("train", "--dropuot=0.1"), "did you mean '--dropout'"),
        (("train", "--preset=facade"), "did you mean 'facades'"),
        (("train", "--dataset=sampel"), "did you mean 'sample'"),
        (("train", "--loss=l1+cgn"), "did you mean 'l1+cgan'"),
        (("train", "--generator=unte"), "did you mean 'unet'"),
        (("translate", "--side-by-side"), "did you mean '--side_by_side'"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_an_unknown_word_is_answered_with_the_nearest_one(refused, args, expected):
    assert expected in refused(*args)


def test_a_word_like_no_other_is_answered_with_the_list(refused):
    said = refused("qqq")
    assert "did you mean" not in said
    assert "train, translate" in said


def test_an_argument_that_is_no_flag_is_refused(refused):
    assert "unexpected argument 'somewhere'" in refused("train", "somewhere")


def test_a_flag_before_the_command_is_refused(refused):
    assert "the command comes first" in refused("--steps=3", "train")


def test_an_abbreviated_flag_is_not_guessed(refused):
    assert "unknown flag --step" in refused("train", "--step=3")
