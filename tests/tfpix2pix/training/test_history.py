"""The record of a run: appended as it goes, cut back to where the run restarts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfpix2pix.training.history import History, read_history

RECORD = {
    "epoch": 0.5,
    "seconds": 1.5,
    "images_per_second": 4.0,
    "losses": {"generator": 31.0, "l1": 0.3},
    "discriminator": {"real": 0.6, "fake": 0.4},
}
RESULTS = {"l1": 0.3, "psnr": 15.0, "ssim": 0.2, "images": 10}


def write(workdir, steps, start=0) -> None:
    history = History(workdir, start)
    for step in steps:
        history.train(step, RECORD)
    history.close()


def steps(workdir) -> list[int]:
    return [record["step"] for record in read_history(workdir)]


def test_records_come_back_as_they_were_written(tmp_path):
    history = History(tmp_path, 0)
    history.train(1, RECORD)
    history.val(1, RESULTS)
    history.note(2, "one « word »")
    history.close()
    assert read_history(tmp_path) == [
        {"kind": "train", "step": 1, **RECORD},
        {"kind": "val", "step": 1, **RESULTS},
        {"kind": "note", "step": 2, "text": "one « word »"},
    ]


def test_a_record_is_in_the_file_at_once(tmp_path):
    history = History(tmp_path, 0)
    history.note(1, "now")
    assert steps(tmp_path) == [1]
    history.close()


def test_a_run_that_was_never_started_has_none(tmp_path):
    assert read_history(tmp_path) == []


def test_records_after_the_restart_are_dropped(tmp_path):
    write(tmp_path, [2, 4, 6, 8])
    write(tmp_path, [6, 8, 10], start=4)
    assert steps(tmp_path) == [2, 4, 6, 8, 10]


def test_a_restart_from_zero_drops_everything(tmp_path):
    write(tmp_path, [2, 4])
    write(tmp_path, [], start=0)
    assert steps(tmp_path) == []


def test_a_last_line_that_a_crash_cut_short_is_dropped(tmp_path):
    write(tmp_path, [2, 4])
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"kind": "train", "step": 6, "los')
    assert steps(tmp_path) == [2, 4]
    write(tmp_path, [6], start=4)
    assert steps(tmp_path) == [2, 4, 6]
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("line", ["[]", "{}", "3", '{"step": "two"}', ""])
def test_a_line_that_is_no_record_is_left_out(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
    assert steps(tmp_path) == [1, 2]


def test_the_event_files_hold_scalars_and_pictures(tmp_path):
    import tensorflow as tf

    history = History(tmp_path, 0)
    history.train(3, RECORD)
    history.val(4, RESULTS)
    history.images(4, {"x": np.zeros((2, 8, 8, 3), np.uint8)})
    history.flush()
    values = {}
    for file in (tmp_path / "events").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                values[value.tag] = (event.step, tf.make_ndarray(value.tensor))
    history.close()
    assert {tag: step for tag, (step, _) in values.items()} == {
        "losses/generator": 3,
        "losses/l1": 3,
        "discriminator/real": 3,
        "discriminator/fake": 3,
        "images_per_second": 3,
        "val/l1": 4,
        "val/psnr": 4,
        "val/ssim": 4,
        "val/x": 4,
    }
    assert float(values["losses/generator"][1]) == 31.0
    # Width, height, then the PNG files.
    assert len(values["val/x"][1]) == 2 + 2
    assert values["val/x"][1][2].startswith(b"\x89PNG")
