"""A picture in tiles is the picture of the whole, in less memory."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfpix2pix
from tests.tfpix2pix.inference.test_translator import make_run
from tfpix2pix.base.errors import UserError
from tfpix2pix.data import write_image
from tfpix2pix.inference import tiles, translator
from tfpix2pix.inference.files import Job, Manner, make_folders, translate_files
from tfpix2pix.models.base import LatentSpec
from tfpix2pix.models.resnet import resnet
from tfpix2pix.models.unet import unet

HEIGHT, WIDTH = 128, 192
RECIPE = {
    "norm": "group", "bottleneck": 4, "upsampling": "smooth", "padding": "replicate",
    "input_noise": 1, "last_channels": 4,
}  # fmt: skip


def image(height: int, width: int) -> np.ndarray:
    """Another left than right, so that statistics of a part are not those of the whole."""
    random = np.random.default_rng(0)
    values = random.normal(0, 40, (height, width, 3)) * np.linspace(0.1, 1, width)[:, None]
    return np.clip(values + np.linspace(0, 255, width)[:, None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        RECIPE,
        {"norm": "group", "upsampling": "bilinear", "padding": "replicate"},
        {"upsampling": "subpixel", "skips": False},
        {"norm": "none", "upsampling": "nearest"},
        {"norm": "batch", "bias_layers": "paper"},
        {"bias_layers": "pytorch", "dropout_layers": "pytorch", "crop_size": 64},
        {"blocks": 3, "dropout": 0.5},
        {"blocks": 1, "norm": "group", "upsampling": "nearest", "input_noise": 2},
        {"blocks": 1, "norm": "batch", "upsampling": "bilinear", "dropout": 0.1},
        {"blocks": 1, "upsampling": "subpixel", "norm": "instance_plain", "input_noise": 1},
        {"latent": LatentSpec(3)},
        {**RECIPE, "latent": LatentSpec(2, "all")},
        {"blocks": 1, "upsampling": "smooth", "dropout": 0.5, "latent": LatentSpec(3)},
    ],
)
def test_every_network_gives_the_picture_of_the_whole(settings):
    sizes = {"input_channels": 3, "output_channels": 3, "ngf": 4, **settings}
    generator = resnet(**sizes) if "blocks" in sizes else unet(**{"crop_size": 32, **sizes})
    model = generator.build()
    random = np.random.default_rng(1)
    for weights in model.weights:
        if len(weights.shape) == 4:
            fan_in = weights.shape[0] * weights.shape[1] * weights.shape[2]
            weights.assign(random.normal(0, fan_in**-0.5, weights.shape))
    x = image(HEIGHT, WIDTH).astype(np.float32) / 127.5 - 1
    z = random.uniform(0, 1, generator.z.shape(HEIGHT, WIDTH)).astype(np.float32)
    code = generator.latent and random.normal(size=generator.latent.size).astype(np.float32)
    given = [each[None] for each in (x, z, code) if each is not None]
    whole = model(given, training=False).numpy()[0]
    nodes = tiles.nodes_of(model, generator.z.factor)
    kept = []
    for depth in (1, max(node.level for node in nodes.values())):
        plan = tiles.Plan.of(nodes, HEIGHT, WIDTH, 70, depth)
        shares = []
        made = tiles.Tiles(plan, part_of(x), part_of(z), shares.append, code)
        y = tiles.joined(made, HEIGHT, WIDTH, lambda region, y: y)
        np.testing.assert_allclose(y, whole, atol=5e-5)
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1)
        kept.append(plan.bytes_kept())
    assert kept[-1] <= kept[0] / (1 if "blocks" in sizes else 4)


def part_of(array: np.ndarray):
    return lambda region: array[slice(*region[0]), slice(*region[1])]


def test_a_plan_takes_no_more_than_there_is_and_computes_least():
    model = unet(crop_size=256, input_channels=3, output_channels=3, ngf=16).build()
    nodes = tiles.nodes_of(model, 128)
    whole = 4 * 16 * 2048**2  # bytes of the features of the first level
    works = []
    for room in (10 * whole, whole, whole // 2):
        plan = tiles.plan(nodes, 4096, 4096, room)
        assert plan.bytes_kept() + plan.bytes_worked() <= room
        works.append(sum(map(plan.work, plan.steps)))
    assert works == sorted(works)
    assert works[0] < works[-1]
    assert tiles.plan(nodes, 4096, 4096, 1 << 20) is None


def test_a_resnets_blocks_take_no_more_the_more_there_are():
    """Of the sums one is kept at a time, not all that was added up."""
    kept = []
    for blocks in (2, 9):
        generator = resnet(input_channels=3, output_channels=3, ngf=4, blocks=blocks)
        nodes = tiles.nodes_of(generator.build())
        kept.append(tiles.Plan.of(nodes, 512, 512, 64, 2).bytes_kept())
    assert kept == [3 * 4 * 16 * 128**2] * 2


def test_a_layer_that_is_not_known_has_no_tiles():
    x = tf.keras.Input((None, None, 3))
    pooled = tf.keras.layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    with pytest.raises(tiles.Unknown, match="mean"):
        tiles.nodes_of(tf.keras.Model(x, pooled))


# === As it is used ===


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "run"
    make_run(workdir)
    return tfpix2pix.load(workdir)


@pytest.mark.parametrize(("height", "width"), [(150, 210), (40, 333), (1, 129)])
@pytest.mark.parametrize("deterministic", [False, True])
def test_sides_that_need_padding(model, height, width, deterministic):
    notes: list[str] = []
    how = {"seed": 5, "deterministic": deterministic}
    whole = model.translate(image(height, width), tile="off", **how)
    tiled = model.translate(image(height, width), tile=64, notes=notes, **how)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert np.mean(tiled != whole) < 0.01
    assert notes == []


def test_no_seam_where_tiles_meet(model):
    """The steps between neighbours across the lines where tiles meet are those of other lines."""
    whole = model.translate(image(256, 256), tile="off").astype(int)
    tiled = model.translate(image(256, 256), tile=64).astype(int)
    apart = np.abs(np.diff(tiled, axis=1)).mean((0, 2))
    expected = np.abs(np.diff(whole, axis=1)).mean((0, 2))
    seams = [63, 127, 191]
    np.testing.assert_allclose(apart[seams], expected[seams], rtol=0.01)


def test_the_memory_decides(model, monkeypatch):
    needed = translator.whole_bytes(model.described, 256, 256)
    notes: list[str] = []
    whole = model.translate(image(256, 256), notes=notes)
    assert notes == []
    monkeypatch.setattr(translator, "available_memory", lambda: needed)
    with pytest.raises(UserError, match=r"256x256 pixels .*not in tiles either .*--fit"):
        model.translate(image(256, 256))
    monkeypatch.setattr(tiles, "SIDES", (64,))
    monkeypatch.setattr(tiles, "_LEAST", 4)
    tiled = model.translate(image(256, 256), notes=notes)
    assert notes == [translator.IN_TILES]
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    # So does evaluate.
    x = model.spec.read_input(model._decoded(image(256, 256)))
    np.testing.assert_array_equal(model.translate_x(x), tiled)


def test_what_runs_out_of_memory_as_a_whole_is_made_in_tiles(model, monkeypatch):
    whole = model.translate(image(96, 96))
    monkeypatch.setattr(model.network, "_forward", exhausted)
    assert np.abs(model.translate(image(96, 96)).astype(int) - whole).max() <= 1
    with pytest.raises(tf.errors.ResourceExhaustedError):
        model.translate(image(96, 96), tile="off")


@pytest.mark.parametrize(("fit", "advice"), [(False, "use --fit, or cut it"), (True, "; cut it")])
def test_no_advice_that_was_followed_already(model, monkeypatch, tmp_path, fit, advice):
    write_image(tmp_path / "a.png", image(40, 40))
    monkeypatch.setattr(model, "translate", exhausted)
    job = Job(tmp_path / "a.png", tmp_path / "b.png")
    (found,) = translate_files(model, [job], Manner(fit=fit))
    assert str(found).endswith(advice)


def exhausted(*inputs, **how):
    raise tf.errors.ResourceExhaustedError(None, None, "OOM")


class Negative:
    """An engine, whose layers are not known."""

    takes_noise, image_size, max_pixels = False, None, None

    def __call__(self, x, z):
        return -x


def test_what_has_no_tiles_is_skipped_with_a_sentence_and_the_rest_is_done(
    model, monkeypatch, tmp_path
):
    export = translator.Translator(model.config, Negative(), 1, model.spec)
    monkeypatch.setattr(translator, "available_memory", lambda: 1 << 20)
    jobs = []
    for name, side in (("large", 256), ("small", 32)):
        write_image(tmp_path / f"{name}.png", image(side, side))
        jobs.append(Job(tmp_path / f"{name}.png", tmp_path / "out" / f"{name}.png"))
    make_folders(jobs, str(tmp_path / "out"))
    large, small = translate_files(export, jobs, Manner())
    assert "large.png: 256x256 pixels" in str(large)
    assert "use --fit, or the run itself (--workdir), which makes it in tiles" in str(large)
    assert not isinstance(small, UserError)
    assert jobs[1].target.exists()
    assert not jobs[0].target.exists()


def test_an_image_whose_pixels_do_not_fit_is_not_even_read(model, monkeypatch, tmp_path):
    write_image(tmp_path / "a.png", image(100, 200))
    monkeypatch.setattr("tfpix2pix.inference.files.available_memory", lambda: 200_000)
    (found,) = translate_files(model, [Job(tmp_path / "a.png", tmp_path / "b.png")], Manner())
    assert "a.png: 200x100 pixels need 0.2 MB of memory to be read" in str(found)


@pytest.mark.parametrize("tile", [0, 63, -128, 1.5, "on", True])
def test_a_tile_that_cannot_be_is_refused(model, tile):
    with pytest.raises(ValueError, match=f"tile={tile}: expected auto, off or pixels, 64 or more"):
        model.translate(image(32, 32), tile=tile)
