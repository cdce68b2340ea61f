"""Images that a generator made lately, for a discriminator that is to remember them."""

from __future__ import annotations

import tensorflow as tf

NUMBERS = 2  # drawn for an image: whether it is exchanged, and for which


class ImagePool:
    """The images that the discriminator is shown in the place of the newest ones (Shrivastava et
    al. 2017, arXiv 1612.07828, section 2.3, by the rule of CycleGAN's code).

    Image after image: a pool that is not full keeps and returns the new one. A full one, with
    probability one half, returns one that it has, any with the same probability, and keeps the new
    one in its place; else it returns the new one and keeps nothing.

    The images are exchanged in the order of the whole batch, on every replica alike, so that
    several replicas have the pool of one.

    Args:
      size: images that it holds.
      shape: ``(H, W, C)`` of each. Create this under the ``tf.distribute`` scope of its use.
    """

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        self.size = size
        once = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.images = tf.Variable(
            tf.zeros([size, *shape]), trainable=False, name="pool/images", aggregation=once
        )
        self.count = tf.Variable(
            0, dtype=tf.int64, trainable=False, name="pool/count", aggregation=once
        )

    def variables(self) -> dict[str, tf.Variable]:
        """What a checkpoint must hold."""
        return {"images": self.images, "count": self.count}

    def exchange(self, images: tf.Tensor, numbers: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        """Takes in a batch. Call in replica context.

        Args:
          images: this replica's, float32 ``[b, H, W, C]``.
          numbers: uniform in [0, 1), ``[B, NUMBERS]``, of the images of all replicas in their
            order.
          first: int64 scalar, this replica's first image among them.

        Returns:
          What the discriminator is shown, ``[b, H, W, C]``.
        """
        replica = tf.distribute.get_replica_context()
        mine = images.shape[0]
        if replica.num_replicas_in_sync > 1:
            images = replica.all_gather(images, axis=0)
        # By handle: each replica writes its own copy, and all of them the same into it.
        pool, counter = self.images.handle, self.count.handle
        count = tf.raw_ops.ReadVariableOp(resource=counter, dtype=tf.int64)
        returned = []
        for place in range(numbers.shape[0]):
            image, (luck, which) = images[place], tf.unstack(numbers[place])
            full = count >= self.size
            any_slot = tf.cast(which * self.size, tf.int64)
            slot = tf.where(full, tf.minimum(any_slot, self.size - 1), count)
            # One that is not full reads a place of its own, of zeros.
            old = tf.raw_ops.ResourceGather(resource=pool, indices=slot, dtype=tf.float32)
            swapped = full & (luck > 0.5)
            kept = tf.where(swapped | ~full, image, old)
            tf.raw_ops.ResourceScatterUpdate(resource=pool, indices=slot, updates=kept)
            returned.append(tf.where(swapped, old, image))
            count = tf.minimum(count + 1, self.size)
        tf.raw_ops.AssignVariableOp(resource=counter, value=count)
        whole = tf.stack(returned)
        return (
            whole
            if len(returned) == mine
            else tf.slice(whole, [first, *[0] * 3], [mine, *whole.shape[1:]])
        )
