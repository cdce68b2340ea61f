"""TF_CONFIG read: every worker's number, and a sentence for what is no cluster."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.config import resolve
from tfpix2pix.training.cluster import Cluster, _reached, meet, read_cluster
from tfpix2pix.training.strategies import check_strategy


def environment(cluster, task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


WORKERS = {"worker": ["10.0.0.1:2222", "[::1]:2222", "host-2.train:80"]}


@pytest.mark.parametrize("index", [0, 1, 2, "2"])
def test_workers_are_counted_in_their_order(index):
    cluster = read_cluster(environment(WORKERS, {"type": "worker", "index": index}))
    assert cluster.addresses == tuple(WORKERS["worker"])
    assert (len(cluster), cluster.index) == (3, int(index))


def test_a_chief_comes_before_the_workers():
    jobs = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    chief = read_cluster(environment(jobs, {"type": "chief", "index": 0}))
    last = read_cluster(environment(jobs, {"type": "worker", "index": 1}))
    assert (chief.index, last.index, len(last)) == (0, 2, 3)
    assert last.addresses == ("a:1", "b:1", "c:1")


@pytest.mark.parametrize(
    ("cluster", "task", "words"),
    [
        (None, {"type": "worker", "index": 0}, "has no object 'cluster'"),
        (WORKERS, None, "has no object 'task'"),
        ({}, {"type": "worker", "index": 0}, "has no worker"),
        ({"worker": []}, {"type": "worker", "index": 0}, "has no worker"),
        ({"worker": "a:1"}, {"type": "worker", "index": 0}, "a list was expected"),
        ({"worker": ["a"]}, {"type": "worker", "index": 0}, "HOST:PORT was expected"),
        ({"worker": ["a:0"]}, {"type": "worker", "index": 0}, "HOST:PORT was expected"),
        ({"worker": [7]}, {"type": "worker", "index": 0}, "HOST:PORT was expected"),
        ({"worker": ["a:1", "a:1"]}, {"type": "worker", "index": 0}, "names a:1 twice"),
        ({"worker": ["a:1"], "ps": ["b:1"]}, {"type": "worker", "index": 0}, "has ps"),
        ({"chief": ["a:1", "b:1"]}, {"type": "chief", "index": 0}, "has 2 chiefs"),
        (WORKERS, {"type": "worker", "index": 3}, "the task index 3, where 0 to 2"),
        (WORKERS, {"type": "worker", "index": -1}, "the task index -1"),
        (WORKERS, {"type": "worker", "index": True}, "the task index True"),
        (WORKERS, {"type": "worker"}, "the task index None"),
        (WORKERS, {"type": "chief", "index": 0}, "the task type 'chief'"),
    ],
)
def test_what_is_no_cluster_is_refused(cluster, task, words):
    with pytest.raises(UserError, match="TF_CONFIG") as refusal:
        read_cluster(environment(cluster, task))
    assert words in str(refusal.value)


@pytest.mark.parametrize("text", ["[]", "null", "3", '"x"', "{", "{'cluster': 1}"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(UserError, match="TF_CONFIG"):
        read_cluster({"TF_CONFIG": text})


# === Meeting ===


@pytest.fixture
def ports():
    """Three ports of this machine that nobody uses."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(3)]
    found = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return found


def test_a_worker_goes_on_when_the_last_has_come(ports):
    cluster = Cluster(tuple(f"localhost:{port}" for port in ports), 0)
    waiting = threading.Thread(target=meet, args=(cluster, 60), daemon=True)
    with socket.create_server(("localhost", ports[1])):
        waiting.start()
        deadline = time.monotonic() + 60
        while not _reached(f"localhost:{ports[0]}"):  # as the others see it
            assert time.monotonic() < deadline
        assert waiting.is_alive()
        with socket.create_server(("localhost", ports[2])):
            waiting.join(60)
    assert not waiting.is_alive()


def test_a_worker_that_does_not_come_is_named(ports):
    addresses = tuple(f"localhost:{port}" for port in ports[:2])
    with pytest.raises(UserError, match=f"localhost:{ports[1]} of TF_CONFIG could not be reached"):
        meet(Cluster(addresses, 0), timeout=0)


def test_a_port_in_use_is_named(ports):
    addresses = tuple(f"localhost:{port}" for port in ports[:2])
    refusal = pytest.raises(UserError, match=f"port {ports[0]} of this worker's address")
    with socket.create_server(("", ports[0])), refusal:
        meet(Cluster(addresses, 0), timeout=0)


def test_other_peoples_tf_config_does_not_disturb_one_device():
    config = resolve({})
    check_strategy("default", config, {"TF_CONFIG": "something else"})
    one = environment({"worker": ["a:1"]}, {"type": "worker", "index": 0})
    check_strategy("default", config, one)
    with pytest.raises(UserError, match="names 3 workers"):
        check_strategy("default", config, environment(WORKERS, {"type": "worker", "index": 0}))
