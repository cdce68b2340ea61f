"""A and B that exist already, in two folders, put side by side."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from tfpix2pix.data.tasks.task import Task, option


@dataclasses.dataclass(frozen=True)
class Combine(Task):
    """Where A and B are, where they do not lie in one folder as A/ and B/. Nothing is drawn."""

    name: ClassVar[str] = "combine"
    about: ClassVar[str] = "A and B from two folders, partners by name (extensions may differ)"
    titles: ClassVar[tuple[str, str]] = ("A", "B")

    input_a: str = option(
        "", "the folder of the inputs, A (or --input=FOLDER, which holds A/ and B/)"
    )
    input_b: str = option("", "the folder of the targets, B")
    labels: str = option(
        "none",
        "which side is a label image, whose colours --size must not mix (nearest neighbour)",
        choices=("none", "a", "b", "both"),
    )

    def settings(self) -> dict[str, Any]:
        return {"labels": self.labels}
