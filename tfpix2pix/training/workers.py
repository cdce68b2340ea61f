"""The processes of one training: what they agree on, and how one notices that another is gone."""

from __future__ import annotations

import hashlib
import signal
import time

import numpy as np
import tensorflow as tf

from tfpix2pix.training.stop import StopRequest

_AGREE_EVERY = 1.0  # seconds between two agreements on whether to stop, about


class Workers:
    """This process among those that train together: one, unless the strategy has several workers.

    Args:
      strategy: the run's.

    Attributes:
      count: number of processes.
      index: of this one.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self.index, self.count = _place(strategy)
        self._devices = strategy.num_replicas_in_sync // self.count
        self._next_agreement = 0
        self._last_agreement: tuple[float, int] | None = None

    @property
    def chief(self) -> bool:
        """Whether this process writes: the workdir has one writer."""
        return self.index == 0

    def gather(self, *numbers: float) -> np.ndarray:
        """These numbers of every worker, float32 ``[count, len(numbers)]``; all must call it."""
        return self._gather(tf.constant(numbers, tf.float32)).numpy()

    @tf.function
    def _gather(self, numbers: tf.Tensor) -> tf.Tensor:
        def row() -> tf.Tensor:
            """One row of the table on one of this worker's devices, zeros elsewhere; then a sum."""
            place = tf.distribute.get_replica_context().replica_id_in_sync_group
            mine = tf.one_hot(place // self._devices, self.count)[:, None] * numbers
            return tf.where(tf.equal(place % self._devices, 0), mine, tf.zeros_like(mine))

        rows = self._strategy.run(row)
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, rows, axis=None)

    def same(self, text: str) -> bool:
        """Whether every worker asks with the same text; all must call it."""
        if self.count == 1:
            return True
        # Pieces of 24 bits, which float32 holds exactly.
        digest = hashlib.sha256(text.encode()).digest()[:24]
        pieces = [int.from_bytes(digest[i : i + 3], "big") for i in range(0, len(digest), 3)]
        table = self.gather(*pieces)
        return bool((table == table[0]).all())

    def stopping(self, step: int, stop: StopRequest) -> bool:
        """Whether to stop before the next step: at the same step in every worker.

        One worker that was told to stop tells the others, about once a second: each of them stops
        as if the signal had come to itself.

        Args:
          step: steps done, the same in all workers.
          stop: this worker's; set to the signal that another one got.
        """
        if self.count == 1:
            return stop.signal is not None
        if step < self._next_agreement:
            return False
        now = time.monotonic()
        mine = int(stop.signal) if stop.signal else 0
        pace = 0.0
        if self._last_agreement:
            then, since = self._last_agreement
            pace = (now - then) / max(step - since, 1)
        table = self.gather(mine, pace)
        signals, paces = table[:, 0], table[:, 1]
        # Of numbers that all have, so that all come to the same step.
        steps = int(_AGREE_EVERY / max(float(paces.max()), 1e-3)) if paces.max() else 1
        self._next_agreement = step + max(1, min(steps, 100))
        self._last_agreement = time.monotonic(), step
        if not signals.any():
            return False
        if not mine:
            stop.signal = signal.Signals(int(signals.max()))
        return True

    def wait(self) -> None:
        """Waits until every worker has come here."""
        if self.count > 1:
            self.gather(0.0)

    def is_lost(self, error: tf.errors.OpError) -> bool:
        """Whether an error says that another worker is gone, and not that something failed here."""
        if self.count == 1:
            return False
        gone = (
            tf.errors.UnavailableError,
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
            tf.errors.FailedPreconditionError,
        )
        return isinstance(error, gone) or "ollective" in str(error.message)


def _place(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Which worker this process is, and of how many."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    chiefs, workers = (len(jobs.get(job, ())) for job in ("chief", "worker"))
    before = chiefs if resolver.task_type == "worker" else 0
    return before + (resolver.task_id or 0), max(chiefs + workers, 1)
