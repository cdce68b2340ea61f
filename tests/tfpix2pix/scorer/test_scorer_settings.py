"""What a scorer may be asked to become, and what a folder that holds one already answers."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.scorer.settings import FILE, Settings, continued
from tfpix2pix.scorer.training import config_of_settings

DATA = {"dataset": "/pairs", "label_palette": ""}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"size": 100}, "--size=100.*multiple of 32.*--size=96"),
        ({"size": 16}, "--size=16.*--size=32"),
        ({"size": 2048}, "--size=1024"),
        ({"size": 64, "load_size": 32}, "--load_size=32 is smaller than --size=64"),
        ({"init": "imagenet", "width": 16}, "--width=16"),
        ({"width": -1}, "--width=-1 is too small; the smallest allowed is 0"),
        ({"batch_size": 0}, "--batch_size=0 is too small; the smallest allowed is 1"),
        ({"balance": 1.5}, "--balance=1.5 is too large; the largest allowed is 1"),
        ({"learning_rate": float("nan")}, "--learning_rate=nan"),
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(values, expected):
    with pytest.raises(UserError, match=expected):
        Settings(DATA, **values)


def test_the_crop_jitter_is_the_papers():
    assert Settings(DATA, size=256).load_size == 286
    assert Settings(DATA, size=128).load_size == 143
    assert Settings(DATA, size=32, load_size=32).load_size == 32


def test_steps_count_before_epochs():
    resolved = {"width": 4, "init": "scratch", "learning_rate": 1e-3}
    for values, steps in (({"epochs": 3, "batch_size": 4}, 8), ({"epochs": 3, "steps": 5}, 5)):
        config = config_of_settings(Settings(DATA, **values, **resolved))
        assert config.total_steps(10) == steps


def test_a_new_or_empty_folder_holds_nothing(tmp_path):
    assert continued(tmp_path / "new", Settings(DATA)) is None
    assert continued(tmp_path, Settings(DATA)) is None


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="holds other files"):
        continued(tmp_path, Settings(DATA))
    with pytest.raises(UserError, match="is a file"):
        continued(tmp_path / "letter.txt", Settings(DATA))
    (tmp_path / FILE).write_text("{")
    with pytest.raises(UserError, match="cannot be used"):
        continued(tmp_path, Settings(DATA))
    (tmp_path / FILE).write_text(json.dumps({"colour": 1}))
    with pytest.raises(UserError, match="cannot be used"):
        continued(tmp_path, Settings(DATA))


def test_what_was_left_open_is_as_it_was_settled(tmp_path):
    asked = Settings(DATA, size=64)
    saved = dataclasses.replace(asked, init="scratch", width=16, learning_rate=1e-3)
    saved.save(tmp_path)
    assert continued(tmp_path, asked) == saved
    seldom = dataclasses.replace(asked, checkpoint_every=7)
    assert continued(tmp_path, seldom) == dataclasses.replace(saved, checkpoint_every=7)


def test_another_configuration_is_refused_with_what_differs(tmp_path):
    Settings(DATA, size=64, width=16, init="scratch").save(tmp_path)
    wanted = Settings({**DATA, "dataset": "/others"}, size=64, width=8, init="scratch")
    with pytest.raises(UserError) as caught:
        continued(tmp_path, wanted)
    text = str(caught.value)
    assert "--dataset /pairs there, /others asked for" in text
    assert "--width 16 there, 8 asked for" in text
    assert "--size" not in text
    assert "\n" not in text


def test_another_rate_is_taken_where_it_is_said(tmp_path):
    asked = Settings({})
    saved = dataclasses.replace(asked, init="scratch", width=16, learning_rate=1e-3)
    saved.save(tmp_path)
    wanted = dataclasses.replace(asked, learning_rate=1e-4, lr_schedule="linear")
    found = continued(tmp_path, wanted, {"learning_rate"})
    assert (found.learning_rate, found.lr_schedule) == (1e-4, "poly")
    found = continued(tmp_path, wanted, {"learning_rate", "lr_schedule"})
    assert (found.learning_rate, found.lr_schedule) == (1e-4, "linear")
    assert continued(tmp_path, asked, set()) == saved


@pytest.mark.parametrize("text", ["soon", "-1", "1.5epochs"])
def test_where_the_rate_falls_from_is_a_step_or_epochs(text):
    with pytest.raises(UserError, match=f"--lr_decay_from={text}: expected a step"):
        Settings({}, lr_decay_from=text)
