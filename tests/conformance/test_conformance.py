"""Every registered algorithm through everything that the house promises of it."""

from __future__ import annotations

import contextlib
import html
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tfpix2pix.algorithms import registry
from tfpix2pix.data import open_store, training_batches
from tfpix2pix.export import Request, export_run, open_model, verify
from tfpix2pix.models.weights import named_weights
from tfpix2pix.training.checkpoints import Checkpoints
from tfpix2pix.training.run import train


def quiet(text: str) -> None:
    pass


def variables_of(state: dict, prefix: str = "") -> dict[str, tf.Variable]:
    """Every variable of a state by its path."""
    found = {}
    for name, value in state.items():
        if isinstance(value, dict):
            found |= variables_of(value, f"{prefix}{name}/")
        else:
            found[prefix + name] = value
    return found


def flat(state: dict) -> dict[str, np.ndarray]:
    """The numbers of every variable of a state by its path."""
    return {name: value.numpy() for name, value in variables_of(state).items()}


def first_batches(case, count: int = 1):
    store = open_store(case.source, "train", size=case.config.load_size)
    batches = training_batches(
        store,
        crop_size=case.config.crop_size,
        flip=True,
        batch_size=case.config.batch_size,
        seed=case.config.seed,
        start_step=0,
        stop_step=count,
    )
    return store, list(batches)


