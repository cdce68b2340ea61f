"""What a process keeps of networks that it is done with, over dozens of trainings."""

from __future__ import annotations

import gc
import sys


def forget() -> None:
    """Lets go of it, once nothing of ours refers to the networks any more.

    Keras remembers their graphs, and its names go on counting: begun anew, the next network's graph
    has the names that it has in a process of its own. And TensorFlow registers the gradient of
    every ``tf.custom_gradient`` in a graph for good, and through it the graph and all variables of
    the training: some 100 MB each at 64 px and ngf 32. A step that is traced does not look it up.
    """
    import tensorflow as tf

    tf.keras.backend.clear_session()
    ops = sys.modules.get(tf.Graph.__module__)  # private, so it may be another one some day
    gradients = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    for name in [name for name in gradients if str(name).startswith("CustomGradient-")]:
        del gradients[name]
    gc.collect()
