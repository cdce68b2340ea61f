"""Reading a workdir's files as they are, whole or not."""

from __future__ import annotations

import json
import math

import pytest

from tfpix2pix.report.records import number, read_records, series


def write_lines(folder, *lines):
    (folder / "metrics.jsonl").write_text("\n".join(lines))


def test_an_empty_folder_is_an_empty_run(tmp_path):
    records = read_records(tmp_path)
    assert (records.config, records.run, records.train, records.val) == ({}, {}, [], [])
    assert records.notes == records.problems == []


def test_lines_that_are_no_record_are_skipped(tmp_path):
    write_lines(
        tmp_path,
        '{"kind": "val", "step": 5, "l1": 0.5}',
        "",
        "[1, 2]",
        '{"kind": "val", "l1": 0.1}',
        '{"kind": "note", "step": 7}',
        '{"kind": "val", "step": 10, "l1": 0.4, "ps',
    )
    records = read_records(tmp_path)
    assert [record["step"] for record in records.val] == [5]
    assert records.notes == []


def test_of_a_step_done_twice_the_later_record_counts(tmp_path):
    write_lines(
        tmp_path,
        *(json.dumps({"kind": "train", "step": s, "seconds": t}) for s, t in
          [(10, 1), (20, 2), (30, 3), (20, 5), (30, 6)]),
    )  # fmt: skip
    steps, seconds = series(read_records(tmp_path).train, "seconds")
    assert steps.tolist() == [10, 20, 30]
    assert seconds.tolist() == [1, 5, 6]


def test_only_finite_numbers_are_drawn(tmp_path):
    values = ["NaN", "Infinity", "null", '"high"', "true", "1" + "0" * 400, "0.25"]
    write_lines(
        tmp_path,
        *(
            f'{{"kind": "train", "step": {i}, "losses": {{"l1": {v}}}}}'
            for i, v in enumerate(values)
        ),
    )
    steps, losses = series(read_records(tmp_path).train, "losses", "l1")
    assert steps.tolist() == [6]
    assert losses.tolist() == [0.25]
    assert math.isnan(number({"losses": 3}, "losses", "l1"))


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_a_damaged_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    records = read_records(tmp_path)
    assert records.config == {}
    assert "config.json" in records.problems[0]
