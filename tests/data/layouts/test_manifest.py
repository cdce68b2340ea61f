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
    assert "it cannot be read as text (it holds zero bytes)" in refusal(images / "m.csv")


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
    (images / "m.xlsx").write_bytes(b"PK")
    message = refusal(images / "m.xlsx")
    assert "a manifest (.csv, .tsv, .jsonl, .ndjson, .json, .txt) was expected" in message
    assert "save a spreadsheet as CSV" in message


# === As people's programs write them ===


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("semicolons.csv", table(ROWS, ";")),
        ("tabs.csv", table(ROWS, "\t")),
        ("bars.txt", table(ROWS, "|")),
        ("spaces.txt", table(ROWS, " ")),
        ("excel.csv", "sep=;\r\n" + table(ROWS, ";").replace("\n", "\r\n")),
        ("mac.csv", table(ROWS, ",").replace("\n", "\r")),
        ("backslashes.csv", table(ROWS, ",").replace("/", "\\")),
        ("names.csv", table([(" Input", "TARGET ", "Split"), *ROWS[1:]], ",")),
        ("common.csv", table([("Image Path", "mask_path", "SUBSET"), *ROWS[1:]], ",")),
        ("no_names.csv", table(ROWS[1:], ",")),
        ("remarks.csv", "# mine\n\n" + table(ROWS, ",").replace("\n", "\n# more\n,,\n")),
        ("list.json", json.dumps([dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]])),
        (
            "by_split.json",
            json.dumps({"train": [dict(zip(ROWS[0][:2], r, strict=False)) for r in ROWS[1:]]}),
        ),
        (
            "columns.json",
            json.dumps({k: [row[i] for row in ROWS[1:]] for i, k in enumerate(ROWS[0])}),
        ),
        (
            "elsewhere.csv",
            table(ROWS, ",").replace("in/", "/mnt/x/in/").replace("out/", "D:\\out\\"),
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_as_programs_write_them(images, draw, loaded, name, text, encoding):
    (images / name).write_bytes(text.encode(encoding))
    source = open_dataset(str(images / name))
    source.check()
    assert_pairs(loaded(source), draw, [2, 0])


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp1251"])
def test_the_encoding_is_the_one_whose_files_are_there(images, draw, save, loaded, encoding):
    name = "дом" if encoding == "cp1251" else "größe"
    save(images / f"{name}.png", draw(7))
    text = f"input,target,split\n{name}.png,out/b0.tif,train\n"
    (images / "m.csv").write_bytes(text.encode(encoding))
    source = open_dataset(str(images / "m.csv"))
    np.testing.assert_array_equal(loaded(source)[name][0], draw(7))
    assert f"read as {encoding}" in " ".join(source.notes())


def test_accents_in_the_other_form(images, draw, save, loaded):
    save(images / "gro\u0308ße.png", draw(7))
    (images / "m.csv").write_text("input,target,split\ngr\u00f6ße.png,out/b0.tif,train\n")
    ((x, _),) = loaded(open_dataset(str(images / "m.csv"))).values()
    np.testing.assert_array_equal(x, draw(7))


def test_two_moved_names_never_come_to_one_file(tmp_path, draw, save, refusal):
    save(tmp_path / "0.png", draw(0))
    (tmp_path / "m.csv").write_text("input,target,split\n/a/0.png,/b/0.png,train\n")
    assert "line 2: /b/0.png" in refusal(tmp_path / "m.csv")


def test_names_with_the_separator_need_quotes(images, refusal):
    (images / "m.csv").write_text("input,target\na, b.png,out/b0.tif\n")
    message = refusal(images / "m.csv")
    assert "line 2 has 3 cells where the first line has 2" in message


# === Splits, which are never ignored ===


@pytest.mark.parametrize(
    ("column", "values", "counts"),
    [
        ("Set", ["Training", "Validation", "testing", "TRAIN"], [2, 1, 1]),
        ("my part", ["train", "val", "test", "train"], [2, 1, 1]),
        ("is_val", ["0", "1", "False", "true"], [2, 2, 0]),
        ("is_train", ["1", "0", "yes", "no"], [2, 2, 0]),
        ("test", ["0", "1", "0", "1"], [2, 0, 2]),
        ("Holdout", ["0", "1", "0", "1"], [2, 0, 2]),
    ],
)
def test_columns_that_look_like_a_split(images, column, values, counts):
    rows = [("input", "target", column)]
    rows += [(f"in/a{i}.png", f"out/b{i}.tif", value) for i, value in enumerate(values)]
    (images / "m.csv").write_text(table(rows, ","))
    source = open_dataset(str(images / "m.csv"), val_fraction=0)
    assert [source.count(split) for split in ("train", "val", "test")] == counts


@pytest.mark.parametrize(
    ("column", "values"),
    [("fold", "0123"), ("set", "abcd"), ("usage", ["train", "PrivateTest", "x", "y"])],
)
def test_splits_that_are_not_understood_are_refused(images, refusal, column, values):
    rows = [("input", "target", column)]
    rows += [(f"in/a{i}.png", f"out/b{i}.tif", value) for i, value in enumerate(values)]
    (images / "m.csv").write_text(table(rows, ","))
    message = refusal(images / "m.csv", val_fraction=0)
    assert f"in '{column}', which looks like a split" in message
    assert "--split_key=none" in message
    source = open_dataset(str(images / "m.csv"), val_fraction=0, split_key="none")
    assert source.count("train") == 4


def test_splits_that_disagree_are_refused(images, refusal):
    (images / "m.csv").write_text(
        "input,target,split,is_val\nin/a0.png,out/b0.tif,train,1\nin/a1.png,out/b1.tif,train,0\n"
    )
    assert "line 2 is train in 'split' and val in 'is_val'" in refusal(images / "m.csv")
    source = open_dataset(str(images / "m.csv"), split_key="is_val")
    assert source.count("val") == 1


def test_folds_beside_a_split(images):
    (images / "m.csv").write_text(
        "input,target,split,fold\nin/a0.png,out/b0.tif,train,1\nin/a1.png,out/b1.tif,val,2\n"
    )
    source = open_dataset(str(images / "m.csv"))
    assert (source.count("train"), source.count("val")) == (1, 1)
    assert "the column 'split' is the split; not used: fold" in source.notes()


# === Channels in several files ===


def test_columns_are_stacked_as_channels(tmp_path, draw, save, refusal):
    for name, seed, channels in (("red", 1, 1), ("nir", 2, 1), ("rgb", 3, 3), ("y", 4, 1)):
        save(tmp_path / f"{name}.tif", draw(seed, channels, "uint16" if name == "nir" else "uint8"))
    (tmp_path / "m.csv").write_text("RED;nir;rgb;mask;split\nred.tif;nir.tif;rgb.tif;y.tif;train\n")
    options = {"input_key": "red,NIR,rgb", "target_key": "mask"}
    source = open_dataset(str(tmp_path / "m.csv"), **options)
    source.check()
    x, y = source.load("train", 0)
    assert (x.shape, x.dtype, y.shape) == ((12, 16, 5), np.uint16, (12, 16, 1))
    np.testing.assert_array_equal(x[..., :1], draw(1, 1) * np.uint16(257))
    np.testing.assert_array_equal(x[..., 1:2], draw(2, 1, "uint16"))
    np.testing.assert_array_equal(x[..., 2:], draw(3, 3) * np.uint16(257))
    save(tmp_path / "nir.tif", draw(2, 1, "uint16", height=14))
    assert "nir.tif: 16x14 (width x height), where" in refusal(tmp_path / "m.csv", **options)
    assert "no column 'swir' (found: RED, nir, rgb" in refusal(
        tmp_path / "m.csv", input_key="red,swir", target_key="mask"
    )
