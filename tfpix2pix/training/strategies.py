"""Where a run is computed: ``--strategy`` as a ``tf.distribute`` strategy.

A strategy says nothing of what is computed: the batch is the global one whatever number of devices
share it, so a run may be continued under another strategy or on another number of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import Config
from tfpix2pix.training.cluster import meet, read_cluster

if TYPE_CHECKING:
    import tensorflow as tf

STRATEGIES = ("default", "mirrored", "multi_worker", "tpu")


def check_strategy(
    name: str, config: Config, environment: Mapping[str, str] = os.environ, tpu: str = ""
) -> None:
    """Refuses what cannot train, before TensorFlow is imported.

    Raises:
      UserError: ``TF_CONFIG`` is missing, wrong, or set for nothing; the batch does not divide over
        the workers, or its statistics would depend on their number; a TPU is to do what only GPUs
        can.
    """
    if tpu and name != "tpu":
        raise UserError(f"--tpu={tpu} means nothing with --strategy={name}; give --strategy=tpu")
    if name != "default" and config.batch_statistics:
        raise UserError(
            f"--norm=batch takes statistics over the batch, which --strategy={name} would split; "
            "use --norm=instance, or --strategy=default"
        )
    if name == "tpu" and config.mixed_precision == "float16":
        raise UserError(
            "--mixed_precision=float16 is nothing that a TPU computes in; use "
            "--mixed_precision=bfloat16"
        )
    if name == "tpu" and config.jit_compile:
        raise UserError(
            "--jit_compile does not go with --strategy=tpu, which compiles every step anyway; "
            "give --nojit_compile"
        )
    if name == "multi_worker":
        cluster = read_cluster(environment)
        if config.batch_size % len(cluster):
            raise _indivisible(config, len(cluster), "workers in TF_CONFIG")
    elif name in ("default", "mirrored") and environment.get("TF_CONFIG", "").strip():
        try:
            workers = len(read_cluster(environment))
        except UserError:
            return  # of something else, perhaps; it is not read then
        if workers > 1:
            raise UserError(
                f"TF_CONFIG names {workers} workers, and --strategy={name} would train on this one "
                "alone; give --strategy=multi_worker, or unset TF_CONFIG"
            )


def build_strategy(name: str, config: Config, tpu: str = "") -> tf.distribute.Strategy | None:
    """The strategy of a name; None for ``default``, one device.

    Waits, under ``multi_worker``, until all workers are there. To be called before anything else
    wakes TensorFlow's devices.

    Args:
      name: one of ``STRATEGIES``, checked by ``check_strategy``.
      config: the run's.
      tpu: name of a Cloud TPU; empty for the one that the environment names or the local one.

    Raises:
      UserError: the cluster or TPU cannot be reached, or the batch does not divide over devices.
    """
    if name == "default":
        return None
    import tensorflow as tf

    try:
        if name == "mirrored":
            strategy = tf.distribute.MirroredStrategy()
        elif name == "multi_worker":
            strategy = _multi_worker()
        else:
            strategy = _tpu(tpu)
    except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
        text = " ".join(str(getattr(error, "message", None) or error).split())[:300]
        advice = {
            "mirrored": "check the devices",
            "multi_worker": "check TF_CONFIG, and that every worker is started and reachable",
            "tpu": "check --tpu and that this machine has or reaches a TPU",
        }[name]
        raise UserError(f"--strategy={name} could not be set up ({text}); {advice}") from None
    if config.batch_size % strategy.num_replicas_in_sync:
        raise _indivisible(config, strategy.num_replicas_in_sync, "devices that train together")
    return strategy


def _multi_worker() -> tf.distribute.Strategy:
    import tensorflow as tf

    meet(read_cluster())
    # Rings of the workers' processors, or NCCL where all of them have GPUs.
    kind = tf.distribute.experimental.CommunicationImplementation
    gpus = tf.config.list_physical_devices("GPU")
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=kind.AUTO if gpus else kind.RING
    )
    return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


def _tpu(name: str) -> tf.distribute.Strategy:
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name or _local_tpu())
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


def _local_tpu() -> str:
    """The TPU that the environment names, as TensorFlow users know it, else this machine's."""
    return os.environ.get("TPU_NAME", "local")


def _indivisible(config: Config, count: int, what: str) -> UserError:
    return UserError(
        f"--batch_size={config.batch_size} does not divide over the {count} {what}; give a "
        f"multiple of {count}, or another number of them"
    )


def slower_here(config: Config) -> str:
    """A sentence on settings that make training slower on this machine; empty where none does."""
    flags = []
    if config.mixed_precision != "none":
        flags.append(f"--mixed_precision={config.mixed_precision}")
    if config.jit_compile:
        flags.append("--jit_compile")
    if not flags:
        return ""
    import tensorflow as tf

    if any(device.device_type != "CPU" for device in tf.config.list_physical_devices()):
        return ""
    is_for = "is meant for GPUs and makes" if len(flags) == 1 else "are meant for GPUs and make"
    return f"{' and '.join(flags)} {is_for} training slower on this machine, which has none"
