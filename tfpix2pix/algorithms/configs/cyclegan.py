"""CycleGAN: its networks and objective as settings, and its code's as a preset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfpix2pix.algorithms.configs.adversarial import AdversarialConfig, judgement_chart
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import again, option
from tfpix2pix.config.base import Preset
from tfpix2pix.config.declared import ChartSpec, Measure
from tfpix2pix.data.config import UNPAIRED

PRESETS: dict[str, Preset] = {
    "cyclegan_quick": Preset(
        "images without pairs, 128 px, narrow networks, minutes on two CPU cores",
        {
            "crop_size": 128,
            "load_size": 143,
            "generator": "resnet6",
            "ngf": 16,
            "ndf": 32,
            # Transposed convolutions leave a grid all over pictures as young as these.
            "upsampling": "nearest",
            "ema": 0.995,
            "steps": 3500,
            "val_every": 500,
            "sample_every": 250,
            "checkpoint_every": 500,
            "log_every": 25,
        },
        "on 120 horses and 120 zebras 23:25 on one thread beside other work: a first look",
    ),
    "cyclegan": Preset(
        "images without pairs, as CycleGAN's code: 256 px, batch 1, 200 epochs",
        {},
        "not trained here: for a GPU",
    ),
}

MEASURES = (
    Measure("swd_mean", "SWD of both", "lower", meaning="lower is better; mean of the next two"),
    Measure("swd", "SWD", "lower", meaning="lower is better; 0: patches like the targets'"),
    Measure("swd_back", "SWD back", "lower", meaning="the same of the way back, to the inputs"),
    Measure("sharpness_ratio", "sharpness", "near 1", meaning="1: as sharp as the targets"),
    Measure("sharpness_back", "sharpness back", "near 1", meaning="1: as sharp as the inputs"),
    Measure("cycle", "cycle L1", "lower", meaning="of an input and what comes back; 0 to 2"),
    Measure("cycle_back", "cycle L1 back", "lower", meaning="of a target and what comes back"),
)
# The two directions in the words of a curve.
_THERE, _BACK = "to targets", "back to inputs"


def _thinks(what: str, way: str = "") -> ChartSpec:
    """The chart of one discriminator."""
    return judgement_chart(
        f"What the discriminator of {what} thinks",
        f"How real it holds real {what} and generated ones to be (earlier ones among them, from "
        "the pool), on average, and how often it is right. Both curves near 0.5: it cannot tell "
        "them apart. Real near 1, generated near 0 and accuracy at 1 for long: it has won.",
        "generated",
        way,
    )


CHARTS = (
    ChartSpec(
        "val-swd",
        "Validation: realism",
        "How far small patches of the outputs are from those of real images of that side, "
        "whichever picture they are of (sliced Wasserstein distance). Lower is more alike. What "
        "the images have as they are, without any translation, is the level to beat.",
        "SWD on val (standard deviations)",
        (
            (_THERE, "val", "swd"),
            (_BACK, "val", "swd_back"),
            ("inputs as they are", "val", "swd_copy"),
            ("targets as they are", "val", "swd_copy_back"),
        ),
        mark="min",
        from_zero=True,
    ),
    ChartSpec(
        "val-sharpness",
        "Validation: sharpness",
        "The mean steepness of the outputs, divided by that of real images of that side. Below 1 "
        "they are blurred, above 1 noisy or covered by a pattern.",
        "sharpness on val (real = 1)",
        ((_THERE, "val", "sharpness_ratio"), (_BACK, "val", "sharpness_back")),
        reference=(1.0, "as sharp as real ones"),
    ),
    ChartSpec(
        "val-cycle",
        "Validation: there and back again",
        "Mean absolute difference of an image and what both generators, one after the other, make "
        "of it, with pixel values from -1 to 1; and the same with up to four grey levels of noise "
        "on the way. Where the second is much larger, the way back reads what nobody sees, and "
        "the first says little.",
        "L1 on val (0 to 2)",
        (
            ("input", "val", "cycle"),
            ("target", "val", "cycle_back"),
            ("input, noise on the way", "val", "shaken"),
            ("target, noise on the way", "val", "shaken_back"),
        ),
        from_zero=True,
    ),
    ChartSpec(
        "val-change",
        "Validation: how much is changed",
        "Mean absolute difference of an image and its translation. At 0 the generator copies.",
        "L1 on val (0 to 2)",
        ((_THERE, "val", "change"), (_BACK, "val", "change_back")),
        from_zero=True,
    ),
    ChartSpec(
        "adversarial",
        "The contest: adversarial losses",
        "Each generator and its discriminator pull against each other, so no curve should fall to "
        "zero. With least squares a discriminator that only guesses has 0.25. Healthy runs "
        "wander; a discriminator near 0 while its generator climbs has won and no longer teaches. "
        "These curves say little about how good the pictures are.",
        "loss per patch",
        (
            ("generator", "train", "losses", "gan"),
            ("generator back", "train", "losses", "gan_back"),
            ("discriminator of targets", "train", "losses", "discriminator"),
            ("discriminator of inputs", "train", "losses", "discriminator_back"),
        ),
        from_zero=True,
    ),
    _thinks("targets"),
    _thinks("inputs", "_back"),
    ChartSpec(
        "train-cycle",
        "Training: cycle and identity",
        "Cycle: mean absolute difference of an image and what comes back of it. Identity: of an "
        "image and what the generator that makes such images makes of it. Both fall, first "
        "quickly, then slowly.",
        "L1 on train (0 to 2)",
        (
            ("cycle of inputs", "train", "losses", "cycle"),
            ("cycle of targets", "train", "losses", "cycle_back"),
            ("identity of targets", "train", "losses", "identity"),
            ("identity of inputs", "train", "losses", "identity_back"),
        ),
        from_zero=True,
    ),
    ChartSpec(
        "total",
        "Training: the generators' total loss",
        "All that the generators minimise, weighted and added up. A jump is a bad step.",
        "loss (weighted sum)",
        (("generators", "train", "losses", "generators"),),
    ),
)


@dataclass(frozen=True)
class CycleGANConfig(AdversarialConfig):
    """A CycleGAN run. Defaults: its authors' PyTorch code's (arXiv 1703.10593)."""

    PRESETS: ClassVar[Mapping[str, Preset]] = PRESETS
    DEFAULT_PRESET: ClassVar[str] = "cyclegan_quick"
    DATA: ClassVar[str] = UNPAIRED
    TWO_WAY: ClassVar[bool] = True
    MEASURES: ClassVar[tuple[Measure, ...]] = MEASURES
    CHARTS: ClassVar[tuple[ChartSpec, ...]] = CHARTS
    EARLIER: ClassVar[Mapping[str, Any]] = {"sample_labels": "cmp"}
    EARLIER_PRESETS: ClassVar[Mapping[str, Mapping[str, Collection[Any]]]] = {
        "cyclegan_quick": {"upsampling": ("transposed",), "ema": (0.0,)}
    }

    algorithm: str = option("cyclegan", "what is learned, and how", "first", choices=("cyclegan",))
    preset: str = again(AdversarialConfig, "preset", "cyclegan")
    best_metric: str = option(
        "swd_mean",
        "val measure by which the best checkpoint is chosen",
        "run",
        choices=("swd_mean", "swd", "swd_back", "cycle", "cycle_back"),
        may_change=True,
    )
    lr_schedule: str = again(AdversarialConfig, "lr_schedule", "linear_epochs")
    generator: str = again(AdversarialConfig, "generator", "resnet9")
    norm: str = again(AdversarialConfig, "norm", "instance_plain")
    dropout: float = again(AdversarialConfig, "dropout", 0.0)
    gan_loss: str = again(AdversarialConfig, "gan_loss", "lsgan")
    lambda_gan: float = option(
        1.0,
        "weight of the adversarial terms; 0 for no discriminators",
        "loss",
        minimum=0.0,
    )
    lambda_forward: float = option(
        10.0,
        "weight of the L1 between an input and what comes back of it; 0 for none",
        "loss",
        minimum=0.0,
    )
    lambda_backward: float = option(
        10.0,
        "weight of the L1 between a target and what comes back of it; 0 for none",
        "loss",
        minimum=0.0,
    )
    lambda_identity: float = option(
        0.5,
        "weight of the L1 between an image and what the generator that makes such images makes of "
        "it, as a share of the other two weights; 0 for none",
        "loss",
        minimum=0.0,
    )
    pool_size: int = option(
        50,
        "generated images that are kept to be shown to each discriminator again; 0 for none",
        "loss",
        minimum=0,
        maximum=65536,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.lambda_gan or self.lambda_forward or self.lambda_backward):
            raise UserError(
                "--lambda_gan=0 with --lambda_forward=0 and --lambda_backward=0 leaves nothing to "
                "learn; give one of them a weight"
            )
        if self.has_identity and self.x_channels != self.y_channels:
            raise UserError(
                f"--lambda_identity={self.lambda_identity}: it compares images with what they are "
                f"turned into, and inputs have {self.x_channels} channels, targets "
                f"{self.y_channels}; leave it out with --lambda_identity=0"
            )

    @property
    def has_discriminator(self) -> bool:
        return self.lambda_gan > 0

    @property
    def has_identity(self) -> bool:
        """Whether the objective compares images with what they are turned into."""
        return self.lambda_identity * max(self.lambda_forward, self.lambda_backward) > 0

    @property
    def networks(self) -> str:
        return f"ngf {self.ngf}, {self.generator}"
