"""Archives of arrays: no larger in memory than what is stored, and no objects."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from tfpix2pix.base.archives import load_arrays


def archive(content: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as made:
        for name, data in content.items():
            made.writestr(name, data)
    return file


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    facts = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_was_saved_is_read(tmp_path, save):
    arrays = {
        "a/b": np.arange(6.0).reshape(2, 3),
        "names": np.array(["x", "\u00e9"]),
        "n": np.int8(3),
    }
    save(tmp_path / "a.npz", **arrays)
    found = load_arrays(tmp_path / "a.npz", 10_000)
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    "data",
    [
        header((10**12,)) + bytes(8),
        header((10**6, 10**6, 10**6)) + bytes(8),
        header((2,)) + bytes(4),
        header((2,)) + bytes(12),
        header((-2,)) + bytes(8),
        header((1,), "|O") + bytes(8),
    ],
)
def test_an_array_that_claims_another_size_is_refused(data):
    with pytest.raises(ValueError, match=r"claims|shape|invalid|cannot"):
        load_arrays(archive({"a.npy": data}), 10**9)


def test_an_archive_that_unpacks_to_too_much_is_refused():
    bomb = archive({"a.npy": header((10**7,)) + bytes(4 * 10**7)}, zipfile.ZIP_DEFLATED)
    assert len(bomb.getvalue()) < 50_000
    with pytest.raises(ValueError, match="unpacks to more than 1,000,000 bytes"):
        load_arrays(bomb, 10**6)


@pytest.mark.parametrize("data", [b"", b"PK", b"\x93NUMPY"])
def test_what_is_no_archive_is_refused(data):
    with pytest.raises((ValueError, zipfile.BadZipFile, EOFError)):
        load_arrays(io.BytesIO(data), 1000)
