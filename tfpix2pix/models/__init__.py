"""The networks: generators, discriminators, their layers, their noise and their weights."""

from tfpix2pix.models.layers import InstanceNormalization, NoiseDropout
from tfpix2pix.models.patchgan import build_discriminator
from tfpix2pix.models.unet import build_generator

__all__ = ["InstanceNormalization", "NoiseDropout", "build_discriminator", "build_generator"]
