"""The networks: generators, discriminators, their layers, their noise and their weights."""

from tfpix2pix.models.discriminator import build_discriminator
from tfpix2pix.models.generator import build_generator
from tfpix2pix.models.layers import InstanceNormalization, NoiseDropout

__all__ = ["InstanceNormalization", "NoiseDropout", "build_discriminator", "build_generator"]
