"""Splits by hash: a function of the name alone, the same on every machine and for ever."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import open_dataset
from tfpix2pix.data.layouts.splits import check_val_fraction, split_of


def share_of(stem: str) -> float:
    """The documented rule, worked in hexadecimal digits instead of bytes."""
    return int(hashlib.sha256(stem.encode()).hexdigest()[:16], 16) / 16**16


@given(st.text(min_size=1), st.floats(0, 0.99))
def test_the_documented_rule(stem, fraction):
    stem = stem.encode("utf-8", "ignore").decode()
    assert split_of(stem, fraction) == ("val" if share_of(stem) < fraction else "train")


def test_known_names():
    # sha256("a") = ca978112..., so "a" stands at 0xca978112 / 2**32 = 0.791...
    assert split_of("a", 0.79) == "train"
    assert split_of("a", 0.80) == "val"
    assert split_of("a", 0.0) == "train"


def test_a_name_that_is_no_utf8_has_a_split_too():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    expected = int(hashlib.sha256(b"caf\xe9").hexdigest()[:16], 16) / 16**16
    assert split_of(name, expected + 1e-9) == "val"
    assert split_of(name, expected - 1e-9) == "train"


def test_the_share_is_about_what_was_asked_for():
    names = [f"img_{i:05d}" for i in range(20_000)]
    share = sum(split_of(name, 0.1) == "val" for name in names) / len(names)
    assert abs(share - 0.1) < 4 * (0.1 * 0.9 / 20_000) ** 0.5  # four standard deviations


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 7, float("nan")])
def test_fractions_out_of_range(fraction):
    with pytest.raises(DataError, match="--val_fraction="):
        check_val_fraction(fraction)


def test_a_flat_folder_is_split_by_it(tmp_path, draw, save, loaded):
    folder = tmp_path / "flat"
    for index in range(30):
        save(folder / f"p{index}.png", draw(index, width=32))
    source = open_dataset(str(folder), val_fraction=0.3)
    val = {f"p{i}" for i in range(30) if share_of(f"p{i}") < 0.3}
    assert 3 <= len(val) <= 20
    assert set(loaded(source, "val")) == val
    assert set(loaded(source, "train")) == {f"p{i}" for i in range(30)} - val
    assert "split by name" in source.describe()
    # More images, and fewer: no other one moves.
    for index in range(30, 50):
        save(folder / f"p{index}.png", draw(index, width=32))
    (folder / "p3.png").unlink()
    again = open_dataset(str(folder), val_fraction=0.3)
    assert set(loaded(again, "val")) == {
        f"p{i}" for i in range(50) if i != 3 and share_of(f"p{i}") < 0.3
    }


def test_a_larger_share_only_adds(tmp_path, draw, save, loaded):
    for index in range(30):
        save(tmp_path / "flat" / f"p{index}.png", draw(index, width=32))
    splits = [
        set(loaded(open_dataset(str(tmp_path / "flat"), val_fraction=share), "val"))
        for share in (0.0, 0.2, 0.5)
    ]
    assert splits[0] == set()
    assert splits[0] < splits[1] < splits[2]


def test_no_training_pairs_are_left(tmp_path, draw, save, refusal):
    folder = tmp_path / "flat"
    name = next(f"n{i}" for i in range(1000) if share_of(f"n{i}") < 0.5)
    save(folder / f"{name}.png", draw(0, width=32))
    message = refusal(folder, val_fraction=0.5)
    assert "no pairs are left for training (found: 1 val)" in message
    assert "--val_fraction" in message