def stored(path: Path) -> dict[str, np.ndarray]:
    """Every variable of a checkpoint by its path; `flat` of the state that it was written of."""
    reader = tf.train.load_checkpoint(str(path / "state"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


pytestmark = pytest.mark.charts


@pytest.fixture(scope="session")
def trained(graphless):
    """`trained(case, workdir)`: of pix2pix and the toy with graphs, as anybody does.

    Of the others without: a third of the time goes into making them, and their steps have theirs
    in `TWO_DEVICES`, the rest in the tests of the command line.
    """

    def of(case, workdir):
        graphs = case.name in ("pix2pix", "toy")
        with contextlib.nullcontext() if graphs else graphless():
            return train(case.config, workdir, case.source, say=quiet)

    return of


@pytest.fixture(scope="session")
def finished(trained, tmp_path_factory):
    """`finished(case)`: the workdir of its whole training, and the outcome. Do not write."""
    made = {}

    def of(case):
        if case.name not in made:
            folder = tmp_path_factory.mktemp(case.name) / "run"
            made[case.name] = folder, trained(case, folder)
        return made[case.name]

    return of


# === A step ===


def test_the_declaration_is_whole(case):
    algorithm = case.build()
    groups = [group for update in algorithm.order() for group in update]
    assert sorted(groups) == sorted(algorithm.groups())  # each moves once a step
    trained = [name for names in algorithm.groups().values() for name in names]
    assert sorted(trained) == sorted(algorithm.networks)
    for generator in type(algorithm).generators(case.config).values():
        assert generator.name in algorithm.networks
        default = registry.default_generator(case.config)
        assert tuple(type(algorithm).generators(case.config)) == case.config.directions
        assert case.config.takes_noise == (default.noise is not None)
        assert case.config.size_multiple % generator.size_multiple == 0
        found = [each.name for each in algorithm.networks[generator.name].inputs]
        takes = {"z": generator.noise, "latent": generator.latent}
        assert found[1:] == [name for name, spec in takes.items() if spec]
        assert case.config.latent_size == (generator.latent.size if generator.latent else 0)
    assert case.config.best_metric in [measure.name for measure in case.config.measures]


def test_a_step_moves_every_network_and_reports_what_is_drawn(case, eagerly):
    algorithm = case.build()
    store, (batch,) = first_batches(case)
    algorithm.prepare(store)
    before = flat(algorithm.state())
    means = algorithm.train_step(*batch)
    assert all(np.isfinite(float(value)) for value in means.values())
    after = flat(algorithm.state())
    assert after["step"] == 1
    for name, network in algorithm.networks.items():
        keys = named_weights(network, trainable_only=True)
        moved = [k for k in after if any(k.endswith(f"/{key}") for key in keys)]
        assert any(not np.array_equal(before[key], after[key]) for key in moved), name
    judged = {name for names in algorithm.judgements.values() for name in names}
    assert judged <= set(means)
    silent = [name for name, _, _ in algorithm.shown if name not in means]
    assert len(silent) <= 1  # of two terms of which one has the place of the other
    drawn = {line[3] for chart in case.config.charts for line in chart.lines if line[1] == "train"}
    assert drawn <= set(means)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_keeps_float32_weights(case, precision, eagerly):
    algorithm = case.build(mixed_precision=precision)
    store, (batch,) = first_batches(case)
    algorithm.prepare(store)
    means = algorithm.train_step(*batch)
    assert all(np.isfinite(float(value)) for value in means.values())
    for network in algorithm.networks.values():
        assert all(w.dtype == tf.float32 for w in named_weights(network).values())
    plain, exact = case.build(), algorithm.exact()
    assert set(exact) == set(plain.networks)
    for name, network in exact.items():
        average = algorithm.averages.get(name)
        weights = named_weights(algorithm.networks[name]) if average is None else average.values
        for key, weight in named_weights(network).items():
            trained = weights[key]
            np.testing.assert_array_equal(weight.numpy(), trained.numpy())


TWO_DEVICES = """
import sys
sys.path.insert(0, sys.argv[2])
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from conftest import case_of
from test_conformance import first_batches, flat, variables_of
case = case_of(sys.argv[1])
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

STEPS = 5

def steps(chosen):
    # The algorithm before the steps, and then the losses of each.
    store, batches = first_batches(case, STEPS)
    algorithm = case.build(chosen)
    algorithm.prepare(store)
    yield algorithm
    for batch in batches:
        # Graphs take longer to make than these steps do: the two devices have them, where a
        # variant has those of its algorithm.
        tf.config.run_functions_eagerly(chosen is None or case.name != case.config.algorithm)
        if chosen is not None:
            parts = [[tensor[i : i + 1] for tensor in batch] for i in (0, 1)]
            batch = strategy.experimental_distribute_values_from_function(
                lambda c: tuple(parts[c.replica_id_in_sync_group]))
        yield {k: float(v) for k, v in algorithm.train_step(*batch).items()}

alone, together = steps(None), steps(strategy)
one, two = next(alone), next(together)
off = {}
for _ in range(STEPS):
    losses, others = next(alone), next(together)
    for name in losses:
        gap = abs(losses[name] - others[name])
        assert gap < 1e-4 * max(1, abs(losses[name])), (name, losses, others)
    state, states = flat(one.state()), flat(two.state())
    for name in state:
        if "/v/" in name or name == "step":
            continue
        gap, least = np.abs(state[name] - states[name]), 1e-6
        off.setdefault(name, []).append(np.mean(gap > 2e-3 * max(least, np.abs(state[name]).max())))
        # A mean in the place of the sum over replicas is half of it away, in every step.
        apart = np.linalg.norm(gap) / max(least, np.linalg.norm(state[name]))
        assert apart <= 0.1, (name, apart)
    # Each step starts from the same weights: of CUT's gradients one other sign in thousands of
    # weights makes others.
    for name, variable in variables_of(two.state()).items():
        if name.split("/")[-1] not in ("step", "images", "count"):
            variable.assign(state[name])
for name, shares in off.items():
    # Where a gradient is rounding, Adam's first step is of its sign, and a unit that is next to 0
    # has a slope or none, as rounding will: that is chance, which not four steps of five have.
    assert sorted(shares)[1] <= 2e-3, (name, shares)
print("equal")
"""


def test_two_replicas_equal_one(case, run_python):
    if case.name == "scorer":
        pytest.skip("from scratch it normalises by the batch, which two replicas would split")
    done = run_python(TWO_DEVICES, case.name, Path(__file__).parent)
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]


# === A run ===


def test_killed_and_resumed_it_ends_with_the_same_bits(
    case, trained, finished, tmp_path, monkeypatch
):
    folder, whole = finished(case)
    monkeypatch.setattr(tfpix2pix.report.page, "_drawn_charts", lambda records: [])
    assert (whole.steps_done, whole.exit_code) == (4, 0)
    parts = shutil.copytree(folder, tmp_path / "parts")
    shutil.rmtree(Checkpoints(parts).path(4))  # as if it had been killed while it was written
    again = trained(case, parts)
    assert (again.steps_done, again.trained_now) == (4, 2)
    states = [stored(Checkpoints(workdir).path(4)) for workdir in (folder, parts)]
    assert set(states[0]) == set(states[1])
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name], err_msg=name)
    assert whole.best == again.best


