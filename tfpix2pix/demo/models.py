"""A network as the page has it: its file, what it promises, and what there is to draw for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.grid import encode_png
from tfpix2pix.base.serving import Content, size_of
from tfpix2pix.demo.kinds import Drawn

if TYPE_CHECKING:
    from tfpix2pix.data import PairSpec

FOLDER = "models"
# Memory of a page: WebAssembly has addresses of 32 bits, and the file is there twice while it is
# being loaded.
MOST_MEMORY = 4 << 30
_COLOURS = ("grey", "red,green,blue", "grey,alpha", "red,green,blue,alpha")
_SAFE = 2**53  # beyond, JavaScript's numbers are not whole ones


@dataclass(frozen=True)
class PageModel:
    """One network of a page.

    Attributes:
      name: of its folder: letters, digits, ``_``, ``-`` and ``.``; unique on the page.
      title: for people.
      precision: ``float32``, ``float16`` or ``int8``, of what the file holds.
      file: the ONNX file, or its bytes.
      contract: of the export, as ``export.json`` has it.
      sample: the network's inputs by name and ``y``, float32 with a batch of one: what an engine
        must give back before it is used.
      tolerance: by how many levels of 8 bits it may differ.
      drawn: what one draws for it.
      examples: inputs to begin with, uint8 ``[H, W, 1 or 3]``.
    """

    name: str
    title: str
    precision: str
    file: Content
    contract: Mapping[str, Any]
    sample: Mapping[str, np.ndarray]
    tolerance: float
    drawn: Drawn
    examples: Sequence[np.ndarray] = field(default=())

    @property
    def path(self) -> str:
        """Of the ONNX file in the page's folder."""
        return f"{FOLDER}/{self.name}/generator.onnx"

    def files(self) -> dict[str, Content]:
        """What its folder holds, by the paths in the page's folder."""
        found: dict[str, Content] = {self.path: self.file}
        for name, array in self.sample.items():
            found[self._sample(name)] = np.ascontiguousarray(array, "<f4").tobytes()
        for path, picture in zip(self._examples(), self.examples, strict=True):
            found[path] = encode_png(picture)
        return found

    def entry(self) -> dict[str, Any]:
        """What ``models.json`` says of it."""
        seed = self.contract["config"]["seed"]
        return {
            "name": self.name,
            "title": self.title,
            "precision": self.precision,
            "file": self.path,
            "bytes": size_of(self.file),
            "contract": self.contract,
            "seed": seed if abs(seed) < _SAFE else str(seed),
            "proof": {
                **{
                    name: {"file": self._sample(name), "shape": list(array.shape)}
                    for name, array in self.sample.items()
                },
                "tolerance": self.tolerance,
            },
            "examples": self._examples(),
            "labels": self.drawn.labels,
            "input": self.drawn.kind,
        }

    def summary(self) -> str:
        """For people: ``float32, 54.4 MB, for labels of 'facades'``."""
        size = f"{size_of(self.file) / 1e6:,.1f} MB"
        of = f" of '{self.drawn.labels['name']}'" if self.drawn.labels else ""
        what = {"labels": f"labels{of}", "lines": "lines", "photo": "photographs"}[self.drawn.kind]
        return f"{self.precision}, {size}, for {what}"

    def _sample(self, name: str) -> str:
        return f"{FOLDER}/{self.name}/{name}.f32"

    def _examples(self) -> list[str]:
        return [f"{FOLDER}/{self.name}/example_{i + 1}.png" for i in range(len(self.examples))]


def paths_of(entry: Mapping[str, Any]) -> list[str]:
    """The files of an entry of the list."""
    samples = [told["file"] for told in entry["proof"].values() if isinstance(told, Mapping)]
    return [entry["file"], *samples, *entry["examples"]]


def check_spec(spec: PairSpec, what: str) -> None:
    """Refuses a network whose inputs nobody can draw, or whose results no screen shows.

    Args:
      spec: of its inputs and results.
      what: names it, for messages.

    Raises:
      UserError: it is one of floats, of a part of 16 bits, or of other channels than grey or RGB.
    """
    for side, does in ((spec.input_image, "takes"), (spec.result_image, "makes")):
        named = ",".join(side.channel_names) in _COLOURS
        # 8 bits can be brought to all of 16, not to a part of them.
        levels = side.dtype == "uint8" or (side.whole_scale or does == "makes")
        if not named or side.dtype == "float32" or not levels:
            raise UserError(
                f"{what} {does} {side.describe()}, and a page has grey or RGB pictures of 8 bits, "
                "or labels; translate files by `tfpix2pix translate` instead"
            )


def check_memory(size: int, features: int | None, what: str) -> None:
    """Refuses a network that no browser can hold.

    Args:
      size: of its ONNX file, bytes.
      features: bytes that one picture of its own size takes besides; None where that is not known.
      what: names it, for messages.

    Raises:
      UserError: it is too large.
    """
    needed = 2 * size + (features or 0)
    if needed > MOST_MEMORY:
        raise UserError(
            f"{what} needs about {needed / 2**30:.1f} GiB of memory, and a page in a browser has "
            f"at most {MOST_MEMORY / 2**30:g}; export it in a smaller precision (tfpix2pix export "
            "--quantize=int8), or use `tfpix2pix translate`"
        )
