"""What C++ code says on the process's error stream, whatever ``sys.stderr`` is meanwhile."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A notebook puts an object of its own in the place of sys.stderr.
CODE = """
import io, os, sys
from tfpix2pix.base.quiet import error_stream_aside
sys.stderr = {stream}
try:
    with error_stream_aside():
        os.write(2, b"greetings from C++\\n")
        {then}
except ValueError:
    pass
os.write(2, b"after\\n")
print(sys.stderr.getvalue() if isinstance(sys.stderr, io.StringIO) else "", end="")
"""


def run(stream: str, then: str) -> tuple[str, str]:
    code = CODE.format(stream=stream, then=then)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("stream", ["sys.stderr", "io.StringIO()", "None"])
def test_it_is_set_aside(stream):
    assert run(stream, "pass") == ("", "after\n")


def test_with_an_error_it_is_said_after_all():
    assert run("sys.stderr", "raise ValueError") == ("", "greetings from C++\nafter\n")
    assert run("io.StringIO()", "raise ValueError") == ("greetings from C++\n", "after\n")
