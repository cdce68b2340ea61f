"""Importing TensorFlow without its start-up messages."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

import absl.flags
import absl.logging


def import_tensorflow(wake: bool = True) -> None:
    """Imports TensorFlow and wakes its devices, silently, and sets what every run relies on.

    TensorFlow greets the terminal from C++ code that no log level reaches, so the error stream is
    set aside meanwhile; where the import fails, what was said is printed after all.
    Operations are made deterministic: a resumed run gives the weights of an uninterrupted one.

    Args:
      wake: False where something is still to be settled that devices cannot change any more.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with error_stream_aside():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if absl.flags.FLAGS.is_parsed() and not absl.flags.FLAGS["verbosity"].present:
            absl.logging.set_verbosity(absl.logging.ERROR)
        for accelerator in tf.config.list_physical_devices("GPU"):
            # A notebook may have used TensorFlow before: then its devices stay as they are.
            with contextlib.suppress(RuntimeError):
                tf.config.experimental.set_memory_growth(accelerator, True)
        tf.config.experimental.enable_op_determinism()
        if wake:
            tf.config.list_logical_devices()
    # Keras 3 warns of an own "compute_output_shape" and NumPy of old C interfaces: not the user's.
    warnings.filterwarnings("ignore", module=r"(keras|tensorflow|numpy)\b")


def wake_compiler() -> None:
    """Starts XLA, which says so on the error stream once. Not before the devices are settled."""
    import tensorflow as tf

    with error_stream_aside():
        tf.function(lambda number: number + 1.0, jit_compile=True)(tf.constant(1.0))


@contextlib.contextmanager
def error_stream_aside() -> Iterator[None]:
    """Keeps what C++ code says on the error stream off the terminal, unless there is an error."""
    # Not what sys.stderr names: in a notebook that is another, and C++ knows only this one.
    descriptor = 2
    try:
        keep = os.dup(descriptor)
    except OSError:  # a program without
        yield
        return
    with tempfile.TemporaryFile() as aside:
        _flush()
        os.dup2(aside.fileno(), descriptor)
        try:
            yield
        except BaseException:
            _flush()
            os.dup2(keep, descriptor)
            aside.seek(0)
            print(aside.read().decode(errors="replace"), end="", file=sys.stderr)
            raise
        finally:
            _flush()
            os.dup2(keep, descriptor)
            os.close(keep)


def _flush() -> None:
    """Brings what was said before to where it belongs."""
    if sys.stderr is not None:
        sys.stderr.flush()
