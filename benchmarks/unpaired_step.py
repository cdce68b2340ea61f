"""Measures a step of every algorithm that learns without pairs, with the same networks.

    python benchmarks/unpaired_step.py                              # 128 px, ngf 32, 6 blocks
    python benchmarks/unpaired_step.py --cases=256/64/resnet9 --repeats=5

A case is SIZE/NGF/GENERATOR: crop size in pixels, channels of the first layer of all networks, and
which generator; batch 1. The algorithms take turns (A B C, A B C, ...), so that whatever else the
machine does meets all alike; a turn is some steps, at least `--turn` seconds. The table gives the
median over turns, in brackets the quartiles' distance from each other, and the median of the
turns' ratios to the first algorithm's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from absl import app, flags
from machine import cores, describe, rate

from tfpix2pix.base.progress import ProgressLine

_CASES = flags.DEFINE_list("cases", ["128/32/resnet6"], "What.")
_REPEATS = flags.DEFINE_integer("repeats", 9, "Turns that each algorithm takes.")
_TURN = flags.DEFINE_float("turn", 2.0, "Seconds of a turn, at least.")
_RESAMPLING = flags.DEFINE_enum(
    "resampling", "conv", ["conv", "blur"], "Of all networks; 'blur' is CUT's authors' choice."
)

# Name in the table, algorithm, and its settings.
_CONTESTANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("CycleGAN", "cyclegan", {}),
    ("CycleGAN without identity", "cyclegan", {"lambda_identity": 0.0}),
    ("CUT", "cut", {}),
    ("FastCUT", "cut", {"nce_idt": False, "lambda_nce": 10.0, "flip_equivariance": True}),
]


class Step:
    """The package's own step, on one batch again and again."""

    def __init__(self, algorithm: str, settings: dict[str, Any]) -> None:
        import tensorflow as tf

        from tfpix2pix.algorithms import registry
        from tfpix2pix.config import config_of

        config = config_of({"algorithm": algorithm, **settings})
        self.algorithm = registry.algorithm_class(algorithm)(config)
        random = np.random.default_rng(0)
        shape = [1, *config.crop_size, 3]
        self.x, self.y = (tf.constant(random.uniform(-1, 1, shape), tf.float32) for _ in range(2))

    def __call__(self) -> float:
        means = self.algorithm.train_step(self.x, self.y)
        return float(next(iter(means.values())))


def main(argv: list[str]) -> None:
    del argv
    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()  # with deterministic operations, as the command has it
    cases = [text.split("/") for text in _CASES.value]
    print(describe(cores()))
    for case, (size, ngf, generator) in enumerate(cases):
        shared = {
            "crop_size": int(size),
            "load_size": int(size),
            "ngf": int(ngf),
            "ndf": int(ngf),
            "generator": generator,
            "resampling": _RESAMPLING.value,
        }
        steps = [Step(kind, {**shared, **own}) for _, kind, own in _CONTESTANTS]
        for step in steps:
            for _ in range(2):
                step()
        seconds = []
        with ProgressLine(f"case {case + 1} of {len(cases)}", _REPEATS.value, "round") as line:
            for turn in range(_REPEATS.value):
                seconds.append([1 / rate(step, _TURN.value) for step in steps])
                line.show(turn + 1)
        _print(f"{size} px, ngf {ngf}, {generator}, {_RESAMPLING.value}", np.array(seconds), steps)


def _print(case: str, seconds: np.ndarray, steps: list[Step]) -> None:
    print(f"\n{case}, batch 1")
    print("| | ms a step | of CycleGAN's | trained weights |")
    print("| --- | ---: | ---: | ---: |")
    ratios = np.median(seconds / seconds[:, :1], axis=0)
    for place, (name, _, _) in enumerate(_CONTESTANTS):
        low, middle, high = np.percentile(seconds[:, place], [25, 50, 75])
        counts = steps[place].algorithm.parameter_counts().values()
        weights = sum(count for count in counts if count)
        print(
            f"| {name} | {middle * 1e3:.0f} ({(high - low) * 1e3:.0f}) | {ratios[place]:.2f} "
            f"| {weights:,} |"
        )


if __name__ == "__main__":
    app.run(main)
