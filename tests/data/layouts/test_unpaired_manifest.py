"""Tables and lists of images of two sides that are no pairs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import SPLITS, UnpairedError, open_dataset

A, B = [f"a{k}.png" for k in range(3)], [f"b{k}.png" for k in range(2)]


@pytest.fixture
def table(tmp_path):
    """A function that writes a table beside three images a0.png, ... and two b0.png, ... ."""
    for number, name in enumerate((*A, *B)):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / name)

    def write(text: str, name: str = "set.csv") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def opened(table: str, **fields):
    return open_dataset(table, data="unpaired", **{"val_fraction": 0, **fields})


def names(source, split="train") -> tuple[list[str], list[str]]:
    x, y = (
        [of.image_name(split, k) for k in range(of.count(split))] for of in (source.x, source.y)
    )
    return x, y


def lines(head: str, rows) -> str:
    return "\n".join([head, *rows]) + "\n"


STEMS = (["a0", "a1", "a2"], ["b0", "b1"])


@pytest.mark.parametrize(
    ("head", "a", "b"),
    [
        ("path,side", "A", "B"),
        ("side,file", "a", "b"),
        ("domain,image", "input", "target"),
        ("filename,kind", "source", "target"),
    ],
)
def test_a_column_names_the_side(table, head, a, b):
    swapped = head.startswith(("side", "domain"))
    rows = [(f"{a},{f}" if swapped else f"{f},{a}") for f in A]
    rows += [(f"{b},{f}" if swapped else f"{f},{b}") for f in B]
    assert names(opened(table(lines(head, rows)))) == STEMS
    back = opened(table(lines(head, rows)), direction="BtoA")
    # Named inputs are inputs whatever the direction, as in a table of pairs.
    assert names(back) == (STEMS[::-1] if a.casefold() == "a" else STEMS)


def test_splits_are_named_or_follow_from_names(table):
    rows = ["a0.png,A,train", "a1.png,A,test", "a2.png,A,train", "b0.png,B,train", "b1.png,B,test"]
    source = opened(table(lines("path,side,split", rows)))
    assert [source.sides(split) for split in SPLITS] == [(2, 1), (0, 0), (1, 1)]


def test_two_columns_of_unlike_lengths(table):
    source = opened(table("input,target\na0.png,b0.png\na1.png,b1.png\na2.png,\n"))
    assert names(source) == STEMS
    with pytest.raises(DataError, match="line 4 has nothing in 'target'"):
        open_dataset(table("input,target\na0.png,b0.png\na1.png,b1.png\na2.png,\n"))


@pytest.mark.parametrize(
    "content",
    [
        {"A": A, "B": B},
        {"trainA": A, "trainB": B},
        [{"path": f, "side": f[0].upper()} for f in (*A, *B)],
    ],
)
def test_json_of_two_lists(table, content):
    assert names(opened(table(json.dumps(content), "set.json"))) == STEMS


def test_columns_by_split_and_side(table):
    content = {"trainA": A[:2], "trainB": B[:1], "testA": A[2:], "testB": B[1:]}
    source = opened(table(json.dumps(content), "set.json"))
    assert [source.sides(split) for split in SPLITS] == [(2, 1), (0, 0), (1, 1)]
    with pytest.raises(DataError, match=r"columns of one side alone \(trainA\)"):
        opened(table(json.dumps({"trainA": A}), "set.json"))


def test_two_lists(table):
    a, b = table("\n".join(A) + "\n", "a.txt"), table(lines("path", B), "b.csv")
    source = opened("", input_dir=a, target_dir=b)
    assert names(source) == STEMS
    assert f"--input_dir={a} --target_dir={b}" in source.name
    split = table(lines("path,split", ["b0.png,train", "b1.png,val"]), "b.csv")
    assert opened("", input_dir=a, target_dir=split).sides("train") == (3, 1)


def test_a_table_of_pairs_is_one(table):
    pairs = table("input,target\na0.png,b0.png\na1.png,b1.png\n")
    assert opened(pairs).paired("val")
    assert not opened(pairs).paired("train")


def test_what_pairs_need_is_said_of_a_table_of_sides(table):
    sides = table(lines("path,side", [f"{f},{f[0]}" for f in (*A, *B)]))
    with pytest.raises(UnpairedError) as caught:
        open_dataset(sides)
    assert "--algorithm=cyclegan learns from them" in str(caught.value)
    assert "the columns input and target" in str(caught.value)


def test_what_is_not_there_or_on_no_side_is_named(table):
    gone = opened(table(lines("path,side", ["a0.png,A", "gone.png,A", "b0.png,B"])))
    with pytest.raises(DataError, match=r"(?s)named in the manifest, but not there.*gone\.png"):
        gone.check()
    with pytest.raises(DataError, match="line 3 has 'C' in 'side'; expected a or b"):
        opened(table(lines("path,side", ["a0.png,A", "a1.png,C", "b0.png,B"])))
    with pytest.raises(DataError, match="no target images are left for training"):
        opened(table(lines("path,side", ["a0.png,A", "a1.png,A"])))
