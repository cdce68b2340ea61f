"""BicycleGAN: its networks and objective as settings, and its authors' as a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfpix2pix.algorithms.configs import pix2pix
from tfpix2pix.algorithms.configs.adversarial import AdversarialConfig, judgement_chart
from tfpix2pix.algorithms.configs.cyclegan import CycleGANConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import again, option
from tfpix2pix.config.base import Preset
from tfpix2pix.config.declared import ChartSpec, Measure

PRESETS: dict[str, Preset] = {
    "bicyclegan_quick": Preset(
        "several answers to one input, 128 px, narrow networks, minutes on two CPU cores",
        {
            "crop_size": 128,
            "load_size": 143,
            "norm": "group",  # which hears the latent at every level
            "bottleneck": 8,
            "upsampling": "nearest",
            "padding": "replicate",
            "ngf": 32,
            "ndf": 32,
            "nef": 32,
            "steps": 4000,
            "val_every": 500,
            "sample_every": 250,
            "checkpoint_every": 500,
            "log_every": 25,
        },
    ),
    "bicyclegan": Preset(
        "several answers to one input, as BicycleGAN's code: 256 px, 200 epochs",
        {},
        "not trained here: for a GPU",
    ),
}


def _thinks(what: str, way: str = "") -> ChartSpec:
    """The chart of one discriminator."""
    return judgement_chart(
        f"What the discriminator of outputs {what} thinks",
        f"How real it holds real targets and outputs {what} to be, on average, and how often it is "
        "right. Both curves near 0.5: it cannot tell them apart. Real near 1, outputs near 0 and "
        "accuracy at 1 for long: it has won.",
        way=way,
    )


# By its latent.
_ENCODED, _RANDOM = "of the target's latent", "of random latents"
CHARTS = (
    *(chart for chart in pix2pix.CHARTS if chart.key.startswith("val-")),
    pix2pix.LATENT_CHART,
    ChartSpec(
        "told",
        "What the latent says of a target",
        "By how much the encoder's distribution of a target's latent differs from that of random "
        "latents (Kullback-Leibler divergence, summed over the numbers of the latent). At 0 it "
        "says nothing of its target, and every latent gives the same output. A curve that climbs "
        "without end: targets get latents that no random one is like.",
        "nats",
        (("KL", "train", "encoder", "kl"),),
        from_zero=True,
    ),
    ChartSpec(
        "recovered",
        "Whether outputs depend on the latent",
        "Of the latents drawn at random, the share that the encoder finds again in the output: 1 "
        "where it finds all of them, 0 where the output tells nothing of its latent, or where the "
        "encoder has not yet learned to read it.",
        "share",
        (("recovered", "train", "latent", "recovered"),),
        y_range=(-0.1, 1.02),
    ),
    ChartSpec(
        "train-l1",
        "Training: L1 with the target's own latent",
        "Mean absolute difference to the target of what is made with the target's own latent. Val "
        "is measured with random ones, which are not to give the target again.",
        "L1 on train (0 to 2)",
        (("L1", "train", "losses", "l1"),),
    ),
    ChartSpec(
        "adversarial",
        "The contest: adversarial losses",
        "The generator and its discriminators, of outputs with the target's own latent and with "
        "random ones, pull against each other, so no curve should fall to zero. With least squares "
        "a discriminator that only guesses has 0.25 for each scale. One near 0 while the generator "
        "climbs has won and no longer teaches.",
        "loss per patch",
        (
            ("generator, own", "train", "losses", "gan"),
            ("generator, random", "train", "losses", "gan_random"),
            ("discriminator, own", "train", "losses", "discriminator"),
            ("discriminator, random", "train", "losses", "discriminator_random"),
        ),
        from_zero=True,
    ),
    _thinks(_ENCODED),
    _thinks(_RANDOM, "_random"),
    ChartSpec(
        "total",
        "Training: the total losses",
        "All that the generator minimises, and all that the encoder does, weighted and added up. A "
        "jump is a bad step.",
        "loss (weighted sum)",
        (
            ("generator", "train", "losses", "generator"),
            ("encoder", "train", "losses", "encoder"),
        ),
    ),
)


@dataclass(frozen=True)
class BicycleGANConfig(AdversarialConfig):
    """A BicycleGAN run. Defaults: its authors' code's (arXiv 1711.11586)."""

    PRESETS: ClassVar[Mapping[str, Preset]] = PRESETS
    DEFAULT_PRESET: ClassVar[str] = "bicyclegan_quick"
    TAKES_LATENT: ClassVar[bool] = True
    ENCODES: ClassVar[bool] = True
    MEASURES: ClassVar[tuple[Measure, ...]] = pix2pix.MEASURES
    CHARTS: ClassVar[tuple[ChartSpec, ...]] = CHARTS
    EARLIER: ClassVar[Mapping[str, Any]] = {"sample_labels": "cmp"}

    algorithm: str = option(
        "bicyclegan", "what is learned, and how", "first", choices=("bicyclegan",)
    )
    preset: str = again(AdversarialConfig, "preset", "bicyclegan")
    best_metric: str = option(
        "swd",
        "val measure by which the best checkpoint is chosen",
        "run",
        choices=("l1", "psnr", "ssim", "swd"),
        may_change=True,
    )
    lr_schedule: str = again(AdversarialConfig, "lr_schedule", "linear_epochs")
    norm: str = again(AdversarialConfig, "norm", "instance_plain")
    dropout: float = again(AdversarialConfig, "dropout", 0.0)
    gan_loss: str = again(AdversarialConfig, "gan_loss", "lsgan")
    latent: int = again(AdversarialConfig, "latent", 8)
    latent_reach: str = again(AdversarialConfig, "latent_reach", "all")
    nef: int = option(64, "encoder channels of the first layer", "model", minimum=1, maximum=512)
    discriminator_scales: int = again(pix2pix.Pix2PixConfig, "discriminator_scales", 2)
    conditional_d: bool = option(
        False, "show the discriminators x beside y, as pix2pix does", "model"
    )
    lambda_gan: float = again(CycleGANConfig, "lambda_gan", 1.0)
    lambda_l1: float = again(pix2pix.Pix2PixConfig, "lambda_l1", 10.0)
    lambda_kl: float = option(
        0.01,
        "weight of the KL divergence of the encoder's latents from random ones, in nats",
        "loss",
        minimum=0.0,
    )
    lambda_latent: float = option(
        0.5,
        "weight of the L1 between a random latent and what the encoder finds in the output; the "
        "generator alone learns from it; 0 for none",
        "loss",
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.latent:
            raise UserError(
                f"--latent=0: --algorithm={self.algorithm} learns what a latent is for; give it "
                "some numbers (--latent=8), or use --algorithm=pix2pix"
            )
        if not (self.lambda_gan or self.lambda_l1):
            raise UserError(
                "--lambda_gan=0 with --lambda_l1=0 leaves nothing that says what an output is to "
                "be; give one of them a weight"
            )

    @property
    def scales(self) -> int:
        return self.discriminator_scales

    @property
    def has_discriminator(self) -> bool:
        return self.lambda_gan > 0

    @property
    def networks(self) -> str:
        return f"ngf {self.ngf}, latent {self.latent} into {self.latent_reach}"
