"""An evaluation of pictures of noise."""

from __future__ import annotations

import numpy as np

from tfpix2pix.evaluation import L1, PSNR, Batch
from tfpix2pix.evaluation.ranking import Strip, ranking_of
from tfpix2pix.evaluation.results import Evaluation
from tfpix2pix.evaluation.sharpness import Sharpness

FACTS = {
    "model": {"path": "runs/<b>", "step": 1200, "checkpoint": "ab"},
    "dataset": {"name": "--dataset=pairs"},
    "split": "val",
    "images": 5,
    "size": 16,
    "samples": 1,
    "seed": 3,
    "deterministic": False,
    "scorer": None,
    "classes": None,
    "versions": {"numpy": "2"},
}


def make(images: int = 5, seed: int = 0, evaluators=None, facts=FACTS) -> Evaluation:
    evaluators = [L1(), PSNR(), Sharpness()] if evaluators is None else evaluators
    random = np.random.default_rng(seed)
    ranking = ranking_of(evaluators)
    batch = Batch(
        [f"käse {i}" for i in range(images)],
        *random.integers(0, 256, (2, images, 16, 16, 3), np.uint8),
        random.integers(0, 2, (images, 16, 16), np.uint8),
    )
    for evaluator in evaluators:
        evaluator.update(batch)
    ranking.add(
        images,
        lambda i, v: Strip(batch.names[i], v, batch.y[i][..., :1], batch.fake[i], batch.y[i]),
    )
    return Evaluation.of(evaluators, batch.names, facts, ranking)
