"""The contract says what an artefact is, and comes back from its JSON as it was."""

from __future__ import annotations

import json

import pytest

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.data import load_palette
from tfpix2pix.export.contract import Contract

PALETTE = json.dumps(json.loads(load_palette("camvid").to_json()))


def contract(**options) -> Contract:
    config = {"crop_size": 64, "load_size": 64, "ngf": 4, **options.pop("config", {})}
    values = {"palette": "", "step": 7, "checkpoint": "ab" * 32, **options}
    return Contract(Pix2PixConfig(**config), **values)


LABELS = {"label_palette": "camvid", "label_side": "input"}
# As the data resolve them.
LAB = {
    "color_space": "lab",
    "input_channels": 1,
    "target_channels": 2,
    "input_dtype": "float32",
    "target_dtype": "float32",
    "input_range": "0:100",
    "target_range": "-110:110",
}
CONTRACTS = [
    contract(),
    contract(inference="deterministic", image_size=(64, 128)),
    contract(palette=PALETTE, config=LABELS),
    contract(palette=PALETTE, config={**LABELS, "input_encoding": "onehot", "input_channels": 12}),
    contract(config=LAB),
    contract(config={"target_dtype": "uint16", "target_channels": 1, "norm": "batch"}),
    contract(config={"input_dtype": "float32", "input_range": "-2:5.5"}),
]


@pytest.mark.parametrize("one", CONTRACTS, ids=range(len(CONTRACTS)))
def test_it_comes_back_from_its_json(one):
    again = Contract.parse(one.to_json(), "FILE")
    assert again == one
    assert again.spec == one.spec
    assert Contract.parse(again.to_json().encode(), "FILE") == one


def test_it_says_what_a_stranger_needs():
    values = contract(palette=PALETTE, config=LABELS).to_dict()
    assert values["inference"] == "paper"
    assert values["statistics"] == "of each image itself"
    # 64 px: six levels; the coarsest dropout layer's features are 2 x 2 for one crop.
    assert values["noise"]["pixels_per_cell"] == 32
    # Dropout in the full-width layers up6 and up5: 8 ngf (1 + 4) numbers a cell.
    assert values["noise"]["channels"] == 8 * 4 * 5
    assert values["noise"]["rate"] == 0.5
    assert values["x"]["tensor"] == "float32 [B, H, W, 3] in [-1, 1]"
    assert values["x"]["channels"] == ["red", "green", "blue"]
    assert values["size_multiple"] == 64
    assert values["image_size"] == "any"
    assert values["direction"] == "AtoB"
    assert values["palette"]["classes"][0]["name"] == "Sky"
    assert values["checkpoint"] == {"step": 7, "sha256": "ab" * 32}
    assert values["config"]["crop_size"] == 64


def test_channels_are_named_after_what_they_mean():
    onehot, lab = CONTRACTS[3].to_dict(), CONTRACTS[4].to_dict()
    assert onehot["x"]["channels"][:2] == ["Sky", "Building"]
    assert len(onehot["x"]["channels"]) == 12
    assert (lab["x"]["channels"], lab["y"]["channels"]) == (["L"], ["a", "b"])
    sixteen = CONTRACTS[5].to_dict()
    assert sixteen["y"]["channels"] == ["grey"]
    assert (sixteen["y"]["files"]["dtype"], sixteen["y"]["files"]["high"]) == ("uint16", 65535)
    assert sixteen["statistics"] == "moving averages of the training"


def test_a_deterministic_one_has_no_noise_and_its_own_size():
    one = CONTRACTS[1]
    assert not one.noise
    assert "z" not in one.to_dict()["noise"]
    assert one.to_dict()["image_size"] == [64, 128]
    assert one.to_dict()["x"]["tensor"] == "float32 [B, 64, 128, 3] in [-1, 1]"
    # Of the size that an x has, z's follows.
    assert contract().noise_shape(64, 128) == (2, 4, 160)


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "{}", '{"kind": "a cake"}', '"tfpix2pix export"', "[" * 100_000, b"\xff"],
    ids=range(8),
)
def test_what_is_no_contract_is_refused(text):
    with pytest.raises(UserError, match=r"FILE does not carry the contract"):
        Contract.parse(text, "FILE")


def test_what_does_not_fit_is_refused():
    values = contract().to_dict()
    for name, value, why in (
        ("version", 99, "newer"),
        ("inference", "random", "does not carry"),
        ("palette", {"classes": []}, "does not carry|cannot be used"),
        ("config", {**values["config"], "crop_size": 63}, "crop_size"),
        ("config", {**values["config"], "unknown": 1}, "unknown"),
        ("image_size", "big", "does not carry"),
    ):
        with pytest.raises(UserError, match=why):
            Contract.parse(json.dumps({**values, name: value}), "FILE")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_size": [10**9, 64]}, "expected multiples of 64|more than 89,478,485 pixels"),
        ({"image_size": [64 * 10**6, 64 * 10**6]}, "more than 89,478,485 pixels"),
        ({"image_size": [-64, 64]}, "expected multiples of 64 pixels"),
        ({"image_size": [0, 64]}, "expected multiples of 64 pixels"),
        ({"image_size": [65, 64]}, "expected multiples of 64 pixels"),
        ({"checkpoint": {"step": float("inf"), "sha256": ""}}, "does not carry the contract"),
        ({"config": {"ngf": 10**18}}, "--ngf=1000000000000000000 is too large"),
    ],
)
def test_sizes_that_no_export_has_are_refused(change, said):
    values = {**contract().to_dict(), **change}
    with pytest.raises(UserError, match=f"^FILE.*{said}"):
        Contract.parse(json.dumps(values), "FILE")
