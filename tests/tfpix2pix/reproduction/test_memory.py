"""A process that trains dozens of networks keeps none of them."""

from __future__ import annotations

import gc
import weakref

from tfpix2pix.config import resolve


def test_nothing_of_a_trained_network_stays():
    import tensorflow as tf

    from tfpix2pix.algorithms.registry import algorithm_class
    from tfpix2pix.reproduction.memory import forget

    config = resolve({"crop_size": 32, "bottleneck": 8, "ngf": 4, "ndf": 4})
    algorithm = algorithm_class(config.algorithm)(config, total_steps=1)
    x = tf.zeros([1, 32, 32, 3])
    graph = weakref.ref(algorithm.train_step.get_concrete_function(x, x).graph)
    algorithm.train_step(x, x)
    del algorithm
    forget()
    gc.collect()
    assert graph() is None
