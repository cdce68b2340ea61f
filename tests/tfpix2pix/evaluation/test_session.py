"""A whole evaluation: the pictures are those of translate, the numbers those of all images."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.registry import default_generator
from tfpix2pix.base.errors import UserError
from tfpix2pix.config import Config
from tfpix2pix.config.dataset import open_source, resolved
from tfpix2pix.data import open_store, write_image
from tfpix2pix.evaluation import L1, PSNR
from tfpix2pix.evaluation.base import MeanOverImages, Number
from tfpix2pix.evaluation.data import open_labels, open_pairs
from tfpix2pix.evaluation.diversity import Diversity, mean_pairwise_l1
from tfpix2pix.evaluation.labels import LabelsOut
from tfpix2pix.evaluation.session import evaluate_model, evaluate_predictions
from tfpix2pix.evaluation.sharpness import Sharpness
from tfpix2pix.inference import KerasNetwork, Translator
from tfpix2pix.models.weights import named_weights

PALETTE = {
    "name": "three",
    "classes": [
        {"name": "sky", "color": [10, 20, 250], "index": 7},
        {"name": "road", "color": [120, 60, 0], "index": 3},
        {"name": "none", "color": [0, 0, 0], "index": 0, "void": True},
    ],
}
VAL = 10  # more than one batch, and not a multiple of it


class Recorder(MeanOverImages):
    """Keeps everything that it is shown."""

    name = "recorder"
    numbers_of = (Number("recorder", "recorder", "higher"),)

    def __init__(self):
        super().__init__()
        self.seen = []

    def values(self, batch):
        self.seen.append(batch)
        return np.arange(len(batch), dtype=np.float64)

    def all(self, field: str) -> np.ndarray:
        return np.concatenate([getattr(batch, field) for batch in self.seen])


def translator_of(config: Config, source) -> Translator:
    """A translator with random weights, large enough that its pictures differ."""
    config = resolved(config, source.spec)
    generator = default_generator(config).build()
    random = np.random.default_rng(3)
    for name, variable in named_weights(generator).items():
        value = random.normal(0, 0.2, tuple(variable.shape)) + name.endswith("gamma")
        variable.assign(value.astype(np.float32))
    return Translator(config, KerasNetwork(generator), 5, source.spec, "ab" * 32)


@pytest.fixture(scope="module")
def palette_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("palette") / "three.json"
    path.write_text(json.dumps(PALETTE))
    return path


@pytest.fixture(scope="module")
def make(tmp_path_factory, palette_file):
    """`make(kind) -> (translator, source)` of a drawn set of 40x40 pixels, one for each kind."""
    made = {}

    def of(kind: str):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            values = {"crop_size": 32, "load_size": 32, "ngf": 4, "bottleneck": 8}
            values["allow_mixed_sizes"] = True
            values |= {"input_dir": f"{folder}/A", "target_dir": f"{folder}/B", "dataset": ""}
            values |= WISHES.get(kind, {})
            if kind in ("labels_in", "onehot", "labels_out"):
                values["label_palette"] = str(palette_file)
            for split, count in (("train", 2), ("val", VAL)):
                for i in range(count):
                    x, y = draw(kind, 100 * count + i)
                    for side, picture in (("A", x), ("B", y)):
                        (folder / side / split).mkdir(parents=True, exist_ok=True)
                        suffix = ".npy" if picture.dtype == np.float32 else ".png"
                        write_image(folder / side / split / f"{i:02d}{suffix}", picture)
            config = Pix2PixConfig(**values)
            source = open_source(config)
            made[kind] = translator_of(config, source), source
        return made[kind]

    return of


WISHES = {
    "lab": {"color_space": "lab"},
    "onehot": {"input_encoding": "onehot"},
    "deep": {"target_range": "100:60000"},
    "float": {"target_range": "0:2"},
}
KINDS = ("colour", "grey", "deep", "float", "labels_in", "onehot", "labels_out", "indices")


def draw(kind: str, seed: int, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (2, size, size, 3), np.uint8)
    blocks = np.kron(random.integers(0, 3, (10, 10)), np.ones((4, 4), int))
    colors = np.array([c["color"] for c in PALETTE["classes"]], np.uint8)[blocks]
    indices = np.array([c["index"] for c in PALETTE["classes"]], np.uint8)[blocks][..., None]
    grey = rgb[0, ..., :1]
    return {
        "grey": (grey, rgb[1, ..., :1]),
        "deep": (grey, random.integers(0, 65536, (size, size, 1), np.uint16)),
        "float": (grey, random.random((size, size, 2)).astype(np.float32) * 2),
        "labels_in": (colors, rgb[1]),
        "plain_labels": (colors, rgb[1]),
        "onehot": (indices, rgb[1]),
        "labels_out": (rgb[0], colors),
        "lab": (np.repeat(grey, 3, -1), rgb[1]),
        "indices": (grey, rgb[1]),
    }.get(kind, (rgb[0], rgb[1]))


# === The pictures ===


def translated(translator, source, size, folder, **options):
    """What translate makes of the val inputs, resized and written as files, in a folder."""
    store = open_store(source, "val", size=size)
    for i in range(store.count):
        x, _ = store.pair(i)
        side = translator.spec.x
        picture = side.palette.to_indices(x[..., 0]) if side.is_classes else x
        path = folder / f"{store.pair_name(i)}{translator.spec.suffix}"
        write_image(path, translator.translate(picture, **options))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_scores_as_the_folder_of_its_translations(make, kind, tmp_path):
    translator, source = make(kind)
    folder = translated(translator, source, 32, tmp_path, seed=7)
    one, other = [L1(), PSNR(), Sharpness()], [L1(), PSNR(), Sharpness()]
    model = evaluate_model(translator, source, one, seed=7)
    files = evaluate_predictions(folder, source, other)
    assert model.numbers == files.numbers
    assert model.errors == files.errors
    assert model.facts["pictures_sha256"] == files.facts["pictures_sha256"]
    assert model.facts["targets_sha256"] == files.facts["targets_sha256"]
    for name, statistics in model.statistics.items():
        for key, values in statistics.items():
            np.testing.assert_array_equal(values, files.statistics[name][key])
    assert model.numbers["l1"] > 0.01


def test_at_a_size_that_has_to_be_padded_and_without_noise(make, tmp_path):
    translator, source = make("colour")
    options = {"deterministic": True}
    folder = translated(translator, source, 40, tmp_path, **options)
    model = evaluate_model(translator, source, [L1()], size=40, **options)
    files = evaluate_predictions(folder, source, [L1()])
    assert model.facts["size"] == files.facts["size"] == 40
    assert model.facts["pictures_sha256"] == files.facts["pictures_sha256"]
    assert model.numbers == files.numbers


def test_lab_pairs_are_measured_as_the_photographs_that_translate_makes(make):
    translator, source = make("lab")
    recorder = Recorder()
    evaluate_model(translator, source, [recorder], size=40, limit=3)
    for i, fake in enumerate(recorder.all("fake")):
        assert fake.dtype == np.uint8
        # The lightness that the photograph has is the input: translating it gives the same.
        photo = source_photo(source, i)
        np.testing.assert_array_equal(translator.translate(photo), fake)


def source_photo(source, index: int) -> np.ndarray:
    from tfpix2pix.data import decode

    return decode(source.files("val", index).b).array


def test_the_numbers_are_those_of_all_images_the_last_partial_batch_too(make):
    translator, source = make("colour")
    store = open_store(source, "val", size=32)
    errors = []
    for i in range(VAL):
        x, y = store.pair(i)
        fake = translator.translate(x)
        errors.append(np.abs(y.astype(float) - fake).mean() / 127.5)
    evaluation = evaluate_model(translator, source, [L1()])
    assert evaluation.images == VAL
    assert evaluation.numbers["l1"] == pytest.approx(np.mean(errors), rel=1e-12)
    # The bootstrap's error of a mean is the plain one, but for the n - 1 and 1000 draws.
    expected = np.std(errors) / np.sqrt(VAL)
    assert evaluation.errors["l1"] == pytest.approx(expected, rel=0.1)
    np.testing.assert_allclose(evaluation.statistics["l1"]["l1"], errors, rtol=1e-12)


def test_sample_k_has_the_seed_plus_k_and_the_first_is_measured(make):
    translator, source = make("colour")
    recorder = Recorder()
    evaluation = evaluate_model(
        translator, source, [recorder, Diversity()], samples=3, seed=11, limit=9
    )
    store = open_store(source, "val", size=32)
    expected = np.stack(
        [[translator.translate(store.pair(i)[0], seed=11 + k) for i in range(9)] for k in range(3)]
    )
    seen = np.concatenate([batch.samples for batch in recorder.seen], axis=1)
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(recorder.all("fake"), expected[0])
    assert evaluation.numbers["diversity"] == pytest.approx(mean_pairwise_l1(expected).mean())
    assert evaluation.numbers["diversity"] > 0
    assert (evaluation.facts["samples"], evaluation.facts["seed"]) == (3, 11)


def test_with_a_latent_that_varies_and_z_does_not(make):
    _, source = make("colour")
    translator = translator_of(Pix2PixConfig(crop_size=32, load_size=32, ngf=4, latent=3), source)
    recorder = Recorder()
    found = evaluate_model(translator, source, [recorder, Diversity()], samples=3, seed=5, limit=2)
    store = open_store(source, "val", size=32)
    expected = np.stack(
        [
            [translator.translate(store.pair(i)[0], seed=5, latent=code) for i in range(2)]
            for code in translator.latent([5, 6, 7])
        ]
    )
    np.testing.assert_array_equal(recorder.seen[0].samples, expected)
    np.testing.assert_array_equal(expected[0, 0], translator.translate(store.pair(0)[0], seed=5))
    assert found.numbers["diversity"] == pytest.approx(mean_pairwise_l1(expected).mean())
    assert found.numbers["diversity"] > 0
    # One that does not look at its latent has no diversity, dropout or not.
    kernel = named_weights(translator.generator)["down1/kernel"]
    kernel.assign(kernel * (np.arange(6) < 3)[:, None])
    deaf = evaluate_model(translator, source, [Diversity()], samples=3, limit=2)
    assert deaf.numbers["diversity"] == 0


def test_progress_and_limit(make):
    translator, source = make("colour")
    told = []
    evaluation = evaluate_model(
        translator, source, [L1()], limit=9, progress=lambda *p: told.append(p)
    )
    assert told == [(8, 9), (9, 9)]
    assert evaluation.names == tuple(f"{i:02d}" for i in range(9))


# === Classes ===


@pytest.mark.parametrize("kind", ["labels_in", "onehot", "labels_out"])
@pytest.mark.parametrize("size", [40, 32])
def test_classes_are_the_labels_by_nearest_neighbour(make, kind, size):
    translator, source = make(kind)
    recorder = Recorder()
    evaluate_model(translator, source, [recorder], size=size, limit=2)
    rows = (np.arange(size) * 2 + 1) * 40 // (2 * size)
    for i, classes in enumerate(recorder.all("classes")):
        seed = 100 * VAL + i
        blocks = np.random.default_rng(seed)
        blocks.integers(0, 256, (2, 40, 40, 3), np.uint8)
        expected = np.kron(blocks.integers(0, 3, (10, 10)), np.ones((4, 4), int))
        np.testing.assert_array_equal(classes, expected[rows][:, rows])


def test_a_palette_tells_the_classes_of_a_run_that_saw_plain_colours(make, palette_file):
    translator, source = make("plain_labels")
    assert not source.spec.label_side
    labels = open_labels(translator.config, {"label_palette": str(palette_file)})
    plain, coloured = Recorder(), Recorder()
    one = evaluate_model(translator, source, [plain], labels=labels)
    other = evaluate_model(*make("labels_in"), [coloured])
    np.testing.assert_array_equal(plain.all("classes"), coloured.all("classes"))
    assert one.facts["classes"] == other.facts["classes"] == ["sky", "road"]
    # The pictures do not change by it: the run sees what it was trained on.
    alone = evaluate_model(translator, source, [Recorder()])
    assert alone.facts["pictures_sha256"] == one.facts["pictures_sha256"]
    assert alone.facts["classes"] is None


def test_index_maps_are_predictions_of_labels_too(make, tmp_path):
    _, source = make("labels_out")
    palette = source.spec.y.palette
    colours, indices = tmp_path / "colours", tmp_path / "indices"
    for folder in (colours, indices):
        folder.mkdir()
    for i in range(VAL):
        classes = np.random.default_rng(i).integers(0, 3, (40, 40)).astype(np.uint8)
        write_image(colours / f"{i:02d}.png", palette.to_colors(classes))
        write_image(indices / f"{i:02d}.png", palette.to_indices(classes))
    one = evaluate_predictions(colours, source, [LabelsOut(palette)])
    other = evaluate_predictions(indices, source, [LabelsOut(palette)])
    assert one.numbers == other.numbers
    assert one.numbers["labels_per_pixel"] < 0.9


def test_the_palette_of_a_model_reads_its_pairs(make):
    """An export knows its palette by content; the file that was named may be on another machine."""
    translator, source = make("labels_out")
    config = translator.config.replace(label_palette="/of/another/machine.json")
    assert open_pairs(config, translator.spec).spec == source.spec


# === Refusals ===


def test_an_empty_split(make):
    translator, source = make("colour")
    with pytest.raises(UserError, match="its test split is empty; give --split=train or val"):
        evaluate_model(translator, source, [L1()], split="test")


def test_pairs_of_another_form_than_the_model_knows(make):
    translator, _ = make("colour")
    with pytest.raises(UserError, match=r"grey, 8 bit, and the model was trained on RGB"):
        evaluate_model(translator, make("grey")[1], [L1()])


def test_samples_that_would_all_be_the_same(make):
    translator, source = make("colour")
    with pytest.raises(UserError, match="--samples=2: --deterministic leaves the noise out"):
        evaluate_model(translator, source, [L1()], samples=2, deterministic=True)
    without = Translator(
        dataclasses.replace(translator.config, dropout=0.0), translator.network, 5, source.spec
    )
    with pytest.raises(UserError, match="--samples=2: the network has neither noise nor a latent"):
        evaluate_model(without, source, [L1()], samples=2)
    same = evaluate_model(without, source, [L1(), Diversity()], samples=3, limit=2, may_repeat=True)
    assert same.numbers["diversity"] == 0
    once = evaluate_model(without, source, [L1()], limit=2)
    assert same.facts["pictures_sha256"] == once.facts["pictures_sha256"]


def test_an_export_of_a_fixed_size(make):
    translator, source = make("colour")

    class Fixed(KerasNetwork):
        image_size = (32, 32)
        max_pixels = None

    fixed = Translator(translator.config, Fixed(translator.generator), 5, source.spec)
    with pytest.raises(UserError, match="--size=64: this export takes 32x32 only"):
        evaluate_model(fixed, source, [L1()], size=64)
    assert evaluate_model(fixed, source, [L1()], limit=1).images == 1


# === Predictions ===


@pytest.fixture
def predicted(make, tmp_path):
    """A folder of grey pictures for the colour set's val pairs, and its source."""
    for i in range(VAL):
        write_image(tmp_path / f"{i:02d}.png", np.full((24, 24, 3), 9 * i, np.uint8))
    return tmp_path, make("colour")[1]


