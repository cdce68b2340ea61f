"""Checkpoints that a crash at any moment cannot spoil.

Each is a folder ``step_00001000`` with TensorFlow's checkpoint files and ``meta.json`` (step, best
measure, a SHA-256 of every file). It is written under another name and renamed when it is
complete, so what bears the name is whole; the checksums tell when it was damaged later.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import to_disk

_PREFIX, _STATE, _META = "step_", "state", "meta.json"


class CheckpointError(UserError):
    """A checkpoint could not be written or read."""


class Checkpoints:
    """The checkpoints of one workdir.

    Args:
      workdir: the run's folder; the checkpoints stand in its ``checkpoints/``.
      keep: how many of the newest stay; the best one stays besides.
    """

    def __init__(self, workdir: str | os.PathLike[str], keep: int = 2) -> None:
        self.folder = Path(workdir) / "checkpoints"
        self.keep = keep

    def steps(self) -> list[int]:
        """Steps of which a checkpoint exists, oldest first."""
        if not self.folder.is_dir():
            return []
        names = (entry.name for entry in self.folder.iterdir() if entry.is_dir())
        digits = (name[len(_PREFIX) :] for name in names if name.startswith(_PREFIX))
        return sorted(int(number) for number in digits if number.isdigit())

    def path(self, step: int) -> Path:
        return self.folder / f"{_PREFIX}{step:08d}"

    # === Write ===

    def save(self, state: Mapping[str, Any], step: int, facts: Mapping[str, Any]) -> Path:
        """Writes a checkpoint and then removes those that are no longer kept.

        Args:
          state: variables, nested by name.
          step: the training step.
          facts: what else a continued run needs, as JSON; ``best`` in it (a mapping with
            ``step``, or None) names the checkpoint that is kept whatever its age.

        Raises:
          CheckpointError: the disk is full, or the folder cannot be written; every older
            checkpoint is untouched.
        """
        import tensorflow as tf

        final = self.path(step)
        unfinished = self.folder / f".unfinished_{step:08d}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear_unfinished()
            unfinished.mkdir()
            tf.train.Checkpoint(**state).write(str(unfinished / _STATE))
            files = {entry.name: _fingerprint(entry) for entry in sorted(unfinished.iterdir())}
            meta = {"step": step, "tensorflow": tf.__version__, **facts, "files": files}
            meta["sha256"] = _digest_of(meta)
            (unfinished / _META).write_text(json.dumps(meta, indent=2) + "\n")
            for entry in unfinished.iterdir():
                to_disk(entry)
            if final.exists():
                shutil.rmtree(final)  # the same step again: it was damaged, or is the same
            os.replace(unfinished, final)
            to_disk(self.folder)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            older = self.steps()
            rest = f"the checkpoint of step {older[-1]} is intact" if older else "there is no other"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder} "
                f"({_reason(error)}); {rest}; free space or mend the folder, then run the same "
                "command again to continue"
            ) from None
        self._prune(step, facts.get("best"))
        return final

    def _clear_unfinished(self) -> None:
        for entry in self.folder.glob(".unfinished_*"):
            shutil.rmtree(entry, ignore_errors=True)

    def _prune(self, newest: int, best: Mapping[str, Any] | None) -> None:
        steps = self.steps()
        # What is newer than this one was damaged, or the run would have continued from there.
        kept = set([step for step in steps if step <= newest][-self.keep :])
        if best:
            kept.add(int(best["step"]))
        for step in steps:
            if step not in kept:
                shutil.rmtree(self.path(step), ignore_errors=True)

    # === Read ===

    def meta(self, step: int) -> dict[str, Any]:
        """The facts of a checkpoint, after checking that its files are what was written.

        Raises:
          CheckpointError: it is damaged; the message says which file and how.
        """
        folder = self.path(step)
        try:
            meta = json.loads((folder / _META).read_text())
            digest = meta.pop("sha256")
            files = _files_of(meta)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
            raise CheckpointError(f"{folder / _META} cannot be read ({_reason(e)})") from None
        if digest != _digest_of(meta) or meta["step"] != step:
            raise CheckpointError(f"{folder / _META} was changed after it was written")
        meta["sha256"] = digest
        for name, expected in files.items():
            try:
                found = _fingerprint(folder / name)
            except OSError as error:
                raise CheckpointError(
                    f"{folder / name} cannot be read ({_reason(error)})"
                ) from None
            if found["bytes"] != expected["bytes"]:
                raise CheckpointError(
                    f"{folder / name} has {found['bytes']} bytes where {expected['bytes']} were "
                    "written"
                )
            if found["sha256"] != expected["sha256"]:
                raise CheckpointError(f"{folder / name} was changed after it was written")
        return meta

    def best(self, say: Callable[[str], None] = lambda text: None) -> dict[str, Any] | None:
        """Which checkpoint measured best (``metric``, ``value``, ``step``), as far as is known.

        ``say`` is told in a sentence when a damaged checkpoint could not be asked.
        """
        for step in reversed(self.steps()):
            try:
                return self.meta(step).get("best")
            except CheckpointError as error:
                say(f"{error}; asking an older checkpoint which is the best")
        return None

    def restore(
        self,
        state: Mapping[str, Any],
        step: int | None = None,
        say: Callable[[str], None] = lambda text: None,
        optional: Collection[str] = (),
    ) -> dict[str, Any] | None:
        """Reads a checkpoint into variables.

        Args:
          state: variables, nested by name as they were saved; fewer than were saved will do.
          step: which; None for the newest that is whole.
          say: told in a sentence when a damaged one is passed over.
          optional: names in ``state`` whose variables keep their values where the checkpoint has
            none of that name.

        Returns:
          Its facts, or None when there is no checkpoint at all.

        Raises:
          CheckpointError: none is whole, or the one asked for is not, or it does not fit.
        """
        facts = self.whole(step, say)
        if facts is not None:
            self._read(state, int(facts["step"]), optional)
        return facts

    def whole(
        self, step: int | None = None, say: Callable[[str], None] = lambda text: None
    ) -> dict[str, Any] | None:
        """The facts of the checkpoint that `restore` reads; needs no TensorFlow.

        Raises:
          CheckpointError: none is whole, or the one asked for is not.
        """
        wanted = self.steps()[::-1] if step is None else [step]
        damaged = []
        for candidate in wanted:
            try:
                meta = self.meta(candidate)
            except CheckpointError as error:
                damaged.append(str(error))
                continue
            if damaged:
                say(f"{damaged[-1]}; using the checkpoint of step {candidate} instead")
            return meta
        if damaged:
            raise CheckpointError(
                f"no checkpoint in {self.folder} can be used: {'; '.join(damaged)}; restore one "
                "from a backup, or train again in a new folder"
            )
        return None

    def parts(self, step: int | None = None) -> tuple[int, Callable[[str], dict[str, np.ndarray]]]:
        """The values of a checkpoint, whatever networks they are of.

        Args:
          step: which; None for the newest that is whole.

        Returns:
          Its step, and a function that reads a part of the saved state: values by the names of
          its variables, none where there is no such part.

        Raises:
          CheckpointError: there is none, or it is damaged.
        """
        import tensorflow as tf

        state: dict[str, Any] = {}
        facts = self.restore(state, step)
        if facts is None:
            raise CheckpointError(f"{self.folder} holds no checkpoint")
        reader = tf.train.load_checkpoint(str(self.path(facts["step"]) / _STATE))
        names = reader.get_variable_to_shape_map()
        end = "/.ATTRIBUTES/VARIABLE_VALUE"  # TensorFlow's, which writes / in a name as .S

        def part(name: str) -> dict[str, np.ndarray]:
            start = f"{name}/"
            return {
                key[len(start) : -len(end)].replace(".S", "/"): reader.get_tensor(key)
                for key in names
                if key.startswith(start) and key.endswith(end)
            }

        return int(facts["step"]), part

    def stored(self, step: int) -> int:
        """Bytes of weights and other variables in a checkpoint; 0 where it has none."""
        return _data_bytes(str(self.path(step) / _STATE))

    def _read(self, state: Mapping[str, Any], step: int, optional: Collection[str]) -> None:
        import tensorflow as tf

        path = str(self.path(step) / _STATE)
        try:
            check_claims(path)
            if optional:
                saved = {name.split("/")[0] for name, _ in tf.train.list_variables(path)}
                lacking = set(optional) - saved
                state = {name: part for name, part in state.items() if name not in lacking}
            status = tf.train.Checkpoint(**state).read(path)
            status.assert_existing_objects_matched()
            status.expect_partial()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise CheckpointError(
                f"{self.path(step)} does not fit the networks that config.json describes "
                f"({_reason(error)}); restore the config.json it was trained with"
            ) from None


def check_claims(prefix: str) -> None:
    """Sees that the tensors of a TensorFlow checkpoint are no larger than its files.

    The index says how large each is, and as much is allocated before any of it is read.

    Args:
      prefix: of the checkpoint's files, without ``.index``.

    Raises:
      ValueError: they claim more bytes than are stored, or a size below zero.
      tf.errors.OpError: there is no such checkpoint, or its index is damaged.
    """
    import tensorflow as tf

    reader = tf.train.load_checkpoint(prefix)
    shapes, claimed = reader.get_variable_to_shape_map(), 0
    for name, dtype in reader.get_variable_to_dtype_map().items():
        shape = shapes[name]
        if any(side < 0 for side in shape):
            raise ValueError(f"{name} has the shape {shape}")
        claimed += math.prod(shape) * (1 if dtype == tf.string else dtype.size)
    stored = _data_bytes(prefix)
    if claimed > stored:
        raise ValueError(f"its index claims {claimed:,} bytes and {stored:,} are stored")


def _data_bytes(prefix: str) -> int:
    return sum(os.path.getsize(path) for path in glob.glob(f"{glob.escape(prefix)}.data-*"))


def _files_of(meta: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The part ``files`` of a ``meta.json``, after a look at all that is used of it.

    Raises:
      ValueError, LookupError, TypeError, AttributeError: it has another shape.
    """
    files, best = meta["files"], meta.get("best")
    for name, facts in files.items():
        if Path(name).name != name:
            raise ValueError(f"it names {name!r}, which is no file of the checkpoint")
        facts["bytes"], facts["sha256"]
    if not isinstance(meta["step"], int) or not (best is None or isinstance(best["step"], int)):
        raise ValueError("its steps are no whole numbers")
    return files


def _fingerprint(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _digest_of(meta: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(getattr(error, "message", None) or error).split())
    # TensorFlow says where in a graph it was, which file, and in the end why.
    text = re.sub(r"\{\{.*?\}\} ?| ?\[Op:\w+\]", "", text)
    return text if len(text) < 200 else "…" + text[-200:]
