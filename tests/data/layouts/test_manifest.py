"""Manifests: CSV, TSV and JSON lines, as people and their programs write them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from tfpix2pix.data import open_dataset


@pytest.fixture
def images(tmp_path, draw, save):
    """The folder of a manifest, with four inputs a0.png ... and targets b0.tif ... below it."""
    for index in range(4):
        save(tmp_path / "in" / f"a{index}.png", draw(index))
        save(tmp_path / "out" / f"b{index}.tif", draw(10 + index))
    return tmp_path


def assert_pairs(pairs, draw, numbers) -> None:
    assert list(pairs) == [f"a{n}" for n in numbers]
    for number in numbers:
        x, y = pairs[f"a{number}"]
        np.testing.assert_array_equal(x, draw(number))
        np.testing.assert_array_equal(y, draw(10 + number))


def table(rows, separator: str) -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


ROWS = [("input", "target", "split"), *((f"in/a{i}.png", f"out/b{i}.tif", "train") for i in (2, 0))]


def json_lines(rows) -> str:
    head, *rest = rows
    return "".join(json.dumps(dict(zip(head, row, strict=True))) + "\n" for row in rest)


# === What is read ===


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", table(ROWS, ",")),
        ("M.CSV", table(ROWS, ", ")),
        ("m.tsv", table(ROWS, "\t")),
        ("m.jsonl", json_lines(ROWS)),
        ("m.ndjson", "\n" + json_lines(ROWS).replace("\n", "\r\n\r\n")),
        ("bom.csv", "\ufeff" + table(ROWS, ",")),
        ("bom.jsonl", "\ufeff" + json_lines(ROWS)),
        ("crlf.csv", table(ROWS, ",").replace("\n", "\r\n")),
        ("no_end.csv", table(ROWS, ",").rstrip("\n")),
        ("quoted.csv", table([[f'"{cell}"' for cell in row] for row in ROWS], ",")),
    ],
)
def test_every_form(images, draw, loaded, name, text):
    (images / name).write_text(text, encoding="utf-8", newline="")
    source = open_dataset(str(images / name))
    assert_pairs(loaded(source), draw, [2, 0])  # in the order of the lines
    source.check()
    assert source.notes() == []
    assert source.describe() == "2 train pairs of 16x12 (manifest, AtoB; RGB, 8 bit)"


def test_commas_quotes_and_other_letters_in_names(images, draw, save, loaded):
    names = ["a, b.png", 'say "a".png', "größe ✓.png"]
    for index, name in enumerate(names):
        save(images / name, draw(index))
    quoted = ['"{}"'.format(name.replace('"', '""')) for name in names]
    text = "input,target,split\n" + "".join(f"{q},in/a0.png,train\n" for q in quoted)
    (images / "m.csv").write_text(text, encoding="utf-8")
    pairs = loaded(open_dataset(str(images / "m.csv")))
    assert list(pairs) == ["a, b", 'say "a"', "größe ✓"]
    np.testing.assert_array_equal(pairs["größe ✓"][0], draw(2))


def test_absolute_paths_other_columns_and_keys(images, draw, loaded):
    rows = [("id", "photo", "label", "split")]
    rows += [(str(i), str(images / f"in/a{i}.png"), f"out/b{i}.tif", "train") for i in range(2)]
    (images / "m.csv").write_text(table(rows, ","))
    source = open_dataset(str(images / "m.csv"), input_key="photo", target_key="label")
    assert_pairs(loaded(source), draw, [0, 1])
    # The columns say what is input and target, so that a direction has nothing to turn.
    source = open_dataset(
        str(images / "m.csv"), input_key="photo", target_key="label", direction="BtoA"
    )
    assert_pairs(loaded(source), draw, [0, 1])
    source = open_dataset(str(images / "m.csv"), input_key="label", target_key="photo")
    np.testing.assert_array_equal(loaded(source)["b1"][0], draw(11))


def test_paths_are_relative_to_the_manifest(images, draw, loaded, monkeypatch):
    (images / "lists").mkdir()
    rows = [("input", "target", "split"), ("../in/a1.png", "../out/b1.tif", "train")]
    (images / "lists" / "m.csv").write_text(table(rows, ","))
    monkeypatch.chdir(images / "out")
    assert_pairs(loaded(open_dataset("../lists/m.csv")), draw, [1])


def test_splits_by_their_names(images, loaded):
    names = ["train", "Validation", "valid", "dev", "TEST", "training", "val"]
    rows = [("input", "target", "split"), *(("in/a0.png", "out/b0.tif", name) for name in names)]
    (images / "m.csv").write_text(table(rows, ","))
    source = open_dataset(str(images / "m.csv"))
    assert [source.count(split) for split in ("train", "val", "test")] == [2, 4, 1]


def test_without_a_split_the_name_decides(images, save, draw, loaded):
    for index in range(20):
        save(images / "in" / f"n{index}.png", draw(index))
    rows = [("input", "target"), *((f"in/n{i}.png", "out/b0.tif") for i in range(20))]
    (images / "m.tsv").write_text(table(rows, "\t"))
    source = open_dataset(str(images / "m.tsv"), val_fraction=0.3)
    val = {
        f"n{i}"
        for i in range(20)
        if int(hashlib.sha256(f"n{i}".encode()).hexdigest()[:16], 16) / 16**16 < 0.3
    }
    assert set(loaded(source, "val")) == val
    assert source.count("train") == 20 - len(val)
    # Lines of which only some name one.
    lines = [{"input": f"in/n{i}.png", "target": "out/b0.tif"} for i in range(20)]
    lines[0]["split"] = "test"
    (images / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = open_dataset(str(images / "m.jsonl"), val_fraction=0.3)
    assert set(loaded(source, "test")) == {"n0"}
    assert set(loaded(source, "val")) == val - {"n0"}


def test_identity_follows_the_files(images):
    (images / "m.csv").write_text(table(ROWS, ","))
    identity = open_dataset(str(images / "m.csv")).identity()
    assert identity["layout"] == "manifest"
    assert identity["counts"] == {"train": 2}
    (images / "m.csv").write_text(table(ROWS[:2], ","))
    assert open_dataset(str(images / "m.csv")).identity() != identity


# === What is refused ===


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "", "it has no rows; expected one line for each pair"),
        ("m.csv", "input,target\n", "it has no rows"),
        ("m.jsonl", "\n\n", "it has no rows"),
        (
            "m.csv",
            "photo,target\nin/a0.png,out/b0.tif\n",
            "line 2 has no column 'input' (found: photo, target); name the column with --input_key",
        ),
        (
            "m.csv",
            "input,label\nin/a0.png,out/b0.tif\n",
            "line 2 has no column 'target' (found: input, label); name the column with "
            "--target_key",
        ),
        ("m.csv", "input,target\nin/a0.png\n", "line 2 has nothing in 'target'; expected the path"),
        ("m.csv", "input,target\n , out/b0.tif\n", "line 2 has nothing in 'input'"),
        ("m.jsonl", '{"input": "in/a0.png"}\n', "line 1 has no column 'target' (found: input)"),
        ("m.jsonl", '{"input": 3, "target": "x"}\n', "line 1 has 3 in 'input'; expected the path"),
        ("m.jsonl", '{"input": null, "target": "x"}\n', "line 1 has nothing in 'input'"),
        ("m.jsonl", "in/a0.png out/b0.tif\n", "line 1 is not JSON"),
        ("m.jsonl", '["in/a0.png", "out/b0.tif"]\n', "line 1 holds no JSON object"),
        (
            "m.csv",
            "input,target,split\nin/a0.png,out/b0.tif,holdout\n",
            "line 2 names the split 'holdout'; expected train, val or test",
        ),
    ],
)
def test_manifests_that_cannot_be_used(images, refusal, name, text, said):
    (images / name).write_text(text)
    message = refusal(images / name)
    assert message.startswith(f"--dataset={images / name}: ")
    assert said in message
    assert "\n" not in message


def test_a_manifest_that_is_no_text(images, refusal):
    (images / "m.csv").write_bytes(b"input,target\n\xff\xfe\x00,b\n")
    assert "it cannot be read as UTF-8 text" in refusal(images / "m.csv")


def test_missing_files_are_listed_with_their_lines(images, refusal):
    rows = [("input", "target", "split"), ("in/a0.png", "out/b0.tif", "train")]
    rows += [(f"in/gone{i}.png", "out/b0.tif", "train") for i in range(11)]
    rows += [("in/a1.png", "/nowhere/b.tif", "val")]
    (images / "m.csv").write_text(table(rows, ","))
    message = refusal(images / "m.csv")
    assert "12 images cannot be used" in message.splitlines()[0]
    assert "  12 named in the manifest, but not there:\n    line 3: in/gone0.png" in message
    assert "    and 2 more" in message


def test_no_file_is_there(images, refusal):
    (images / "m.csv").write_text("input,target\ngone.png,out/b0.tif\n")
    message = refusal(images / "m.csv")
    assert "1 image cannot be used" in message
    assert "line 2: gone.png" in message


def test_other_files_are_no_manifest(images, refusal):
    (images / "m.txt").write_text("input,target\n")
    assert "a manifest (.csv, .tsv, .jsonl, .ndjson) was expected" in refusal(images / "m.txt")
