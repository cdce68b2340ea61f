"""What a run is fed with: its splits opened, and the endless stream of training batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from tfpix2pix.base.progress import ProgressLine
from tfpix2pix.base.size import Size
from tfpix2pix.config import Config
from tfpix2pix.data import (
    PairSource,
    PairStore,
    cache_dir,
    explain,
    open_store,
    training_batches,
)
from tfpix2pix.training.workers import Workers


def open_split(
    source: PairSource, split: str, size: Size, config: Config, say: Callable[[str], None]
) -> PairStore:
    """Opens a split, with its progress on the terminal.

    Args:
      source: the data set.
      split: of it.
      size: to which images are resized.
      config: where decoded pairs are kept.
      say: told how they are, where that is worth a line.
    """
    total, unit = source.count(split), "pair"
    if not source.paired(split):
        total, unit = sum(source.sides(split)), "image"
    with ProgressLine(f"reading {split}", total, unit) as line:
        store = open_store(
            source,
            split,
            size=size,
            cache=config.cache,
            cache_dir=cache_dir(config.data_dir),
            progress=lambda done, _: line.show(done),
        )
    if split == "train" or not store.in_memory:
        say(f"{unit}s: {store.describe()}")
    return store


def batches_from(
    start: int,
    store: PairStore,
    config: Config,
    total: int,
    strategy: tf.distribute.Strategy,
    workers: Workers,
) -> Iterator[Any]:
    """The batches of the steps from `start` on, spread over the strategy's devices.

    Raises:
      UserError: while it is read: a file of the data set cannot be read any more.
    """

    def batches(_: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        return training_batches(
            store,
            crop_size=config.crop_size,
            flip=config.flip,
            batch_size=config.batch_size,
            seed=config.seed,
            start_step=start,
            stop_step=total,
            worker=workers.index,
            workers=workers.count,
            devices=strategy.num_replicas_in_sync // workers.count,
        )

    if strategy.num_replicas_in_sync == 1:
        stream = iter(batches())
    else:
        stream = iter(strategy.distribute_datasets_from_function(batches))
    while True:
        try:
            batch = next(stream)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise explain(error, store) from None
        yield batch


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """In a few words, in what two identities of a data set differ; empty where they do not."""
    if "pairs" in old and old["pairs"] == new.get("pairs"):
        return ""  # the same pairs, whatever their folders are called
    different = [key for key in old if key in new and new[key] != old[key]]
    words = {"files": "other names or sizes of files", "pairs": "other names or contents of files"}
    if "pairs" in different and "files" in different:
        different.remove("files")
    return ", ".join(
        words.get(key) or f"{key} {old[key]} before, {new[key]} now" for key in different
    )
