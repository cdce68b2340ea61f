"""Prints how fast the data path is on this machine: making sample pairs, and batching them.

python benchmarks/data_speed.py [--size=256] [--pairs=100]
"""

from __future__ import annotations

import time

from absl import app, flags

_SIZE = flags.DEFINE_integer("size", 256, "Side of the images, pixels.")
_PAIRS = flags.DEFINE_integer("pairs", 100, "Pairs to make.")
_STEPS = flags.DEFINE_integer("steps", 500, "Batches of one pair to draw.")


def main(argv: list[str]) -> None:
    del argv
    from tfpix2pix.data.sample import facade_pair

    facade_pair(0, _SIZE.value)  # fills the texture bank
    start = time.perf_counter()
    for index in range(_PAIRS.value):
        facade_pair(0, _SIZE.value, "train", index)
    seconds = time.perf_counter() - start
    print(
        f"sample: {_PAIRS.value} pairs of {_SIZE.value} px in {seconds:.2f} s on one core "
        f"({_PAIRS.value / seconds:.0f} pairs/s)"
    )

    from tfpix2pix.quiet import import_tensorflow

    import_tensorflow()
    from tfpix2pix.data import open_dataset, open_store, training_batches

    load_size = round(_SIZE.value * 286 / 256)
    source = open_dataset("sample", sample_pairs=_PAIRS.value, sample_size=_SIZE.value)
    batches = training_batches(
        open_store(source, "train"),
        load_size=load_size,
        crop_size=_SIZE.value,
        flip=True,
        batch_size=1,
        seed=0,
        start_step=0,
        stop_step=_STEPS.value + 10,
    )
    drawn = iter(batches)
    for _ in range(10):
        next(drawn)
    start = time.perf_counter()
    for _ in drawn:
        pass
    seconds = time.perf_counter() - start
    print(
        f"pipeline: {_STEPS.value / seconds:.0f} pairs/s, resized to {load_size}, cropped to "
        f"{_SIZE.value}, mirrored, batch 1, cached in memory"
    )


if __name__ == "__main__":
    app.run(main)