def test_predictions_have_a_size_of_their_own(predicted):
    folder, source = predicted
    recorder = Recorder()
    evaluation = evaluate_predictions(folder, source, [recorder])
    assert evaluation.facts["size"] == 24
    assert recorder.all("y").shape == (VAL, 24, 24, 3)
    assert recorder.all("fake")[:, 0, 0, 0].tolist() == [9 * i for i in range(VAL)]


def test_predictions_are_resized_where_a_size_is_given(predicted):
    folder, source = predicted
    write_image(folder / "03.png", np.full((30, 50, 3), 200, np.uint8))
    recorder = Recorder()
    evaluate_predictions(folder, source, [recorder], size=32)
    assert recorder.all("fake").shape == (VAL, 32, 32, 3)
    assert np.unique(recorder.all("fake")[3]).tolist() == [200]
    with pytest.raises(UserError, match=r"pictures of 2 sizes \(24x24, 50x30"):
        evaluate_predictions(folder, source, [Recorder()])


def test_missing_and_foreign_names(predicted):
    folder, source = predicted
    (folder / "04.png").rename(folder / "four.png")
    (folder / "note.txt").write_text("no picture")
    with pytest.raises(UserError) as error:
        evaluate_predictions(folder, source, [L1()])
    assert "1 of 10 val pairs have no picture (04)" in str(error.value)
    assert "1 of 10 pictures belong to no val pair (four)" in str(error.value)
    (folder / "four.png").unlink()
    # Where only the first are asked for, the rest need not be there.
    assert evaluate_predictions(folder, source, [L1()], limit=4).images == 4


