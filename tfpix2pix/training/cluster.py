"""``TF_CONFIG``: which processes train together, and which of them this one is.

The form is TensorFlow's own: ``{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type":
"worker", "index": 0}}``, perhaps with one ``"chief"`` besides. Read here before TensorFlow is
imported, so that a mistake is answered in a sentence and not by a process that waits for ever.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfpix2pix.base.errors import UserError

START_TIMEOUT = 15 * 60.0  # seconds that workers wait for the last one

EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


class WorkerLost(Exception):
    """Another worker ended or cannot be reached; the message says what is left and what to do."""


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
      addresses: ``HOST:PORT`` of every worker; the first is the chief, which alone writes.
      index: this process's number among them.
    """

    addresses: tuple[str, ...]
    index: int

    def __len__(self) -> int:
        return len(self.addresses)


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster that ``TF_CONFIG`` describes.

    Raises:
      UserError: it is missing, no JSON, or not a description of workers.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        raise UserError(
            "--strategy=multi_worker: the environment variable TF_CONFIG is not set; set it on "
            f"every worker to JSON like {EXAMPLE}, with each worker's own index"
        )
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _wrong(f"is no JSON ({error})") from None
    cluster, task = (_mapping(config, name) for name in ("cluster", "task"))
    others = sorted(set(cluster) - {"chief", "worker"})
    if others:
        raise _wrong(f"has {', '.join(others)} in its cluster, and only chief and worker train")
    jobs = {name: _addresses(cluster, name) for name in ("chief", "worker") if name in cluster}
    if len(jobs.get("chief", ())) > 1:
        raise _wrong(f"has {len(jobs['chief'])} chiefs where one is allowed")
    addresses = [address for job in jobs.values() for address in job]
    if not addresses:
        raise _wrong("has no worker in its cluster")
    repeated = sorted({address for address in addresses if addresses.count(address) > 1})
    if repeated:
        raise _wrong(f"names {repeated[0]} twice, and every worker has an address of its own")
    return Cluster(tuple(addresses), _index(task, jobs))


def meet(cluster: Cluster, timeout: float = START_TIMEOUT) -> None:
    """Waits until every worker is there.

    TensorFlow waits too, but for ever, and deaf to signals. Each worker listens at its own address
    until it has reached all others; whoever has gone on by then is reached at TensorFlow's server.

    Args:
      cluster: the workers.
      timeout: seconds to wait for the last one.

    Raises:
      UserError: one did not come, or the own port cannot be used.
    """
    missing = [address for i, address in enumerate(cluster.addresses) if i != cluster.index]
    deadline = time.monotonic() + timeout
    with _listening(cluster.addresses[cluster.index], len(cluster)):
        while True:
            missing = [address for address in missing if not _reached(address)]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise UserError(
                    f"--strategy=multi_worker: {', '.join(missing[:3])} of TF_CONFIG could not be "
                    f"reached within {timeout:g} seconds; start all workers, and check addresses "
                    "and firewalls"
                )
            time.sleep(0.2)


def _listening(address: str, count: int) -> socket.socket:
    # On every interface, as TensorFlow's server: the name may be known to the others only.
    port = int(address.rpartition(":")[2])
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=2 * count
            )
        return socket.create_server(("", port), backlog=2 * count)
    except OSError as error:
        raise UserError(
            f"--strategy=multi_worker: port {port} of this worker's address {address} in TF_CONFIG "
            f"cannot be used ({error.strerror or error}); end what uses it, or give another port"
        ) from None


def _reached(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def _mapping(config: Any, name: str) -> Mapping[str, Any]:
    value = config.get(name) if isinstance(config, dict) else None
    if not isinstance(value, dict):
        raise _wrong(f"has no object {name!r}")
    return value


def _addresses(cluster: Mapping[str, Any], job: str) -> list[str]:
    found = cluster[job]
    if not isinstance(found, list):
        raise _wrong(f"has {found!r} for the cluster's {job}, where a list was expected")
    for address in found:
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise _wrong(f"names {address!r} as a {job}, where HOST:PORT was expected")
    return [str(address) for address in found]


def _index(task: Mapping[str, Any], jobs: Mapping[str, list[str]]) -> int:
    job, index = task.get("type"), task.get("index")
    if not isinstance(job, str) or job not in jobs:
        raise _wrong(f"has the task type {job!r}, where one of {', '.join(jobs)} was expected")
    if isinstance(index, str) and index.isdigit():
        index = int(index)  # as TensorFlow takes it
    count = len(jobs[job])
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
        raise _wrong(f"has the task index {index!r}, where 0 to {count - 1} was expected")
    return index + (len(jobs.get("chief", ())) if job == "worker" else 0)


def _wrong(what: str) -> UserError:
    return UserError(
        f"--strategy=multi_worker: the environment variable TF_CONFIG {what}; it must be JSON like "
        f"{EXAMPLE}"
    )


def lost(error: Any, kept: list[int]) -> str:
    """What a TensorFlow error says of a worker that is gone, and how to go on.

    Args:
      error: a ``tf.errors.OpError``.
      kept: steps of the checkpoints there are.
    """
    # The last words are the cause; before them stands where in the graph it was met.
    cause = str(error.message).replace("\\n", " ").split("Collective ops is aborted by:")[-1]
    reason = " ".join(cause.split("Additional GRPC")[0].split(". ")[0].split())
    reason = reason if len(reason) < 200 else reason[:200] + "…"
    saved = f"the checkpoint of step {kept[-1]:,} is intact" if kept else "nothing was saved yet"
    return (
        f"another worker has ended or cannot be reached any more ({reason}), so this one "
        f"stops too; {saved}; start all workers again with the same command to continue"
    )
