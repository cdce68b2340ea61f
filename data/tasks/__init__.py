"""tfpix2pix.data.tasks: pairs made from people's single images.

``make_pairs(Edges(sigma=2), "photos", "pairs")`` does what ``tfpix2pix pairs`` does. A further
task is one more `Task`, in `simple` or a file of its own, and one more entry in `TASKS`.
"""

from __future__ import annotations

from tfpix2pix.data.tasks.edges import Edges
from tfpix2pix.data.tasks.maker import Made, make_pairs
from tfpix2pix.data.tasks.simple import Blank, Combine, Grayscale, Lab, LowRes
from tfpix2pix.data.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Edges, Grayscale, Lab, Blank, LowRes, Combine)
}

__all__ = [
    "TASKS",
    "Blank",
    "Combine",
    "Edges",
    "Grayscale",
    "Lab",
    "LowRes",
    "Made",
    "Task",
    "make_pairs",
]
