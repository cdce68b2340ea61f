"""The package's door: cheap to import, every public name behind it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tfpix2pix.data


def test_importing_pulls_in_neither_tensorflow_nor_pillow():
    program = "import sys, tfpix2pix.data; print({'tensorflow', 'PIL', 'numpy'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_reading_folders_needs_no_tensorflow():
    program = (
        "import sys; from tfpix2pix.data import open_dataset, read_image, FileSource;"
        "open_dataset('sample').describe(); print('tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_every_public_name_resolves():
    for name in tfpix2pix.data.__all__:
        assert getattr(tfpix2pix.data, name) is not None
        assert name in dir(tfpix2pix.data)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tfpix2pix.data.nonsense
