"""Networks as a config names them: one place where its settings become layers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfpix2pix.models.base import Encoder, Generator, LatentSpec
from tfpix2pix.models.encoder import encoder
from tfpix2pix.models.patchgan import build_discriminator
from tfpix2pix.models.resnet import resnet
from tfpix2pix.models.unet import unet


def generator_of(
    config: Any, input_channels: int, output_channels: int, name: str = "generator"
) -> Generator:
    """The generator that a config describes.

    Args:
      config: an `AdversarialConfig` (``algorithms/configs``).
      input_channels, output_channels: of the images that come in and go out.
      name: of the network: where there are several, each has its own.
    """
    shared: dict[str, Any] = {
        "input_channels": input_channels,
        "output_channels": output_channels,
        "ngf": config.ngf,
        "norm": config.norm,
        "bias_layers": config.bias_layers,
        "dropout": config.dropout,
        "upsampling": config.upsampling,
        "input_noise": config.noise_channels,
        "activation": "logits" if config.labels_out else "tanh",
        "latent": LatentSpec(config.latent, config.latent_reach) if config.latent else None,
        "name": name,
    }
    if config.blocks:
        shared |= {"resampling": config.resampling, "features_read": config.READS_FEATURES}
        # The paper's ResNet has every bias, and scales and offsets besides.
        biases = "all" if config.bias_layers == "paper" else config.bias_layers
        return resnet(**{**shared, "bias_layers": biases}, blocks=config.blocks)
    return unet(
        **shared,
        crop_size=config.depth_size,
        dropout_layers=config.dropout_layers,
        skips=config.generator == "unet",
        bottleneck=config.bottleneck,
        padding=config.padding,
        last_channels=config.last_channels,
    )


def discriminator_of(
    config: Any,
    channels: int,
    conditions: int = 0,
    *,
    precision: str = "none",
    name: str = "discriminator",
) -> tf.keras.Model:
    """The discriminator that a config describes, with Keras's initial weights.

    Args:
      config: as `generator_of` takes it.
      channels: of the images that are judged.
      conditions: channels of x, which it then sees beside them; 0 for D(y).
      precision: what its layers compute in, see ``layers_compute_in``.
      name: of the network.
    """
    return build_discriminator(
        receptive_field=config.receptive_field,
        input_channels=conditions,
        output_channels=channels,
        ndf=config.ndf,
        norm=config.norm,
        bias_layers=config.bias_layers,
        conditional=conditions > 0,
        spectral_norm=config.spectral_norm,
        resampling=config.resampling,
        precision=precision,
        name=name,
    )


def encoder_of(config: Any, channels: int) -> Encoder:
    """The encoder of images with so many channels that a config describes."""
    return encoder(
        crop_size=config.depth_size,
        channels=channels,
        latent=config.latent_size,
        nef=config.nef,
        norm=config.norm,
        bias_layers=config.bias_layers,
    )
