"""What algorithms with generators and discriminators have in common: the networks, and Adam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.options import LONGEST, option
from tfpix2pix.base.size import Size
from tfpix2pix.config.base import LARGEST_DEPTH, Config
from tfpix2pix.config.declared import ChartSpec

RESNETS: Mapping[str, int] = MappingProxyType({"resnet6": 6, "resnet9": 9})
"""Their blocks."""
UNET_ONLY: Mapping[str, Any] = MappingProxyType(
    {"bottleneck": 1, "padding": "zeros", "last_channels": 0, "dropout_layers": "paper"}
)
"""Settings without a meaning for a ResNet, as it has to have them."""
_RESNET_MULTIPLE = 4
_LARGEST_BOTTLENECK = 8


def judgement_chart(
    heading: str, explanation: str, made: str = "output", way: str = ""
) -> ChartSpec:
    """The chart of what a discriminator thinks.

    Args:
      heading, explanation: as of `ChartSpec`.
      made: the word for a generated image.
      way: what the names of the discriminator and of its judgements end with.
    """
    key = f"discriminator{way}"
    return ChartSpec(
        key.replace("_", "-"),
        heading,
        explanation,
        "share (0 to 1)",
        (
            ("says real of real", "train", key, f"real{way}"),
            (f"says real of {made}", "train", key, f"fake{way}"),
            ("accuracy", "train", key, f"accuracy{way}"),
        ),
        y_range=(-0.02, 1.02),
    )


def _depth_size(size: Size) -> int:
    return 1 << (size.smaller.bit_length() - 1)


@dataclass(frozen=True)
class AdversarialConfig(Config):
    """The part of a run's config that says what its networks are, and how they step. Defaults: the
    pix2pix paper's (arXiv 1611.07004); an algorithm's config may have others, see `again`.

    Attributes:
      READS_FEATURES: whether training reads features of the generator, not its pictures alone.
    """

    READS_FEATURES: ClassVar[bool] = False

    generator: str = option(
        "unet",
        "'unet' (with skips), 'encoder_decoder' (the same without them), or CycleGAN's ResNet: "
        "'resnet6' (6 blocks, its authors' choice for 128 pixels) or 'resnet9' (9, for 256 and "
        "more), for which sizes are multiples of 4",
        "model",
        choices=("unet", "encoder_decoder", *RESNETS),
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
        "normalisation: 'instance' (per image, in training and after it), 'instance_plain' (the "
        "same without scale and offset, every convolution with a bias: PyTorch's), 'group' (as "
        "'instance', over 8 groups of channels, over all of them in features of a U-Net up to 8 "
        "pixels wide), 'batch' (batch statistics in training, moving averages after it) or 'none'",
        "model",
        choices=("instance", "instance_plain", "group", "batch", "none"),
    )
    bias_layers: str = option(
        "paper",
        "convolutions with a bias where --norm=instance: 'paper' (the U-Net's last, all of a "
        "ResNet, the discriminator's first and last), 'all', or 'pytorch' (all, and normalisations "
        "without scale and offset: --norm=instance_plain; runs imported from PyTorch have it)",
        "model",
        choices=("paper", "pytorch", "all"),
    )
    dropout: float = option(
        0.5,
        "share of features that the noise z drops, 0 to less than 1: of the U-Net's decoder, or "
        "within the blocks of a ResNet",
        "model",
        minimum=0.0,
        maximum=0.95,
    )
    dropout_layers: str = option(
        "paper",
        "the U-Net's layers with dropout: 'paper' (the first three full-width ones) or 'pytorch' "
        "(all full-width ones but the innermost, as the authors' PyTorch code; imported runs have "
        "it)",
        "model",
        choices=("paper", "pytorch"),
    )
    bottleneck: int = option(
        1,
        "pixels that the U-Net's innermost features are wide: 1 (the paper's), 2, 4 or 8; "
        "sizes are multiples of crop_size / bottleneck (of its smaller side, if that is a power "
        "of two, else of the power below)",
        "model",
        choices=(1, 2, 4, _LARGEST_BOTTLENECK),
    )
    upsampling: str = option(
        "transposed",
        "how the generator enlarges: 'transposed' (4x4 convolutions, 3x3 in a ResNet), 'nearest' "
        "or 'bilinear' (then a 3x3 convolution), 'smooth' ('nearest', but bilinear to the "
        "picture's size), or 'subpixel' (a 3x3 convolution to four times the channels)",
        "model",
        choices=("transposed", "nearest", "smooth", "bilinear", "subpixel"),
    )
    resampling: str = option(
        "conv",
        "how a ResNet halves and doubles features, and a discriminator halves them: 'conv' (by "
        "convolutions of stride 2) or 'blur' (by fixed filters beside convolutions of stride 1, "
        "as CUT's code: slower)",
        "model",
        choices=("conv", "blur"),
    )
    padding: str = option(
        "zeros",
        "around the U-Net's features: 'zeros' (the paper's) or 'replicate' (the border's own "
        "values, so that nothing tells it where the border is; not with --upsampling=transposed)",
        "model",
        choices=("zeros", "replicate"),
    )
    last_channels: int = option(
        0,
        "channels at full resolution from which, and from x, one more convolution of the U-Net "
        "makes the picture; 0 for none (the paper's)",
        "model",
        minimum=0,
        maximum=512,
    )
    noise_channels: int = option(
        0, "channels of noise beside the input, a part of z", "model", minimum=0, maximum=16
    )
    latent: int = option(
        0,
        "numbers of the latent, a normal code beside the input that asks for another of its right "
        "answers (--seed of 'tfpix2pix translate'); 0 for none. By itself the generator mostly "
        "ignores it, see --diversity",
        "model",
        minimum=0,
        maximum=256,
    )
    latent_reach: str = option(
        "input",
        "what reads the latent: 'input' (the first convolution) or 'all' (every convolution of "
        "the encoder)",
        "model",
        choices=("input", "all"),
    )
    spectral_norm: bool = option(
        False, "divide the discriminator's weights by their spectral norm", "model"
    )
    gan_loss: str = option(
        "vanilla",
        "of the adversarial term: 'vanilla' (cross entropy, the paper's), 'lsgan' or 'hinge'",
        "loss",
        choices=("vanilla", "lsgan", "hinge"),
    )
    learning_rate: float = option(
        2e-4, "Adam's step size, both networks", "loss", minimum=0.0, may_change=True
    )
    beta1: float = option(0.5, "Adam's first-moment decay", "loss", minimum=0.0, maximum=0.9999)
    beta2: float = option(
        0.999, "Adam's second-moment decay", "loss", minimum=0.0, maximum=0.999999
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
        network = f"--generator={self.generator}"
        if not self.blocks:
            network = f"--bottleneck={self.bottleneck}"
            if all(side % (self.depth_size // _LARGEST_BOTTLENECK) == 0 for side in self.crop_size):
                use.append(f"--bottleneck={_LARGEST_BOTTLENECK}")
        raise UserError(
            f"--crop_size={self.crop_size}: with {network} the generator takes multiples of "
            f"{self.size_multiple} pixels at this size; use {' or '.join(use)}"
        )

    def _rounded(self, up: bool) -> Size:
        """The crop size with both sides rounded down, or up, to what its depth takes."""
        size = self.crop_size
        while True:  # a side that was rounded up may ask for another depth
            multiple = self._multiple(size)
            rounded = Size(*((side + up * (multiple - 1)) // multiple * multiple for side in size))
            if rounded == size:
                return size
            size = rounded

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blocks:
            self._check_resnet()
        if self.latent:
            self._check_latent()
        elif self.latent_reach != type(self).latent_reach:
            raise UserError(
                f"--latent_reach={self.latent_reach}: there is no latent; add --latent=8, or leave "
                "it out"
            )
        if self.bias_layers == "pytorch" and not self.norm.startswith("instance"):
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
        if self.has_discriminator:
            self._check_patches()

    def _check_patches(self) -> None:
        """Raises UserError for images too small for a patch of the coarsest discriminator."""
        # Two layers of stride 1 behind those of stride 2 want three pixels.
        strided = {1: 0, 16: 1, 70: 3, 286: 5}[self.receptive_field]
        needs = 3 << strided if strided else 1
        shrunk = 2 ** (self.scales - 1)
        side = -(-self.crop_size.smaller // shrunk)
        if side >= needs:
            return
        use = [
            f"--crop_size={1 << (needs * shrunk - 1).bit_length()} or more",
            f"--receptive_field={70 if self.receptive_field == 286 and side >= 24 else 16}",
        ]
        sees = ""
        if self.scales > 1:
            sees = f" at the last of --discriminator_scales={self.scales}"
            if self.crop_size.smaller >= needs:
                use.append("--discriminator_scales=1")
        raise UserError(
            f"--receptive_field={self.receptive_field} leaves no patch of a {self.crop_size} pixel "
            f"image{sees}; use {' or '.join(use)}"
        )

    def _check_latent(self) -> None:
        """Raises UserError for a latent that no picture would depend on."""
        if not self.TAKES_LATENT:
            raise UserError(
                f"--latent={self.latent}: nothing in the objective of "
                f"--algorithm={self.algorithm} would make its generators use a latent; leave it "
                "out (--latent=0), or use --algorithm=pix2pix with --diversity=dsgan"
            )
        # A U-Net's first convolution has none behind it.
        if self.blocks and self._of_channels:
            with_batch = f" and --batch_size={self.batch_size}" if self.norm == "batch" else ""
            raise UserError(
                f"--latent={self.latent} has no say in a ResNet with --norm={self.norm}, "
                f"--ngf={self.ngf}{with_batch}: a latent is the same at every pixel of a channel, "
                "and that is what its normalisation takes away; use --norm=group with --ngf=16 or "
                "more, or --generator=unet"
            )

    @property
    def _of_channels(self) -> bool:
        """Whether the first normalisation of a ResNet, in training, is of each channel alone."""
        if self.norm == "batch":
            return self.batch_size == 1
        return self.norm.startswith("instance") or (self.norm == "group" and 8 % self.ngf == 0)

    def _check_resnet(self) -> None:
        """Raises UserError for what only a U-Net can have, and for what goes not together."""
        if self.resampling == "blur" and self.upsampling != "transposed":
            raise UserError(
                f"--resampling=blur does not go with --upsampling={self.upsampling}: it enlarges "
                "by a filter of its own; use --resampling=conv, or --upsampling=transposed"
            )
        for name, value in UNET_ONLY.items():
            found = getattr(self, name)
            if found != value:
                raise UserError(
                    f"--{name}={found} is of a U-Net, and a ResNet has nothing like it; leave it "
                    f"out (--{name}={value}), or use --generator=unet"
                )

    @classmethod
    def preset_values(cls, name: str, flags: Mapping[str, Any]) -> Mapping[str, Any]:
        values = super().preset_values(name, flags)
        if flags.get("generator") not in RESNETS:
            return values
        return {key: value for key, value in values.items() if key not in UNET_ONLY}

    @property
    def blocks(self) -> int:
        """Of the ResNet; 0 for another generator."""
        return RESNETS.get(self.generator, 0)

    @property
    def scales(self) -> int:
        """Discriminators of one kind, each on images of half the size of the one before."""
        return 1

    @property
    def takes_noise(self) -> bool:
        return self.noisy or not self.blocks

    @property
    def noisy(self) -> bool:
        return self.dropout > 0 or self.noise_channels > 0

    @property
    def latent_size(self) -> int:
        return self.latent

    @property
    def least_size(self) -> int:
        # A feature map of one pixel cannot be mirrored at its border.
        return 2 * _RESNET_MULTIPLE if self.blocks else 1

    @property
    def size_multiple(self) -> int:
        return self._multiple(self.crop_size)

    def _multiple(self, size: Size) -> int:
        return _RESNET_MULTIPLE if self.blocks else _depth_size(size) // self.bottleneck

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
