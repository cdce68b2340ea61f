"""CUT: its networks and objective as settings, and its authors' two ways as presets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tfpix2pix.algorithms.configs.adversarial import AdversarialConfig, judgement_chart
from tfpix2pix.algorithms.configs.cyclegan import CycleGANConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import again, option
from tfpix2pix.config.base import Preset
from tfpix2pix.config.declared import ChartSpec, Measure

PRESETS: dict[str, Preset] = {
    "cut_quick": Preset(
        "images without pairs, 128 px, one narrow generator, minutes on two CPU cores",
        {
            "crop_size": 128,
            "load_size": 143,
            "generator": "resnet6",
            "resampling": "conv",
            "ngf": 16,
            "ndf": 16,
            "steps": 4000,
            "val_every": 1000,
            "sample_every": 500,
            "checkpoint_every": 1000,
            "log_every": 25,
        },
        "6:04 on two cores on horse2zebra; a grid of fine lines is plain to see",
    ),
    "cut": Preset(
        "images without pairs, as CUT's code: 256 px, batch 1, 400 epochs",
        {},
        "not trained here: for a GPU",
    ),
    "fastcut": Preset(
        "the same at two thirds of its time a step, as FastCUT's code: 200 epochs",
        {
            "epochs": 200,
            "lr_decay_from": "150epochs",
            "lambda_nce": 10.0,
            "nce_idt": False,
            "flip_equivariance": True,
        },
        "not trained here: for a GPU",
    ),
}

MEASURES = (
    Measure("swd", "SWD", "lower", meaning="lower is better; 0: patches like the targets'"),
    Measure("sharpness_ratio", "sharpness", "near 1", meaning="1: as sharp as the targets"),
)
CHARTS = (
    ChartSpec(
        "val-swd",
        "Validation: realism",
        "How far small patches of the outputs are from those of targets, whichever picture they "
        "are of (sliced Wasserstein distance). Lower is more alike. What the inputs have as they "
        "are, without any translation, is the level to beat.",
        "SWD on val (standard deviations)",
        (("outputs", "val", "swd"), ("inputs as they are", "val", "swd_copy")),
        mark="min",
        from_zero=True,
    ),
    ChartSpec(
        "val-sharpness",
        "Validation: sharpness",
        "The mean steepness of the outputs, divided by that of targets. Below 1 they are blurred, "
        "above 1 noisy or covered by a pattern.",
        "sharpness on val (targets = 1)",
        (("sharpness", "val", "sharpness_ratio"),),
        reference=(1.0, "as sharp as targets"),
    ),
    ChartSpec(
        "val-change",
        "Validation: how much is changed",
        "Mean absolute difference of an input and its translation. At 0 the generator copies.",
        "L1 on val (0 to 2)",
        (("change", "val", "change"),),
        from_zero=True,
    ),
    ChartSpec(
        "patch-nce",
        "Training: PatchNCE",
        "How hard it is to tell from which place of the input a patch of the output was made, "
        "among 256 places of the same image (fewer, where a layer has fewer). On the dotted line "
        "nothing can be told; near 0 every patch is known again. A curve that climbs back says "
        "that outputs have little to do with their inputs. Of targets: the same of what the "
        "generator makes of a target, which is to stay as it is.",
        "loss (nats per patch)",
        (
            ("of inputs", "train", "losses", "nce"),
            ("of targets", "train", "losses", "nce_idt"),
        ),
        reference=(math.log(256), "guessing (5.55)"),
        from_zero=True,
    ),
    ChartSpec(
        "adversarial",
        "The contest: adversarial losses",
        "Generator and discriminator pull against each other, so neither curve should fall to "
        "zero. With least squares a discriminator that only guesses has 0.25. One near 0 while "
        "the generator climbs has won and no longer teaches.",
        "loss per patch",
        (
            ("generator", "train", "losses", "gan"),
            ("discriminator", "train", "losses", "discriminator"),
        ),
        from_zero=True,
    ),
    judgement_chart(
        "What the discriminator thinks",
        "How real it holds real targets and outputs to be, on average, and how often it is right. "
        "Both curves near 0.5: it cannot tell them apart. Real near 1, outputs near 0 and accuracy "
        "at 1 for long: it has won.",
    ),
    ChartSpec(
        "total",
        "Training: the generator's total loss",
        "All that the generator minimises, weighted and added up. A jump is a bad step.",
        "loss (weighted sum)",
        (("generator", "train", "losses", "generator"),),
    ),
)


@dataclass(frozen=True)
class CutConfig(AdversarialConfig):
    """A CUT run. Defaults: its authors' code's (arXiv 2007.15651)."""

    DATA: ClassVar[str] = "unpaired"
    PRESETS: ClassVar[Mapping[str, Preset]] = PRESETS
    DEFAULT_PRESET: ClassVar[str] = "cut_quick"
    READS_FEATURES: ClassVar[bool] = True
    MEASURES: ClassVar[tuple[Measure, ...]] = MEASURES
    CHARTS: ClassVar[tuple[ChartSpec, ...]] = CHARTS

    algorithm: str = option("cut", "what is learned, and how", "first", choices=("cut",))
    preset: str = again(AdversarialConfig, "preset", "cut")
    best_metric: str = option(
        "swd",
        "val measure by which the best checkpoint is chosen",
        "run",
        choices=("swd", "sharpness_ratio"),
        may_change=True,
    )
    epochs: int = again(AdversarialConfig, "epochs", 400)
    lr_schedule: str = again(AdversarialConfig, "lr_schedule", "linear_epochs")
    generator: str = again(AdversarialConfig, "generator", "resnet9")
    norm: str = again(AdversarialConfig, "norm", "instance_plain")
    resampling: str = again(AdversarialConfig, "resampling", "blur")
    dropout: float = again(AdversarialConfig, "dropout", 0.0)
    gan_loss: str = again(CycleGANConfig, "gan_loss", "lsgan")
    lambda_gan: float = again(CycleGANConfig, "lambda_gan", 1.0)
    lambda_nce: float = option(
        1.0,
        "weight of PatchNCE, by which a patch of the output is to be known among those of the "
        "input",
        "loss",
        minimum=0.0,
    )
    nce_idt: bool = option(
        True,
        "compare targets with what the generator makes of them, too, each for half of --lambda_nce",
        "loss",
    )
    nce_temperature: float = option(
        0.07, "by which PatchNCE divides how alike two patches are", "loss", minimum=0.001
    )
    nce_patches: int = option(
        256, "patches of an image that PatchNCE compares, of each layer", "loss", minimum=2
    )
    nce_channels: int = option(
        256, "width of the MLPs that make vectors of patches' features", "model", minimum=1
    )
    flip_equivariance: bool = option(
        False,
        "show the generator half of the images mirrored, and compare its pictures, mirrored back, "
        "with the images as they were (FastCUT)",
        "loss",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lambda_nce:
            raise UserError(
                "--lambda_nce=0 leaves nothing that ties outputs to their inputs; give it a weight"
            )
        if self.x_channels != self.y_channels:
            raise UserError(
                f"--algorithm={self.algorithm} compares inputs with outputs by the generator's own "
                f"layers, and inputs have {self.x_channels} channels, targets {self.y_channels}; "
                "give both the same, or use --algorithm=cyclegan"
            )

    @property
    def has_discriminator(self) -> bool:
        return self.lambda_gan > 0

    @property
    def networks(self) -> str:
        return f"{self.generator}, ngf {self.ngf}"
