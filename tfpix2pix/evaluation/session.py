"""An evaluation from beginning to end: a split's pairs, generated pictures, numbers with errors.

translator = tfpix2pix.load("runs/sample")
evaluation = evaluate_model(translator, open_source(translator.config), [L1(), SSIM()])
print(evaluation.numbers["l1"], evaluation.errors["l1"])
evaluation.save("runs/sample/evaluation/val")

Pictures stream: what is kept of each is its statistics, and a few best and worst for the page.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.size import Size
from tfpix2pix.data import UnpairedSource
from tfpix2pix.evaluation.base import Batch, Evaluator, OfSets
from tfpix2pix.evaluation.fcn import as_uint8
from tfpix2pix.evaluation.pictures import Generated, Maker, Pictures, file_levels
from tfpix2pix.evaluation.predictions import Predictions
from tfpix2pix.evaluation.ranking import Ranking, Strip, ranking_of
from tfpix2pix.evaluation.results import Evaluation, versions

if TYPE_CHECKING:
    from tfpix2pix.data import PairSource, PairSpec, PairStore

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` in images."""

BATCH = 8  # images that evaluators are shown at a time
EXAMPLES = 8  # pictures of the page where none is better or worse by its target


def evaluate_model(
    translator: Maker,
    source: PairSource,
    evaluators: Sequence[Evaluator],
    *,
    split: str = "val",
    size: Size | int | None = None,
    samples: int = 1,
    limit: int = 0,
    seed: int = 0,
    deterministic: bool = False,
    may_repeat: bool = False,
    labels: PairSource | None = None,
    rank_by: str | None = None,
    back: Maker | None = None,
    each: Callable[[Strip], None] | None = None,
    model: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Scores a run, an export or a server on a split.

    Args:
      translator: as `tfpix2pix.load` or `tfpix2pix.export` opens it.
      source: the data set, of the spec that the translator was trained on.
      evaluators: the measures, fresh.
      split: train, val or test.
      size: that pairs are resized to, a number for a square; None for the run's.
      samples: pictures for each input, of the seeds `seed`, `seed` + 1, ...: of the latent code
        where there is one, and then with one z, else of z. Measures are taken on the first, those
        of diversity on all.
      limit: only the first `limit` pairs; 0 for all.
      seed: of the noise z and the latent code, as `Translator.translate` takes it.
      deterministic: no noise.
      may_repeat: whether the samples of a model that has nothing to vary are all the same, so that
        its diversity is 0; else it is refused.
      labels: the same data set opened with a label palette, for the classes of pairs whose own
        spec has none.
      rank_by: the number by which best and worst are chosen; None for l1 or the first there is.
      back: the way back, to show what it makes of pictures that have no targets.
      each: told every pair that is measured, as a person sees it, in the split's order.
      model: facts to record on what is scored, such as its path.
      progress: told how far it is.

    Returns:
      Numbers, standard errors and statistics of the pictures as their files would hold them: what
      `tfpix2pix translate` makes of the inputs at that size.

    Raises:
      UserError: an empty split, data of another spec, a metric that does not fit them.
    """
    check_spec(translator.spec, source)
    size = Size.of(size or translator.config.whole_size)
    pictures = Generated(
        translator,
        size,
        seed=seed,
        samples=samples,
        deterministic=deterministic,
        may_repeat=may_repeat,
    )
    session = _Session(pictures, source, evaluators, split, size, limit, labels, rank_by)
    session.back, session.each = back, each
    return session.run(model, progress)


def evaluate_predictions(
    folder: str | os.PathLike[str],
    source: PairSource,
    evaluators: Sequence[Evaluator],
    *,
    split: str = "val",
    size: Size | int | None = None,
    limit: int = 0,
    labels: PairSource | None = None,
    rank_by: str | None = None,
    model: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Scores a folder of pictures, whoever made them; see `evaluate_model` and `Predictions`.

    Args:
      folder: a picture for each pair, of its name.
      size: that pictures and pairs are resized to; None for the pictures' own.

    Raises:
      UserError: as `evaluate_model`; names that do not match, pictures that cannot be read.
    """
    check_split(source, split)
    pictures = Predictions(folder, source, split, size, limit)
    model = {"path": os.fspath(folder), **(model or {})}
    return _Session(pictures, source, evaluators, split, pictures.size, limit, labels, rank_by).run(
        model, progress
    )


def check_split(source: PairSource, split: str) -> None:
    """Raises UserError where a data set has no pairs in a split."""
    if not source.count(split):
        there = [name for name in ("train", "val", "test") if source.count(name)]
        raise UserError(
            f"{source.name}: its {split} split is empty; give --split={' or '.join(there)}, or "
            f"add {source.unit}s of {split}"
        )


def check_spec(spec: PairSpec, source: PairSource) -> None:
    """Raises UserError where a data set's pairs are not what a model was trained on."""
    found = source.spec
    if found.is_like(spec):
        return
    raise UserError(
        f"{source.name}: its {source.unit}s are {found.describe()}, and the model was trained on "
        f"{spec.describe()}; give the data set, the --direction and the palette that it knows"
    )


class _Session:
    """One walk over a split."""

    def __init__(
        self,
        pictures: Pictures,
        source: PairSource,
        evaluators: Sequence[Evaluator],
        split: str,
        size: Size,
        limit: int,
        labels: PairSource | None,
        rank_by: str | None,
    ) -> None:
        from tfpix2pix.data import open_store

        check_split(source, split)
        self.pictures, self.source, self.evaluators = pictures, source, list(evaluators)
        self.split, self.size, self.spec = split, size, pictures.spec
        self.paired = source.paired(split)
        self.ranking = ranking_of(self.evaluators, rank_by) if self.paired else None
        self.examples: list[Strip] = []
        self.back: Maker | None = None
        self.each: Callable[[Strip], None] | None = None
        # Each pair is needed once, so that keeping them decoded would be of no use.
        self.store = open_store(source, split, size=size, cache="none")
        self.label_spec = self.spec
        self.label_store: PairStore | None = None
        if labels is not None:
            self.label_spec = labels.spec
            self.label_store = open_store(labels, split, size=size, cache="none")
            _check_same_pairs(self.store, self.label_store)
        self.total, self.truths = (
            min(limit or count, count) for count in (self.store.x.count, self.store.y.count)
        )
        self.pixels = self.left_out = 0  # of all images, where some do not count
        self.names = [self.store.pair_name(i) for i in range(self.total)]

    def run(self, model: Mapping[str, Any] | None, progress: Progress | None) -> Evaluation:
        digests = {"targets": hashlib.sha256(), "pictures": hashlib.sha256()}
        names: list[str] = []
        done = 0
        for x, batch in self._batches():
            for evaluator in self.evaluators if len(batch) else ():
                if not self.paired and isinstance(evaluator, OfSets):
                    evaluator.update_set(batch.fake, truth=False)
                else:
                    evaluator.update(batch)
            if self.paired:
                digests["targets"].update(np.ascontiguousarray(batch.y).data)
            digests["pictures"].update(np.ascontiguousarray(batch.fake).data)
            if self.ranking is not None and len(batch):
                self._rank(self.ranking, batch)
            if not self.paired:
                self._show(batch)
            if self.each is not None:
                for i in range(len(batch)):
                    self.each(self._strip(batch, i))
            done += len(x)
            names += batch.names
            if progress is not None:
                progress(done, self.total)
        truths = None
        if not self.paired:
            truths = [self._truth_name(i) for i in range(self.truths)]
            for y in self._true_pictures():
                for evaluator in self.evaluators:
                    if isinstance(evaluator, OfSets):
                        evaluator.update_set(y, truth=True)
                digests["targets"].update(np.ascontiguousarray(y).data)
        made = self.pictures.facts()
        step, checkpoint = made.pop("step"), made.pop("checkpoint")
        facts = {
            "model": {**(model or {}), "step": step, "checkpoint": checkpoint},
            "dataset": {
                "name": self.source.name,
                "direction": self.source.direction,
                **self.source.identity(),
            },
            "split": self.split,
            "images": len(names),
            **({} if truths is None else {"targets": len(truths), "paired": False}),
            **({"left_out": self.left_out / self.pixels} if self.pixels else {}),
            "size": self.size.value,
            **made,
            "targets_sha256": digests["targets"].hexdigest(),
            "pictures_sha256": digests["pictures"].hexdigest(),
            "scorer": _scorer_facts(self.evaluators),
            "classes": self._class_names(),
            "versions": versions(),
        }
        return Evaluation.of(
            self.evaluators, names, facts, self.ranking, truths, tuple(self.examples)
        )

    def _batches(self) -> Iterator[tuple[np.ndarray, Batch]]:
        """x and what evaluators see, batch by batch."""
        import tensorflow as tf

        from tfpix2pix.data import evaluation_batches, explain

        def walk(store: PairStore) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
            batches = evaluation_batches(store, size=self.size, batch_size=BATCH, limit=self.total)
            try:
                for x, y, *masks in batches:
                    measured = masks[0].numpy()[..., 0] > 0 if masks else None
                    yield x.numpy(), y.numpy(), measured
            except tf.errors.OpError as error:
                raise explain(error, store) from None

        label_pairs = walk(self.label_store) if self.label_store else None
        done = 0
        for x, y, measured in walk(self.store):
            names = self.names[done : done + len(x)]
            drawn = [self.pictures.of(name, one) for name, one in zip(names, x, strict=True)]
            samples = np.stack(  # [n, B, H, W, C]
                [[file_levels(self.spec, p) for p in some] for some in drawn], axis=1
            )
            label_x, label_y, own = next(label_pairs) if label_pairs else (x, y, None)
            if own is not None:
                measured = own if measured is None else own & measured
            if not self.paired:
                measured = None  # it says where both images of a pair are
            if measured is not None:
                self.pixels += measured.size
                self.left_out += int(np.count_nonzero(~measured))
            true, classes = self.spec.levels(x, y), self._classes(label_x, label_y)
            batch = Batch.of(names, true, samples, x, classes=classes, measured=measured)
            yield x, dataclasses.replace(batch, paired=self.paired)
            done += len(x)

    def _true_pictures(self) -> Iterator[np.ndarray]:
        """The levels of all images of the targets' side, where they are no pairs."""
        import tensorflow as tf

        from tfpix2pix.data import evaluation_batches, explain

        batches = evaluation_batches(
            self.store, size=self.size, batch_size=BATCH, indices=range(self.truths)
        )
        try:
            for x, y, *_ in batches:
                yield self.spec.levels(x.numpy(), y.numpy())
        except tf.errors.OpError as error:
            raise explain(error, self.store) from None

    def _truth_name(self, index: int) -> str:
        source = self.source
        assert isinstance(source, UnpairedSource), "others are pairs"
        return source.y.image_name(self.split, index)

    def _classes(self, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
        """The class of every pixel of the label images, uint8 ``[B, H, W]``."""
        if not self.label_spec.label_side:
            return None
        is_input = self.label_spec.label_side == "input"
        if not is_input and not self.paired:
            return None  # those of another image
        side, image = (self.label_spec.x, x) if is_input else (self.label_spec.y, y)
        return side.palette.to_classes(side.from_network(image))

    def _class_names(self) -> list[str] | None:
        from tfpix2pix.evaluation.confusion import counted_names

        palette = self.label_spec.x.palette or self.label_spec.y.palette
        return counted_names(palette) if palette is not None else None

    def _show(self, batch: Batch) -> None:
        """Keeps the first pictures for the page."""
        for i, fake in enumerate(batch.fake):
            if len(self.examples) < EXAMPLES:
                strip = self._strip(batch, i)
                if self.back is not None and fake.shape[-1] == self.spec.y.channels:
                    result = self.back.translate_x(fake.astype(np.float32) / 127.5 - 1.0)
                    again = _shown(file_levels(self.back.spec, result))
                    strip = dataclasses.replace(strip, again=again)
                self.examples.append(strip)

    def _rank(self, ranking: Ranking, batch: Batch) -> None:
        ranking.add(len(batch), lambda i, value: self._strip(batch, i, value))

    def _strip(self, batch: Batch, i: int, value: float = math.nan) -> Strip:
        """An image of a batch, as a person sees it."""
        assert batch.x is not None
        return Strip(
            batch.names[i],
            value,
            self.spec.picture_of_x(batch.x[i]),
            _shown(batch.fake[i]),
            _shown(batch.y[i]) if batch.paired else None,
        )


def _shown(levels: np.ndarray) -> np.ndarray:
    """Levels as a person sees them: uint8 ``[H, W, 1 or 3]``."""
    return as_uint8(levels[..., :3] if levels.shape[-1] >= 3 else levels[..., :1])


def _check_same_pairs(store: PairStore, other: PairStore) -> None:
    names = [[s.pair_name(i) for i in range(s.count)] for s in (store, other)]
    if names[0] != names[1]:
        raise UserError(
            f"{store.source.name}: with --label_palette it has other {store.split} pairs "
            f"({len(names[1]):,}) than without ({len(names[0]):,}); leave the palette out"
        )


def _scorer_facts(evaluators: Sequence[Evaluator]) -> dict[str, Any] | None:
    """Which network judged, and how good it is itself."""
    for evaluator in evaluators:
        scorer = getattr(evaluator, "scorer", None)
        if scorer is not None:
            return {
                "identity": scorer.identity,
                "palette": scorer.palette.name,
                "size": scorer.size.value,
                "val": dict(scorer.val),
            }
    return None
