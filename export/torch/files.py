"""State dicts in files: ``.pth`` as PyTorch saves them, and ``.safetensors``.

No code of a file is ever run: ``.pth`` is read with ``weights_only=True``, which knows tensors and
containers and refuses everything else. A few bytes of a ``.pth`` can claim tensors of any size (of
one number seen a billion times, or packed), so what is claimed must be no more than the file holds.
"""

from __future__ import annotations

import importlib.util
import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import write_bytes

if TYPE_CHECKING:
    import torch

TORCH_SUFFIXES = (".pth", ".pt")
SAFETENSORS_SUFFIX = ".safetensors"


def check_readable(path: str | os.PathLike[str], flag: str) -> Path:
    """The path, after refusing in a moment what cannot be a state dict.

    Raises:
      UserError: no such file, another suffix, or the package that reads it is missing.
    """
    path = Path(path).expanduser()
    check_suffix(path, flag)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise UserError(f"{flag}={path} {what}; give a file of weights (.pth or .safetensors)")
    return path


def check_suffix(path: Path, flag: str) -> None:
    """Refuses names of other formats, and formats whose package is missing."""
    suffix = path.suffix.lower()
    if suffix not in (*TORCH_SUFFIXES, SAFETENSORS_SUFFIX):
        raise UserError(
            f"{flag}={path}: its name ends in {suffix or 'nothing'}, expected .pth or .safetensors"
        )
    package = "safetensors" if suffix == SAFETENSORS_SUFFIX else "torch"
    if importlib.util.find_spec(package) is None:
        rest = "" if package == "safetensors" else ", or use .safetensors, which needs no torch"
        raise UserError(
            f"{flag}={path} needs the package {package}, which is not installed; install it with "
            f'`python -m pip install "tfpix2pix[torch]"`{rest}'
        )


def read_state(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by key, float32 (counters: int64).

    Of a dict with a ``state_dict`` in it, as trainers save them, that is read.

    Raises:
      UserError: it is damaged, holds other things than tensors, is no flat state dict, or claims
        more than it holds.
    """
    is_safe = path.suffix.lower() == SAFETENSORS_SUFFIX
    tensors = _read_safetensors(path) if is_safe else _read_torch(path)
    return {
        key: values if values.dtype.kind in "biu" else values.astype(np.float32)
        for key, values in tensors.items()
    }


def write_state(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Writes tensors by key, in one step; the file is whole or not there.

    Raises:
      UserError: the folder cannot be written.
    """
    if path.suffix.lower() == SAFETENSORS_SUFFIX:
        import safetensors.numpy

        content = safetensors.numpy.save(dict(state), metadata={"format": "pt"})
    else:
        import torch

        buffer = io.BytesIO()
        torch.save({key: torch.from_numpy(values) for key, values in state.items()}, buffer)
        content = buffer.getvalue()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except OSError as error:
        raise UserError(
            f"--output={path} cannot be written ({error.strerror}); give a place that you may "
            "write to"
        ) from None


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(path)
    except Exception as error:  # its own error class, KeyError and TypeError for types of no NumPy
        raise UserError(
            f"{path} cannot be read as safetensors of float32 or float16 ({_short(error)}); "
            "copy or save it again"
        ) from None


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    import torch

    _check_packing(path)
    try:
        with warnings.catch_warnings():  # of the file's age, in the middle of our own lines
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} is damaged or holds more than weights, so it was not read and no code in it "
            "was run; save net.state_dict() alone, best as .safetensors"
        ) from None
    except Exception as error:  # a cut zip is a RuntimeError, an empty file an EOFError, ...
        raise UserError(
            f"{path} cannot be read as weights of PyTorch ({_short(error)}); it may be cut off, so "
            "copy or save it again"
        ) from None
    while isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        if not found["state_dict"]:
            break
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in found.items()
    ):
        raise UserError(
            f"{path} holds {_described(found)} where a state dict (tensors by name) was expected; "
            "save net.state_dict() alone"
        )
    _check_sizes(path, found)
    return {key: _array(value) for key, value in found.items()}


def _check_packing(path: Path) -> None:
    """Refuses an archive that unpacks to more than it is; PyTorch packs nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # of the older format, or damaged, which PyTorch tells
    if unpacked > path.stat().st_size:
        raise _oversized(path, unpacked)


def _check_sizes(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Refuses tensors that are not stored number by number."""
    import torch

    claimed = 0
    for key, value in state.items():
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or value.is_quantized or value.is_complex():
            raise UserError(
                f"{path}: '{key}' is no plain tensor of real numbers; save net.state_dict() of a "
                "network on the CPU, best as .safetensors"
            )
        claimed += value.numel() * value.element_size()
    if claimed > path.stat().st_size:
        raise _oversized(path, claimed)


def _oversized(path: Path, claimed: int) -> UserError:
    return UserError(
        f"{path} claims {claimed:,} bytes of weights and has {path.stat().st_size:,}, so it was "
        "not read; save net.state_dict() alone, best as .safetensors"
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _described(found: object) -> str:
    if isinstance(found, Mapping):
        return f"a dict with {', '.join(repr(key) for key in list(found)[:4])}"
    return f"a {type(found).__name__}"


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 160 else text[:160] + "…"