def test_two_pictures_for_one_pair(predicted):
    folder, source = predicted
    write_image(folder / "04.jpg", np.zeros((24, 24, 3), np.uint8))
    with pytest.raises(UserError, match=r"several pictures for 04"):
        evaluate_predictions(folder, source, [L1()])


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((24, 24, 5), np.float32), "5 channels"),
        (np.zeros((24, 24, 3), np.float32), "float32"),
    ],
    ids=["channels", "depth"],
)
def test_a_picture_of_another_kind_is_named(predicted, picture, said):
    folder, source = predicted
    (folder / "02.png").unlink()
    write_image(folder / "02.npy", picture)
    with pytest.raises(UserError, match=rf"02\.npy.*{said}.*expected a prediction"):
        evaluate_predictions(folder, source, [L1()])


def test_a_broken_picture_is_named(predicted):
    folder, source = predicted
    content = (folder / "09.png").read_bytes()
    (folder / "09.png").write_bytes(content[: len(content) - 20])
    with pytest.raises(UserError, match=r"09\.png"):
        evaluate_predictions(folder, source, [L1()])


def test_deeper_pictures_are_brought_to_the_targets_depth(predicted):
    folder, source = predicted
    before = evaluate_predictions(folder, source, [L1()])
    for i in range(VAL):
        write_image(folder / f"{i:02d}.png", np.full((24, 24, 3), 257 * 9 * i, np.uint16))
    assert evaluate_predictions(folder, source, [L1()]).numbers == before.numbers
