"""pix2pix: its networks and objective as settings, and the paper's experiments as presets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from tfpix2pix.algorithms.configs.adversarial import AdversarialConfig, judgement_chart
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import option
from tfpix2pix.config.base import Config, Preset
from tfpix2pix.config.declared import ChartSpec, Measure

# What makes better pictures in the same time than the paper's own settings (docs/recipe.md).
RECIPE: Mapping[str, Any] = MappingProxyType(
    {
        "bottleneck": 8,
        "upsampling": "nearest",
        "padding": "replicate",
        "gan_loss": "hinge",
        "lambda_feature_matching": 10.0,
        "lambda_l1": 30.0,
        "ema": 0.995,
        "best_metric": "swd",
    }
)
# Softer, with fewer lines: for drawings, such as the embedded set.
SOFT: Mapping[str, Any] = MappingProxyType(
    {**RECIPE, "norm": "group", "upsampling": "smooth", "lambda_l1": 50.0}
)
LAMBDA_PERCEPTUAL = 10.0
LAMBDA_DIVERSITY: Mapping[str, float] = MappingProxyType({"dsgan": 8.0, "msgan": 1.0})
"""The papers' weights of their terms."""
# What presets were before, so that their runs go on.
_PAPERS: Mapping[str, tuple[Any, ...]] = {
    "norm": ("instance",),
    "bottleneck": (1,),
    "upsampling": ("transposed",),
    "padding": ("zeros",),
    "noise_channels": (0,),
    "last_channels": (0,),
    "gan_loss": ("vanilla",),
    "lambda_feature_matching": (0.0,),
    "lambda_l1": (100.0,),
    "ema": (0.0,),
}
_QUICKS: Mapping[str, tuple[Any, ...]] = {
    **_PAPERS,
    "upsampling": ("transposed", "nearest"),
    "noise_channels": (0, 4),
    "lambda_l1": (100.0, 80.0),
}
_SOFT_BEST: Mapping[str, tuple[Any, ...]] = {
    "norm": ("group",),
    "noise_channels": (4,),
    "last_channels": (32,),
    "lambda_l1": (80.0,),
}
# The paper's appendix 6.2 lists epochs, batch size and jitter of each data set. The sets go by
# their names, which download them; --dataset=FOLDER takes another copy.
PRESETS: dict[str, Preset] = {
    "quick": Preset(
        "128 px, narrow networks, the better recipe, minutes on two CPU cores (the default)",
        {
            **SOFT,
            "last_channels": 16,
            "crop_size": 128,
            "load_size": 143,
            "ngf": 32,
            "ndf": 32,
            "steps": 4000,
            "val_every": 500,
            "sample_every": 250,
            "checkpoint_every": 500,
            "log_every": 25,
        },
        "on the sample set 4:18 on two cores: val L1 0.247, PSNR 15.88 dB, SSIM 0.480",
    ),
    "best": Preset(
        "256 px, full-size networks, 200 epochs, the better recipe",
        dict(RECIPE),
    ),
    "paper": Preset(
        "256 px, full-size networks, batch 1, 200 epochs",
        {},
        "0.28 s a step on two cores, so for a GPU; not trained to its end here",
    ),
    "facades": Preset(
        "labels to facades, as the paper: 200 epochs, batch 1",
        {"dataset": "facades", "direction": "BtoA"},
        "80,000 steps; at 0.28 s each on two cores 6 hours; not trained here",
    ),
    "facades_cpu": Preset(
        "labels to facades at 128 px, the better recipe, within an hour on two CPU cores",
        {
            **RECIPE,
            "dataset": "facades",
            "direction": "BtoA",
            "crop_size": 128,
            "load_size": 143,
            "ngf": 32,
            "ndf": 32,
            "steps": 24000,
            "val_every": 2000,
            "sample_every": 1000,
            "checkpoint_every": 1000,
            "log_every": 50,
        },
        "22 minutes on two busy cores: val L1 0.345, PSNR 13.01 dB, SSIM 0.288, sharpness 1.01",
    ),
    "maps": Preset(
        "aerial photo to map (BtoA: map to photo): 200 epochs, batch 1", {"dataset": "maps"}
    ),
    "cityscapes": Preset(
        "labels to street scenes: 200 epochs, batch 1",
        {"dataset": "cityscapes", "direction": "BtoA"},
    ),
    "edges2shoes": Preset(
        "edges to shoes: 15 epochs, batch 4",
        {"dataset": "edges2shoes", "epochs": 15, "batch_size": 4},
    ),
    "edges2handbags": Preset(
        "edges to handbags: 15 epochs, batch 4",
        {"dataset": "edges2handbags", "epochs": 15, "batch_size": 4},
    ),
    "night2day": Preset(
        "day to night (AtoB: night to day): 17 epochs, batch 4",
        {"dataset": "night2day", "direction": "BtoA", "epochs": 17, "batch_size": 4},
    ),
}


