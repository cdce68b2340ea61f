"""pix2pix: its networks and objective as settings, and the paper's experiments as presets."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import LONGEST, option
from tfpix2pix.base.size import Size
from tfpix2pix.config.base import LARGEST_DEPTH, Config, Preset
from tfpix2pix.config.declared import ChartSpec, Measure

_LARGEST_BOTTLENECK = 8
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
# Softer, with the fewest lines: for drawings, such as the embedded set.
SOFT: Mapping[str, Any] = MappingProxyType(
    {**RECIPE, "norm": "group", "noise_channels": 4, "lambda_l1": 80.0}
)
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
        "on the sample set 3:49 on two cores: val L1 0.312, PSNR 14.05 dB, SSIM 0.376",
    ),
    "best": Preset(
        "256 px, full-size networks, 200 epochs, the better recipe",
        dict(RECIPE),
    ),
    "paper": Preset(
        "256 px, full-size networks, batch 1, 200 epochs",
        {},
        "0.47 s a step on two cores, so for a GPU; not trained to its end here",
    ),
    "facades": Preset(
        "labels to facades, as the paper: 200 epochs, batch 1",
        {"dataset": "facades", "direction": "BtoA"},
        "80,000 steps; at 0.47 s each on two cores 10 hours; not trained here",
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
    ChartSpec(
        "discriminator",
        "What the discriminator thinks",
        "How real it holds real targets and the generator's outputs to be, on average, and how "
        "often it is right. Both curves near 0.5: it cannot tell them apart. Saturated, "
        "real stuck at 1, outputs at 0 and accuracy at 1: it has won, and the generator "
        "learns from L1 alone. Short visits there are harmless.",
        "share (0 to 1)",
        (
            ("says real of real", "train", "discriminator", "real"),
            ("says real of output", "train", "discriminator", "fake"),
            ("accuracy", "train", "discriminator", "accuracy"),
        ),
        y_range=(-0.02, 1.02),
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


def _depth_size(size: Size) -> int:
    return 1 << (size.smaller.bit_length() - 1)


@dataclass(frozen=True)
class Pix2PixConfig(Config):
    """A pix2pix run. Defaults: the paper's (arXiv 1611.07004)."""

    PRESETS: ClassVar[Mapping[str, Preset]] = PRESETS
    DEFAULT_PRESET: ClassVar[str] = "quick"
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
        "quick": _PAPERS,
        "best": _SOFT_BEST,
        "facades_cpu": _PAPERS,
    }

    algorithm: str = option("pix2pix", "what is learned, and how", "first", choices=("pix2pix",))
    best_metric: str = option(
        "l1",
        "val measure by which the best checkpoint is chosen",
        "run",
        choices=("l1", "psnr", "ssim", "swd"),
        may_change=True,
    )

    generator: str = option(
        "unet",
        "U-Net with skips, or the same without them",
        "model",
        choices=("unet", "encoder_decoder"),
    )
    # 512: eight times the paper's, 3.5 thousand million weights.
    ngf: int = option(64, "generator channels of the first layer", "model", minimum=1, maximum=512)
    receptive_field: int = option(
        70, "discriminator's patch, pixels", "model", choices=(1, 16, 70, 286)
    )
    ndf: int = option(
        64, "discriminator channels of the first layer", "model", minimum=1, maximum=512
    )
    norm: str = option(
        "instance",
        "normalisation: 'instance' (per image, in training and after it), 'group' (the same over 8 "
        "groups of channels, over all of them in features up to 8 pixels wide), 'batch' "
        "(batch statistics in training, moving averages after it) or 'none'",
        "model",
        choices=("instance", "group", "batch", "none"),
    )
    bias_layers: str = option(
        "paper",
        "convolutions with a bias: 'paper' (the generator's last, the discriminator's first and "
        "last) or 'pytorch' (all, and normalisations without scale and offset, as the authors' "
        "PyTorch code with --norm instance; runs imported from that have it)",
        "model",
        choices=("paper", "pytorch"),
    )
    dropout: float = option(
        0.5,
        "share of decoder features that the noise z drops, 0 to less than 1",
        "model",
        minimum=0.0,
        maximum=0.95,
    )
    dropout_layers: str = option(
        "paper",
        "decoder layers with dropout: 'paper' (the first three full-width ones) or 'pytorch' (all "
        "full-width ones but the innermost, as the authors' PyTorch code; imported runs have it)",
        "model",
        choices=("paper", "pytorch"),
    )
    bottleneck: int = option(
        1,
        "pixels that the generator's innermost features are wide: 1 (the paper's), 2, 4 or 8; "
        "sizes are multiples of crop_size / bottleneck (of its smaller side, if that is a power "
        "of two, else of the power below)",
        "model",
        choices=(1, 2, 4, _LARGEST_BOTTLENECK),
    )
    upsampling: str = option(
        "transposed",
        "how the decoder enlarges: 'transposed' (4x4 convolutions, the paper's), 'nearest' or "
        "'bilinear' (then a 3x3 convolution), or 'subpixel' (a 3x3 convolution to four times the "
        "channels)",
        "model",
        choices=("transposed", "nearest", "bilinear", "subpixel"),
    )
    padding: str = option(
        "zeros",
        "around the generator's features: 'zeros' (the paper's) or 'replicate' (the border's own "
        "values, so that nothing tells it where the border is; not with --upsampling=transposed)",
        "model",
        choices=("zeros", "replicate"),
    )
    last_channels: int = option(
        0,
        "channels at full resolution from which, and from x, one more convolution makes the "
        "picture; 0 for none (the paper's)",
        "model",
        minimum=0,
        maximum=512,
    )
    noise_channels: int = option(
        0, "channels of noise beside the input, a part of z", "model", minimum=0, maximum=16
    )
    discriminator_scales: int = option(
        1,
        "discriminators, each on images of half the size of the one before",
        "model",
        minimum=1,
        maximum=3,
    )
    spectral_norm: bool = option(
        False, "divide the discriminator's weights by their spectral norm", "model"
    )
    updates: str = option(
        "alternating",
        "order of a step: 'alternating' (D, then G against the D that has moved, the paper's) or "
        "'joint' (both from the same forward; faster)",
        "loss",
        choices=("alternating", "joint"),
    )
    gan_loss: str = option(
        "vanilla",
        "of the adversarial term: 'vanilla' (cross entropy, the paper's), 'lsgan' or 'hinge'",
        "loss",
        choices=("vanilla", "lsgan", "hinge"),
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
    learning_rate_d: float = option(
        0.0,
        "Adam's step size for the discriminator; 0 for --learning_rate",
        "loss",
        minimum=0.0,
        may_change=True,
    )
    ema: float = option(
        0.0,
        "decay of the moving average of the generator's weights, which is what is then measured, "
        "shown, translated with and exported; 0 for none",
        "loss",
        minimum=0.0,
        maximum=0.99999,
    )
    loss: str = option(
        "l1+cgan",
        "the paper's objectives",
        "loss",
        choices=("l1", "gan", "cgan", "l1+gan", "l1+cgan"),
    )
    lambda_l1: float = option(100.0, "weight of the L1 term", "loss", minimum=0.0)
    learning_rate: float = option(
        2e-4, "Adam's step size, both networks", "loss", minimum=0.0, may_change=True
    )
    beta1: float = option(0.5, "Adam's first-moment decay", "loss", minimum=0.0, maximum=0.9999)
    beta2: float = option(
        0.999, "Adam's second-moment decay", "loss", minimum=0.0, maximum=0.999999
    )

    def check_crop_size(self) -> None:
        if all(side % self.size_multiple == 0 for side in self.crop_size):
            return
        near = [self._rounded(up) for up in (False, True)]
        allowed = [
            size
            for size in near
            if size.smaller <= LARGEST_DEPTH and size.larger <= LONGEST * LARGEST_DEPTH
        ]
        use = [f"--crop_size={size}" for size in dict.fromkeys(allowed)]
        if all(side % (self.depth_size // _LARGEST_BOTTLENECK) == 0 for side in self.crop_size):
            use.append(f"--bottleneck={_LARGEST_BOTTLENECK}")
        raise UserError(
            f"--crop_size={self.crop_size}: with --bottleneck={self.bottleneck} the generator "
            f"takes multiples of {self.size_multiple} pixels at this size; use {' or '.join(use)}"
        )

    def _rounded(self, up: bool) -> Size:
        """The crop size with both sides rounded down, or up, to what its depth takes."""
        size = self.crop_size
        while True:  # a side that was rounded up may ask for another depth
            multiple = _depth_size(size) // self.bottleneck
            rounded = Size(*((side + up * (multiple - 1)) // multiple * multiple for side in size))
            if rounded == size:
                return size
            size = rounded

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bias_layers == "pytorch" and self.norm != "instance":
            raise UserError(
                f"--bias_layers=pytorch does not go with --norm={self.norm}, with which the "
                "PyTorch code has biases where 'paper' has them; use --norm=instance or "
                "--bias_layers=paper"
            )
        if self.padding == "replicate" and self.upsampling == "transposed":
            raise UserError(
                "--padding=replicate does not go with --upsampling=transposed, whose convolutions "
                "have no border to fill; use --upsampling=nearest, or --padding=zeros"
            )
        if self.dropout_layers == "pytorch" and self.size_multiple < 64:
            size = f"--crop_size={self.crop_size}"
            if self.bottleneck > 1:
                size += f" with --bottleneck={self.bottleneck}"
            raise UserError(
                f"--dropout_layers=pytorch leaves no dropout layer at {size}; use "
                f"--crop_size={64 * self.bottleneck} or more, or --dropout_layers=paper"
            )
        if self.receptive_field == 286 and self.crop_size.smaller < 128 and self.loss != "l1":
            raise UserError(
                f"--receptive_field=286 leaves no patch of a {self.crop_size} pixel image; use "
                "--crop_size=128 or more, or --receptive_field=70"
            )

    @property
    def takes_noise(self) -> bool:
        return True

    @property
    def noisy(self) -> bool:
        return self.dropout > 0 or self.noise_channels > 0

    @property
    def size_multiple(self) -> int:
        return self.depth_size // self.bottleneck

    @property
    def depth_size(self) -> int:
        """The square size, pixels, whose networks these are: the largest power of two in the
        smaller side of `crop_size`."""
        return _depth_size(self.crop_size)

    @property
    def average_decay(self) -> float:
        return self.ema

    @property
    def batch_statistics(self) -> bool:
        return self.norm == "batch"

    @property
    def networks(self) -> str:
        return f"ngf {self.ngf}, loss {self.loss}"

    @property
    def has_discriminator(self) -> bool:
        """Whether the objective has an adversarial term."""
        return self.loss != "l1"

    @property
    def conditional(self) -> bool:
        """Whether the discriminator sees x beside y."""
        return self.loss in ("cgan", "l1+cgan")
