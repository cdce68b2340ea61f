"""CycleGAN: its networks and objective as settings, and its code's as a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfpix2pix.algorithms.configs.adversarial import AdversarialConfig
from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import option
from tfpix2pix.config.base import Preset
from tfpix2pix.config.declared import ChartSpec, Measure

PRESETS: dict[str, Preset] = {
    "cyclegan_quick": Preset(
        "images without pairs, 128 px, narrow networks, minutes on two CPU cores",
        {
            "crop_size": 128,
            "load_size": 143,
            "ngf": 32,
            "ndf": 32,
            "steps": 4000,
            "val_every": 1000,
            "sample_every": 500,
            "checkpoint_every": 1000,
            "log_every": 25,
        },
    ),
    "cyclegan": Preset(
        "images without pairs, as CycleGAN's code: 256 px, batch 1, 200 epochs",
        {},
        "not trained here: for a GPU",
    ),
}

MEASURES = (
    Measure("swd_mean", "SWD, mean of both directions", "lower", meaning="lower is better"),
    Measure("swd", "SWD", "lower", meaning="lower is better; 0: patches like the targets'"),
    Measure("swd_back", "SWD, back", "lower", meaning="of pictures of the inputs' side"),
    Measure("sharpness_ratio", "sharpness", "near 1", meaning="1: as sharp as the targets"),
    Measure("sharpness_back", "sharpness, back", "near 1", meaning="1: as sharp as the inputs"),
    Measure("cycle", "cycle L1", "lower", meaning="there and back again; 0 to 2"),
    Measure("cycle_back", "cycle L1, back", "lower", meaning="from a target and back; 0 to 2"),
)

CHARTS = (
    ChartSpec(
        "val-swd",
        "Validation: realism",
        "How far small patches of the outputs are from those of real images of that side (sliced "
        "Wasserstein distance). Lower is more alike.",
        "SWD on val (standard deviations)",
        (("input to target", "val", "swd"), ("target to input", "val", "swd_back")),
        mark="min",
        from_zero=True,
    ),
)


@dataclass(frozen=True)
class CycleGANConfig(AdversarialConfig):
    """A CycleGAN run. Defaults: its authors' PyTorch code's (arXiv 1703.10593)."""

    PRESETS: ClassVar[Mapping[str, Preset]] = PRESETS
    DEFAULT_PRESET: ClassVar[str] = "cyclegan_quick"
    DATA: ClassVar[str] = "unpaired"
    TWO_WAY: ClassVar[bool] = True
    MEASURES: ClassVar[tuple[Measure, ...]] = MEASURES
    CHARTS: ClassVar[tuple[ChartSpec, ...]] = CHARTS
    EARLIER: ClassVar[Mapping[str, Any]] = {}

    algorithm: str = option("cyclegan", "what is learned, and how", "first", choices=("cyclegan",))
    preset: str = option("cyclegan", "named settings that the other flags override", "first")
    best_metric: str = option(
        "swd_mean",
        "val measure by which the best checkpoint is chosen",
        "run",
        choices=("swd_mean", "swd", "swd_back", "cycle", "cycle_back"),
        may_change=True,
    )
    lr_schedule: str = option(
        "linear_epochs",
        "step sizes of Adam",
        "loss",
        choices=("constant", "linear", "linear_epochs"),
        may_change=True,
    )
    dropout: float = option(
        0.0,
        "share of decoder features that the noise z drops, 0 to less than 1",
        "model",
        minimum=0.0,
        maximum=0.95,
    )
    bias_layers: str = option(
        "pytorch", "convolutions with a bias", "model", choices=("paper", "pytorch")
    )
    gan_loss: str = option(
        "lsgan",
        "of the adversarial term: 'vanilla' (cross entropy), 'lsgan' or 'hinge'",
        "loss",
        choices=("vanilla", "lsgan", "hinge"),
    )
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