# What of a picture can be compared with its target.
MEASURES = (
    Measure("l1", "L1", "lower", meaning="lower is better; 0 to 2"),
    Measure("psnr", "PSNR", "higher", 2, "dB", "higher is better"),
    Measure("ssim", "SSIM", "higher", meaning="higher is better; 1 is identical"),
    Measure("swd", "SWD", "lower", meaning="lower is better; 0: patches like the targets'"),
    Measure("sharpness_ratio", "sharpness", "near 1", meaning="1: as sharp as the targets"),
    Measure("grid", "grid", "lower", 2, meaning="grey levels; lower is better, if not blurred"),
    Measure("plaid", "plaid", "lower", 2, meaning="grey levels; lower is better, if not blurred"),
)
# And of labels, where the likeliest class of every pixel is.
LABEL_MEASURES = (
    Measure("labels_iou", "IoU", "higher", 3, meaning="intersection over union, mean over classes"),
    Measure("labels_per_class", "per-class", "higher", 3, meaning="accuracy, mean over classes"),
    Measure("labels_per_pixel", "per-pixel", "higher", 3, meaning="share of pixels that are right"),
    Measure("cross_entropy", "cross-entropy", "lower", 3, "nats", "lower is better; 0: certain"),
)
_OF_LABELS = tuple(measure.name for measure in LABEL_MEASURES)
_CHOOSING = ("l1", "psnr", "ssim", "swd", *_OF_LABELS)
CHARTS = (
    ChartSpec(
        "val-l1",
        "Validation: L1",
        "Mean absolute difference between output and target on pairs the run never trains on, "
        "with pixel values from -1 to 1. Lower is closer; 0 is identical. A curve that turns "
        "upwards for good is a run that has begun to memorise its training pairs.",
        "L1 on val (0 to 2)",
        (("L1", "val", "l1"),),
        mark="min",
    ),
    ChartSpec(
        "val-psnr",
        "Validation: PSNR",
        "Peak signal-to-noise ratio: closeness to the target on a logarithmic scale, higher is "
        "closer. Where one input has many right answers, a good picture may differ from its "
        "target, and 10 to 15 dB is usual.",
        "PSNR on val (dB)",
        (("PSNR", "val", "psnr"),),
        mark="max",
    ),
    ChartSpec(
        "val-ssim",
        "Validation: SSIM",
        "Structural similarity: whether edges and texture sit in the same places. 1 is "
        "identical, 0 is unrelated. Higher is closer.",
        "SSIM on val (up to 1)",
        (("SSIM", "val", "ssim"),),
        mark="max",
    ),
    ChartSpec(
        "val-swd",
        "Validation: realism",
        "How far small patches of the outputs are from those of targets, whichever picture they "
        "are of (sliced Wasserstein distance): texture, blur, patterns and colours count, where "
        "things stand does not. Lower is more alike. L1 rewards the blurred average of all right "
        "answers; this does not.",
        "SWD on val (standard deviations)",
        (("SWD", "val", "swd"),),
        mark="min",
        from_zero=True,
    ),
    ChartSpec(
        "val-sharpness",
        "Validation: sharpness",
        "The mean steepness of the outputs, divided by that of the targets. Below 1 they are "
        "blurred, above 1 noisy or covered by a pattern.",
        "sharpness on val (target = 1)",
        (("sharpness", "val", "sharpness_ratio"),),
        reference=(1.0, "as sharp as targets"),
    ),
    ChartSpec(
        "val-grid",
        "Validation: grid and plaid",
        "Patterns that all outputs have at the same pixels, which no picture of the data calls "
        "for: what repeats every 2, 4 or 8 pixels (grid), and straight lines from edge to edge "
        "(plaid). The targets' own is the level to reach. A run that blurs has none: see "
        "sharpness.",
        "grey levels (of 255)",
        (
            ("plaid", "val", "plaid"),
            ("grid", "val", "grid"),
            ("plaid of targets", "val", "plaid_truth"),
            ("grid of targets", "val", "grid_truth"),
        ),
        from_zero=True,
    ),
    ChartSpec(
        "adversarial",
        "The contest: adversarial losses",
        "Generator and discriminator pull against each other, so neither curve should fall to "
        "zero. On the dotted line the discriminator only guesses. Healthy runs wander; "
        "a discriminator near 0 while the generator climbs has won and no longer teaches. "
        "These curves say little about how good the pictures are.",
        "loss (nats per patch)",
        (
            ("generator", "train", "losses", "gan"),
            ("discriminator", "train", "losses", "discriminator"),
        ),
        reference=(math.log(2), "guessing (0.69)"),
        from_zero=True,
    ),
    judgement_chart(
        "What the discriminator thinks",
        "How real it holds real targets and the generator's outputs to be, on average, and how "
        "often it is right. Both curves near 0.5: it cannot tell them apart. Saturated, "
        "real stuck at 1, outputs at 0 and accuracy at 1: it has won, and the generator "
        "learns from L1 alone. Short visits there are harmless.",
    ),
    ChartSpec(
        "train-l1",
        "Training: L1",
        "Mean absolute difference to the target on the training pairs. It falls quickly, "
        "then slowly. Far below the L1 on val, the run has memorised its pairs.",
        "L1 on train (0 to 2)",
        (("L1", "train", "losses", "l1"),),
    ),
    ChartSpec(
        "total",
        "Training: the generator's total loss",
        "All that the generator minimises, weighted and added up. Where L1 is a part it "
        "carries most of the weight, and this follows the training L1. A jump is a bad step.",
        "loss (weighted sum)",
        (("generator", "train", "losses", "generator"),),
    ),
)
_BEST_OF_LABELS = _OF_LABELS[0]
_OF_ANY_TARGET = ("adversarial", "discriminator", "total")
LABEL_CHARTS = (
    ChartSpec(
        "val-iou",
        "Validation: classes",
        "How well the likeliest class of every pixel meets the true one, on pairs the run never "
        "trains on: intersection over union and accuracy, means over the classes, so that rare "
        "ones count as much as common ones, and the share of all pixels. Pixels of void classes "
        "do not count.",
        "share on val (0 to 1)",
        (
            ("IoU", "val", "labels_iou"),
            ("per-class accuracy", "val", "labels_per_class"),
            ("per-pixel accuracy", "val", "labels_per_pixel"),
        ),
        mark="max",
    ),
    ChartSpec(
        "val-cross-entropy",
        "Validation: cross-entropy",
        "How surprised the probabilities are by the true classes. It rises again where a run "
        "becomes more certain than it is right, often while the classes above still improve.",
        "cross-entropy on val (nats)",
        (("cross-entropy", "val", "cross_entropy"),),
        mark="min",
        from_zero=True,
    ),
    *(
        dataclasses.replace(chart, caption=chart.caption.replace("L1", "cross-entropy"))
        for chart in CHARTS
        if chart.key in _OF_ANY_TARGET
    ),
    ChartSpec(
        "train-cross-entropy",
        "Training: cross-entropy",
        "The mean over the pixels that count, each weighed by its class where --balance says so. "
        "Far below the one on val, the run has memorised its pairs.",
        "cross-entropy on train (nats)",
        (("cross-entropy", "train", "losses", "cross_entropy"),),
        from_zero=True,
    ),
)

