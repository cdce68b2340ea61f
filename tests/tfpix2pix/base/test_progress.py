"""Progress on a terminal and on a pipe, under a clock of the test's own."""

from __future__ import annotations

import io
import re
import sys
import types

import pytest
from rich.console import Console

from tfpix2pix.base import progress
from tfpix2pix.base.progress import ProgressLine, StepLine, duration


@pytest.fixture
def clock(monkeypatch):
    """`clock.now` is the time that the progress line sees, in seconds."""
    clock = types.SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def pipe():
    return Console(file=io.StringIO(), force_terminal=False, highlight=False, soft_wrap=True)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)


def lines(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def screen(console: Console) -> list[str]:
    """What a person sees: the lines left after the cursor's movements, without colours."""
    rows, row, column = [""], 0, 0
    text = console.file.getvalue()
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", text):
        if token == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif token == "\r":
            column = 0
        elif token.startswith("\x1b"):
            if token.endswith("A"):
                row -= int(token[2:-1] or 1)
            elif token.endswith("K"):
                rows[row] = ""
        else:
            kept = rows[row].ljust(column)
            rows[row] = kept[:column] + token + kept[column + len(token) :]
            column += len(token)
    return [row.rstrip() for row in rows if row.strip()]


# === On a pipe ===


def test_a_pipe_gets_plain_lines_at_intervals(clock, pipe):
    with ProgressLine("training", 1000, "step", console=pipe) as line:
        for step in range(1, 36):  # one a second
            clock.now += 1
            line.show(step, "L1 0.5")
    # 970 steps are left after 30 of one second each: 16 minutes and 10 seconds.
    assert lines(pipe) == [
        "training: step 10/1,000  L1 0.5  ETA 16:30",
        "training: step 20/1,000  L1 0.5  ETA 16:20",
        "training: step 30/1,000  L1 0.5  ETA 16:10",
    ]


def test_what_takes_less_than_an_interval_prints_nothing_on_a_pipe(clock, pipe):
    with ProgressLine("translating", 3, "image", console=pipe) as line:
        for done in range(1, 4):
            clock.now += 3
            line.show(done)
    assert lines(pipe) == []


def test_a_pipe_gets_no_control_characters(clock, pipe):
    with ProgressLine("training", 10, "step", console=pipe) as line:
        clock.now += 11
        line.show(1, "[red]x[/red] [3, 4]")
        line.say("saved [bold]it[/bold]")
    assert lines(pipe) == [
        "training: step 1/10  [red]x[/red] [3, 4]  ETA 1:39",
        "saved [bold]it[/bold]",
    ]


def test_a_long_line_on_a_pipe_is_not_broken(clock, pipe):
    with ProgressLine("training", 10, "step", console=pipe) as line:
        line.say("word " * 100)
    assert lines(pipe) == ["word " * 100]


def test_a_line_is_due_when_its_interval_is_over(clock, pipe):
    line = ProgressLine("training", 10, "step", console=pipe)
    clock.now += 9.9
    assert not line.due
    clock.now += 0.1
    assert line.due
    line.show(1)
    assert not line.due


# === On a terminal ===


def test_a_terminal_has_one_live_line(clock, terminal):
    with ProgressLine("training", 1000, "step", console=terminal) as line:
        for step in (100, 200, 300):
            clock.now += 10
            line.show(step, "L1 0.5")
            line.say(f"saved {step}")
        line._live.refresh()
        seen = screen(terminal)
    assert seen[:-1] == ["saved 100", "saved 200", "saved 300"]
    assert seen[-1].startswith("training")
    assert "30%" in seen[-1]
    # 30 seconds for 300 steps, 70 for the rest.
    assert "step 300/1,000  L1 0.5  ETA 1:10" in seen[-1]


def test_the_live_line_goes_when_all_is_done(clock, terminal):
    with ProgressLine("training", 10, "step", console=terminal) as line:
        line.show(5)
        line.say("saved [bold]it[/bold]")
    assert screen(terminal) == ["saved [bold]it[/bold]"]


def test_the_live_line_goes_on_an_error_too(clock, terminal):
    def work():
        with ProgressLine("training", 10, "step", console=terminal) as line:
            line.show(5)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        work()
    assert screen(terminal) == []
    written = terminal.file.getvalue()
    shows, hides = written.rindex("\x1b[?25h"), written.rindex("\x1b[?25l")
    assert shows > hides, "the cursor stays hidden"


def test_a_live_line_is_due_at_once_and_then_twice_a_second(clock, terminal):
    line = ProgressLine("training", 10, "step", console=terminal)
    assert line.due
    line.show(1)
    clock.now += 0.4
    assert not line.due
    clock.now += 0.1
    assert line.due


# === In a notebook ===


@pytest.fixture
def cell(monkeypatch):
    """A notebook's console, and under `outputs` what its cell shows: a list of texts."""
    outputs: list[str] = []

    class Handle:
        def __init__(self, data):
            self._place = len(outputs)
            outputs.append(data["text/plain"])

        def update(self, data, raw):
            assert raw
            outputs[self._place] = data["text/plain"]

    def display(data, raw, display_id):
        assert raw
        assert display_id
        return Handle(data)

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    console = Console(file=io.StringIO(), force_jupyter=True)
    return types.SimpleNamespace(console=console, outputs=outputs)


def test_a_notebook_has_one_line_that_is_drawn_anew(clock, cell):
    with ProgressLine("training", 1000, "step", console=cell.console) as line:
        for step in (100, 200, 300):
            clock.now += 10
            line.show(step, "L1 0.5")
            line.say(f"saved [{step}]")
        assert cell.outputs == [
            "training  ██████░░░░░░░░░░░░░░  30%  step 300/1,000  L1 0.5  ETA 1:10"
        ]
        line.show(301)
    assert cell.outputs == ["training: step 301/1,000 in 0:30"]
    assert lines(cell.console) == ["saved [100]", "saved [200]", "saved [300]"]


def test_what_is_done_at_once_leaves_nothing_in_a_notebook(clock, cell):
    with ProgressLine("checking", 3, "pair", console=cell.console) as line:
        for done in range(1, 4):
            clock.now += 0.1
            line.show(done)
    assert (cell.outputs, lines(cell.console)) == ([], [])


# === Steps ===


def test_steps_are_counted(clock, monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    with StepLine("exporting") as steps:
        steps.say("first")
        steps.start(10)
        clock.now += 4
        steps.step("wrote onnx", 4)
        steps.doing("writing tflite")
    assert capsys.readouterr().out.splitlines() == [
        "first",
        "exporting: step 0/10  ETA -:--",
        "exporting: step 4/10  wrote onnx  ETA 0:06",
        "exporting: step 4/10  writing tflite  ETA 0:06",
    ]


# === ETA ===


def test_eta_is_what_is_left_at_the_mean_speed(clock, pipe):
    line = ProgressLine("training", 100, "step", console=pipe)
    clock.now += 60
    assert line.eta(20) == "4:00"
    assert line.eta(100) == "0:00"


def test_eta_of_a_continued_run_counts_its_own_steps(clock, pipe):
    line = ProgressLine("training", 100, "step", done=50, console=pipe)
    clock.now += 60
    # Ten steps in a minute, forty left.
    assert line.eta(60) == "4:00"


def test_eta_is_unknown_before_the_first_step(clock, pipe):
    line = ProgressLine("training", 100, "step", done=50, console=pipe)
    clock.now += 60
    assert line.eta(50) == "-:--"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (9, "0:09"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599.4, "59:59"),
        (3599.6, "1:00:00"),
        (3661, "1:01:01"),
        (360_000, "100:00:00"),
    ],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_say_prints_a_line(capsys):
    progress.say("done [x]")
    assert capsys.readouterr().out == "done [x]\n"
