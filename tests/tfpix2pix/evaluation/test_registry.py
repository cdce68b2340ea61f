"""Which metrics there are, which fit which data, and how a wrong choice is refused."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from tfpix2pix.base.errors import UserError
from tfpix2pix.data import ImageSpec, LabSpec, PairSpec
from tfpix2pix.data.label_classes import LabelClass, Palette
from tfpix2pix.evaluation.registry import (
    EVALUATORS,
    Kind,
    choose_evaluators,
    default_metrics,
    make_evaluators,
    numbers_of,
    parse_metrics,
    why_not,
)

PALETTE = Palette("two", (LabelClass("a", (0, 0, 0), (0,)), LabelClass("b", (9, 9, 9), (1,))))
PHOTO, LABELS = ImageSpec(3), ImageSpec(3, palette=PALETTE)
ALWAYS = ["l1", "l2", "psnr", "ssim", "ms_ssim"]
OF_PHOTOS = [*ALWAYS, "sharpness", "grid", "swd"]
COLOURED = ["color", "chroma", *OF_PHOTOS]


class Scorer:
    palette, size = PALETTE, 8

    def check(self, palette, size):
        self.check_size(size)

    def check_size(self, size):
        if size != self.size:
            raise UserError(f"of {self.size} pixels")


def test_the_registry_needs_no_tensorflow():
    code = (
        "import sys, tfpix2pix.evaluation.registry\n"
        "slow = {'tensorflow', 'skimage', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "sys.exit(str(slow) if slow else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_are_keys_in_the_order_of_tables():
    assert [evaluator.name for evaluator in EVALUATORS.values()] == list(EVALUATORS)
    assert list(EVALUATORS) == [
        "fcn", "labels", "color", "chroma", "l1", "l2", "psnr", "ssim", "ms_ssim", "sharpness",
        "grid", "swd", "scorer_kid", "scorer_fid", "diversity", "scorer_diversity", "fcn_samples",
        "variety", "fid", "kid",
    ]  # fmt: skip
    assert [n.name for n in numbers_of(["color", "l1"])] == ["color_l", "color_a", "color_b", "l1"]


# === --metrics ===


@pytest.mark.parametrize(
    ("text", "names"),
    [("l1", ["l1"]), ("ssim, l1,l1,", ["l1", "ssim"]), ("MS-SSIM,FID", ["ms_ssim", "fid"])],
)
def test_lists_of_metrics(text, names):
    assert parse_metrics(text) == names


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("l1,ssmi", r"--metrics=l1,ssmi: there is no metric 'ssmi'; did you mean 'ssim'\?"),
        ("lpips_of_nothing", "there is no metric .*; expected some of fcn, labels, color"),
        ("", "--metrics=: no metric is named; expected some of fcn"),
        (" , ", "no metric is named"),
    ],
)
def test_what_is_no_metric_is_refused(text, sentence):
    with pytest.raises(UserError, match=sentence):
        parse_metrics(text)


# === By default ===


@pytest.mark.parametrize(
    ("spec", "more", "names"),
    [
        (PairSpec(LABELS, PHOTO), {}, COLOURED),
        (
            PairSpec(LABELS, PHOTO),
            {"scorer": Scorer()},
            ["fcn", *COLOURED, "scorer_kid", "scorer_fid"],
        ),
        (
            PairSpec(PHOTO, PHOTO),
            {"scorer": Scorer()},
            [*COLOURED, "scorer_kid", "scorer_fid"],
        ),
        (PairSpec(PHOTO, LABELS), {"scorer": Scorer()}, ["labels", *ALWAYS]),
        (PairSpec(PHOTO, PHOTO), {"samples": 3}, [*COLOURED, "diversity"]),
        (
            PairSpec(LABELS, PHOTO),
            {"samples": 3, "scorer": Scorer()},
            [
                *("fcn", *COLOURED, "scorer_kid", "scorer_fid"),
                *("diversity", "scorer_diversity", "fcn_samples"),
            ],
        ),
        (
            PairSpec(PHOTO, PHOTO),
            {"samples": 3, "scorer": Scorer()},
            [*COLOURED, "scorer_kid", "scorer_fid", "diversity", "scorer_diversity"],
        ),
        (PairSpec(PHOTO, ImageSpec(1)), {"scorer": Scorer()}, OF_PHOTOS),
        (LabSpec(), {}, COLOURED),
    ],
)
def test_data_gets_the_metrics_that_fit_it(spec, more, names):
    kind = Kind.of(spec, **more)
    assert default_metrics(kind) == names
    assert [evaluator.name for evaluator in make_evaluators(names, kind)] == names


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("fcn", Kind(3), "--metrics=fcn: .*no label palette; name its palette"),
        ("labels", Kind(3), "--metrics=labels: .*no label palette"),
        ("labels", Kind(3, PALETTE), "the labels are the input; use --metrics=fcn"),
        ("fcn", Kind(3, PALETTE, labels_out=True), "the labels are the target; use --metrics=labe"),
        ("fcn", Kind(3, PALETTE), "it needs a trained scorer; .*train-scorer"),
        ("scorer_kid", Kind(3), "--metrics=scorer_kid: it needs a trained scorer; .*train-scorer"),
        ("scorer_fid", Kind(3, PALETTE, labels_out=True), "the labels are the target; use"),
        ("scorer_fid", Kind(1, scorer=Scorer()), "defined for RGB pictures"),
        ("diversity", Kind(3), "at least 2 samples per input, and there is 1; .*--samples=8"),
        ("scorer_diversity", Kind(3, samples=2), "it needs a trained scorer; .*train-scorer"),
        ("fcn_samples", Kind(3, samples=2), "no label palette; name its palette"),
        ("fcn_samples", Kind(3, PALETTE), "at least 2 samples per input, and there is 1"),
        ("chroma", Kind(1), "defined for RGB pictures, and these have 1 channel;"),
        ("color", Kind(1), "defined for RGB pictures, and these have 1 channel;"),
        ("fid", Kind(4), "defined for RGB pictures, and these have 4 channels;"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(name, kind, sentence):
    assert name not in default_metrics(kind)
    with pytest.raises(UserError, match=sentence) as refused:
        make_evaluators(["l1", name], kind)
    assert "\n" not in str(refused.value)
    assert str(refused.value) == why_not(name, kind)


def test_evaluators_get_what_they_work_with():
    def features(pictures):
        return np.zeros((len(pictures), 4))

    scorer = Scorer()
    fcn, fid, kid = make_evaluators(
        ["fcn", "fid", "kid"], Kind(3, PALETTE, scorer=scorer), features
    )
    assert fcn.scorer is scorer
    assert fid.features is kid.features is features
    kid, fid = make_evaluators(["scorer_kid", "scorer_fid"], Kind(3, scorer=scorer))
    assert kid.features is fid.features
    assert kid.scorer is fid.scorer is scorer
    (labels,) = make_evaluators(["labels"], Kind(3, PALETTE, labels_out=True))
    assert labels.palette is PALETTE


def test_a_scorer_is_for_any_of_its_metrics():
    kind = Kind(3, PALETTE, scorer=Scorer())
    kind = dataclasses.replace(kind, samples=2)
    for names in ("fcn", "l1,scorer_kid", "scorer_fid", "scorer_diversity", "fcn_samples"):
        assert choose_evaluators(kind, 8, names, "S")
        with pytest.raises(UserError, match="--scorer=S: of 8 pixels"):
            choose_evaluators(kind, 16, names, "S")
    with pytest.raises(UserError, match="--metrics=l1 leaves these out; drop one of the two"):
        choose_evaluators(kind, 8, "l1", "S")
    without_labels = Kind(3, scorer=Scorer())
    names = [evaluator.name for evaluator in choose_evaluators(without_labels, 8, "", "S")]
    assert "scorer_kid" in names
    assert "fcn" not in names
    with pytest.raises(UserError, match="the labels are the target"):
        choose_evaluators(Kind(3, PALETTE, labels_out=True, scorer=Scorer()), 8, "", "S")


def test_fid_and_kid_share_one_network(monkeypatch):
    made = []
    monkeypatch.setattr(
        "tfpix2pix.evaluation.registry.InceptionFeatures", lambda: made.append(1) or "features"
    )
    fid, kid = make_evaluators(["fid", "kid"], Kind(3))
    assert made == [1]
    assert fid.features == kid.features == "features"
    make_evaluators(["l1"], Kind(3))
    assert made == [1]