LATENT_CHART = ChartSpec(
    "val-latent",
    "Validation: what the latent changes",
    "The mean absolute difference between the outputs of one input with two latents, images from "
    "-1 to 1. At 0 the latent is ignored. It says how different the answers are, not whether each "
    "of them is a good one.",
    "L1 between two outputs (0 to 2)",
    (("two latents", "val", "latent_distance"),),
    from_zero=True,
)


def _check_best_metric(name: str, target_encoding: str) -> None:
    """Raises UserError for one of the choices that is not measured on such targets."""
    of_labels = target_encoding == "onehot"
    there = [n for n in _CHOOSING if (n in _OF_LABELS) == of_labels]
    if name in _CHOOSING and name not in there:
        raise UserError(
            f"--best_metric={name}: it is not measured with --target_encoding={target_encoding}; "
            f"use one of {', '.join(there)}"
        )


@dataclass(frozen=True)
class Pix2PixConfig(AdversarialConfig):
    """A pix2pix run. Defaults: the paper's (arXiv 1611.07004)."""

    PRESETS: ClassVar[Mapping[str, Preset]] = PRESETS
    DEFAULT_PRESET: ClassVar[str] = "quick"
    LABELS_OUT: ClassVar[bool] = True
    TAKES_LATENT: ClassVar[bool] = True
    MEASURES: ClassVar[tuple[Measure, ...]] = MEASURES
    CHARTS: ClassVar[tuple[ChartSpec, ...]] = CHARTS
    EARLIER: ClassVar[Mapping[str, Any]] = {
        **Config.EARLIER,
        "updates": "joint",
        "input_planes": "first",
        "target_planes": "first",
        "input_alpha": True,
        "target_alpha": True,
    }
    EARLIER_PRESETS: ClassVar[Mapping[str, Mapping[str, Collection[Any]]]] = {
        "quick": _QUICKS,
        "best": _SOFT_BEST,
        "facades_cpu": _PAPERS,
    }

    algorithm: str = option("pix2pix", "what is learned, and how", "first", choices=("pix2pix",))
    best_metric: str = option(
        "l1",
        "val measure by which the best checkpoint is chosen",
        "run",
        choices=_CHOOSING,
        may_change=True,
    )

    discriminator_scales: int = option(
        1,
        "discriminators, each on images of half the size of the one before",
        "model",
        minimum=1,
        maximum=3,
    )
    updates: str = option(
        "alternating",
        "order of a step: 'alternating' (D, then G against the D that has moved, the paper's) or "
        "'joint' (both from the same forward; faster)",
        "loss",
        choices=("alternating", "joint"),
    )
    lambda_feature_matching: float = option(
        0.0, "weight of the L1 between D's features of output and target", "loss", minimum=0.0
    )
    lambda_r1: float = option(
        0.0, "weight of D's squared gradient at real images (R1)", "loss", minimum=0.0
    )
    augment: str = option(
        "none",
        "what D sees: 'none' or 'diffaugment' (colours, place and a hole at random, for sets of "
        "few images)",
        "loss",
        choices=("none", "diffaugment"),
    )
    loss: str = option(
        "l1+cgan",
        "the paper's objectives; with --target_encoding=onehot its l1 is the cross-entropy",
        "loss",
        choices=("l1", "gan", "cgan", "l1+gan", "l1+cgan"),
    )
    lambda_l1: float = option(100.0, "weight of the L1 term", "loss", minimum=0.0)
    lambda_ce: float = option(
        100.0,
        "weight of the cross-entropy that --target_encoding=onehot has in the place of L1",
        "loss",
        minimum=0.0,
    )
    balance: float = option(
        0.0,
        "how much rare classes weigh in the cross-entropy: 0 every pixel alike, 1 median frequency "
        "balancing, or between",
        "loss",
        minimum=0.0,
        maximum=1.0,
    )
    lambda_chroma: float = option(
        0.0,
        "weight of the term that makes the pictures of the last steps as colourful, together, as "
        "their targets (RGB); 0 for none",
        "loss",
        minimum=0.0,
    )
    perceptual: str = option(
        "",
        "folder of a scorer (tfpix2pix train-scorer) in whose features outputs are to be like "
        "their targets (RGB), a perceptual loss; another one should judge the run. Empty for none",
        "loss",
    )
    lambda_perceptual: float = option(
        0.0, "weight of the --perceptual term; 0 for 10", "loss", minimum=0.0
    )
    diversity: str = option(
        "none",
        "what keeps outputs of different latents apart: 'none', 'dsgan' (their distance by that of "
        "the latents is rewarded) or 'msgan' (one by that is punished). It asks for --latent, and "
        "makes --lambda_l1, which holds against it, 10 where that is not given",
        "loss",
        choices=("none", *LAMBDA_DIVERSITY),
    )
    lambda_diversity: float = option(
        0.0,
        "weight of the --diversity term; 0 for the papers': 8 of dsgan, 1 of msgan",
        "loss",
        minimum=0.0,
    )
    diversity_bound: float = option(
        0.0,
        "distance of outputs, by that of their latents, above which dsgan rewards no more; 0 for "
        "none",
        "loss",
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        if self.labels_out and self.best_metric == "l1":  # the default, of pictures
            object.__setattr__(self, "best_metric", _BEST_OF_LABELS)
        super().__post_init__()
        _check_best_metric(self.best_metric, self.target_encoding)
        if self.lambda_chroma and (self.labels_out or self.y_channels != 3):
            found = "classes" if self.labels_out else f"of {self.y_channels} channels"
            raise UserError(
                f"--lambda_chroma={self.lambda_chroma}: it compares the colours of RGB pictures, "
                f"and the targets are {found}; leave it out"
            )
        self._check_perceptual()
        self._check_diversity()

    def _check_perceptual(self) -> None:
        """Raises UserError for what the term lacks."""
        if self.lambda_perceptual and not self.perceptual:
            raise UserError(
                f"--lambda_perceptual={self.lambda_perceptual}: there is no such term; leave it "
                "out, or add --perceptual=DIR, the folder of a scorer"
            )
        if self.perceptual and (self.labels_out or self.y_channels != 3):
            found = "classes" if self.labels_out else f"of {self.y_channels} channels"
            raise UserError(
                f"--perceptual={self.perceptual}: scorers look at RGB pictures, and the targets "
                f"are {found}; leave it out"
            )

    def _check_diversity(self) -> None:
        """Raises UserError for what the term lacks, or would not heed."""
        kind = self.diversity
        if kind == "none":
            for name in ("lambda_diversity", "diversity_bound"):
                if getattr(self, name):
                    raise UserError(
                        f"--{name}={getattr(self, name)}: there is no such term; leave it out, or "
                        "add --diversity=dsgan"
                    )
        elif not self.latent:
            raise UserError(
                f"--diversity={kind} keeps outputs of different latents apart, and there is no "
                "latent; add --latent=8, or leave it out"
            )
        if kind == "msgan" and self.diversity_bound:
            raise UserError(
                f"--diversity_bound={self.diversity_bound} is of --diversity=dsgan; leave it out"
            )

    @classmethod
    def preset_values(cls, name: str, flags: Mapping[str, Any]) -> Mapping[str, Any]:
        values = {**super().preset_values(name, flags)}
        if flags.get("diversity", "none") != "none":
            values |= {"lambda_l1": 10.0, "lambda_ce": 10.0}  # of DSGAN's and MSGAN's authors
        if flags.get("target_encoding") == "onehot":
            if "best_metric" in flags:
                _check_best_metric(flags["best_metric"], "onehot")
            values["best_metric"] = _BEST_OF_LABELS
        return values

    @property
    def measures(self) -> tuple[Measure, ...]:
        return LABEL_MEASURES if self.labels_out else super().measures

    @property
    def charts(self) -> tuple[ChartSpec, ...]:
        charts = LABEL_CHARTS if self.labels_out else super().charts
        return (*charts, LATENT_CHART) if self.latent else charts

    @property
    def networks(self) -> str:
        loss = self.loss.replace("l1", "cross-entropy") if self.labels_out else self.loss
        return f"ngf {self.ngf}, loss {loss}"

    @property
    def closeness(self) -> dict[str, float]:
        """The weights of the terms that look at outputs and targets alone, by name: what holds the
        ones against the others, and what keeps outputs of one input apart."""
        name, weight = ("l1", self.lambda_l1)
        if self.labels_out:
            name, weight = ("cross_entropy", self.lambda_ce)
        weights = {name: weight if self.loss.startswith("l1") else 0.0}
        if self.lambda_chroma:
            weights["chroma"] = self.lambda_chroma
        if self.perceptual:
            weights["perceptual"] = self.lambda_perceptual or LAMBDA_PERCEPTUAL
        if self.diversity != "none":
            weights["diversity"] = self.lambda_diversity or LAMBDA_DIVERSITY[self.diversity]
        return weights

    @property
    def scales(self) -> int:
        return self.discriminator_scales

    @property
    def has_discriminator(self) -> bool:
        """Whether the objective has an adversarial term."""
        return self.loss != "l1"

    @property
    def conditional(self) -> bool:
        """Whether the discriminator sees x beside y."""
        return self.loss in ("cgan", "l1+cgan")