def test_the_report_draws_what_the_algorithm_declares(case, finished):
    workdir, outcome = finished(case)
    page = outcome.report.read_text(encoding="utf-8")
    for chart in case.config.charts:
        assert html.escape(chart.heading, quote=True).replace("&#x27;", "&#39;") in page
    for measure in case.config.measures:
        assert measure.title in page
    run = json.loads((workdir / "run.json").read_text())
    assert run["parameters"]
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    val = [record for record in records if record["kind"] == "val"]
    assert [record["step"] for record in val] == [2, 4]
    assert {measure.name for measure in case.config.measures} <= set(val[0])


def test_a_run_of_a_kind_that_is_not_known_has_a_report(case, finished, tmp_path, monkeypatch):
    if case.name != "toy":
        pytest.skip("one will do")
    workdir = shutil.copytree(finished(case)[0], tmp_path / "run")
    monkeypatch.delitem(registry.ALGORITHMS, "toy")
    page = tfpix2pix.report.write_report(workdir).read_text(encoding="utf-8")
    assert "There and back" in page  # its own words, from run.json
    (workdir / "run.json").unlink()
    page = tfpix2pix.report.write_report(workdir).read_text(encoding="utf-8")
    assert "Training: losses" in page  # what the curves hold, without words


# === Using it ===


@pytest.fixture
def makes_pictures(case):
    if not case.kind.generators(case.config):
        pytest.skip(f"{case.name} makes no pictures")
    return case


def test_it_translates_pictures_of_any_size(makes_pictures, finished):
    case = makes_pictures
    model = tfpix2pix.load(finished(case)[0])
    picture = np.random.default_rng(0).integers(0, 256, (37, 51, 3), np.uint8)
    found = model.translate(picture, seed=3)
    assert (found.shape, found.dtype) == (picture.shape, np.uint8)
    np.testing.assert_array_equal(found, model.translate(picture, seed=3))
    generator = registry.default_generator(case.config)
    same = np.array_equal(found, model.translate(picture, seed=4))
    assert same == (generator.noise is None and generator.latent is None)


def test_it_is_exported_with_proof(makes_pictures, finished, tmp_path):
    run, _ = finished(makes_pictures)
    directions = makes_pictures.config.directions
    if makes_pictures.name != "toy":  # of the others that have two, one will do
        directions = directions[:1]
    # What is an algorithm's own is which network goes out, and with what inputs; the networks in
    # every format are in tests/export. So each of the formats has an algorithm here.
    known = {"pix2pix": ("tflite",), "cyclegan": ("savedmodel",), "toy": ("savedmodel", "onnx")}
    formats = known.get(makes_pictures.name, ("onnx",))
    request = Request(
        formats, quantize=("none",), direction="both" if directions[1:] else directions[0]
    )
    made = export_run(run, tmp_path / "out", request, check_count=1)
    if makes_pictures.name == "toy":
        assert verify(tmp_path / "out", check_count=1).good
    picture = np.random.default_rng(0).integers(0, 256, (37, 51, 3), np.uint8)
    for direction, part in zip(directions, made.parts, strict=True):
        kinds = {artifact.format for artifact, _ in part.manifest.artifacts}
        assert kinds == set(formats)
        expected = tfpix2pix.load(run, direction=direction).translate(picture, seed=3).astype(int)
        for path in [tmp_path / "out", *(part.output / a.path for a, _ in part.manifest.artifacts)]:
            model = open_model(path, direction=direction)
            found = model.translate(picture, seed=3).astype(int)
            off = np.abs(found - expected).max(axis=-1)
            if makes_pictures.config.labels_out:  # where two classes are level, rounding chooses
                assert (off == 0).mean() >= 0.999, path
            else:
                assert off.max() <= 1, path
