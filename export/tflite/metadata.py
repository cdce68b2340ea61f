"""The standard metadata of a TFLite file, ``TFLITE_METADATA``: what its inputs and y are.

Android Studio makes a class of it, MediaPipe and others show it. It is a FlatBuffer of its own in
a buffer of the model; schema: metadata_schema.fbs of tflite-support, version 1.5.0, of which only
what is in 1.0.0 is used. Written by hand, since that package has no build for newer Pythons; the
numbers below are the schema's places of the fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfpix2pix.data.spec import LabSpec

if TYPE_CHECKING:
    import flatbuffers

    from tfpix2pix.data.spec import ImageSpec
    from tfpix2pix.export.contract import Contract

NAME = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
_PARSER = "1.0.0"
_FEATURE, _IMAGE = 1, 2  # union ContentProperties
_NORMALIZATION = 1  # union ProcessUnitOptions
_COLOR_SPACES = {3: 1, 1: 2}  # RGB, GRAYSCALE by the number of channels


def standard_metadata(contract: Contract, inputs: Sequence[str], encoder: bool = False) -> bytes:
    """The FlatBuffer for a model.

    An 8-bit RGB or grey side is an image: x is made of its values by
    ``(value - 127.5) / 127.5``, and values of y by ``(y + 1) / (1 / 127.5)``, which is
    ``(y + 1) * 127.5``. Other depths and ranges are normalised likewise by their own middle and
    half width, but are no images; one-hot labels and Lab are described in words alone.

    Args:
      contract: of the model.
      inputs: names in the order of the model's inputs.
      encoder: whether it is the encoder, and not the generator.
    """
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    tables = {"x": _image, "y": _style if encoder else _image, "z": _noise, "latent": _latent}
    network, output = ("encoder", "latent") if encoder else ("generator", "y")
    formula = "latent = E(y)" if encoder else f"y = {contract.formula}"
    words = {name: _tensor(builder, name, contract, tables[name]) for name in [*inputs, output]}
    graph = _table(
        builder,
        {
            0: builder.CreateString(network),
            2: _vector(builder, [words[name] for name in inputs]),
            3: _vector(builder, [words[output]]),
        },
    )
    size = contract.encoder_shape[:2] if encoder else contract.image_size
    model = _table(
        builder,
        {
            0: builder.CreateString(f"pix2pix {network}"),
            1: builder.CreateString(
                f"{formula}, "
                f"{'any size' if size is None else f'{size[1]}x{size[0]} pixels'}, of a tfpix2pix "
                "run; everything on its use is in the metadata 'tfpix2pix' (JSON)"
            ),
            2: builder.CreateString(f"step {contract.step}"),
            3: _vector(builder, [graph]),
            7: builder.CreateString(_PARSER),
        },
    )
    builder.Finish(model, _IDENTIFIER)
    return bytes(builder.Output())


# === What each tensor is ===


def _tensor(builder: flatbuffers.Builder, name: str, contract: Contract, kind: Any) -> int:
    """A TensorMetadata."""
    description, content, normalization, (low, high) = kind(builder, name, contract)
    fields = {
        0: builder.CreateString(name),
        1: builder.CreateString(description),
        3: content,
        5: _table(builder, {0: _floats(builder, [high]), 1: _floats(builder, [low])}),
    }
    if normalization:
        mean, deviation = (_floats(builder, [value]) for value in normalization)
        options = _table(builder, {0: mean, 1: deviation})
        unit = _table(builder, {0: ("uint8", _NORMALIZATION), 1: options})
        fields[4] = _vector(builder, [unit])
    return _table(builder, fields)


def _style(builder: flatbuffers.Builder, name: str, contract: Contract) -> tuple:
    """y where it is the encoder's input."""
    size = contract.encoder_shape[:2]
    return _image(builder, name, contract, "the image, like a target, whose style is meant", size)


def _image(
    builder: flatbuffers.Builder,
    name: str,
    contract: Contract,
    given: str = "",
    size: tuple[int, int] | None = None,
) -> tuple:
    """`given`: what a y that is an input is, of that size."""
    spec = contract.spec
    side: ImageSpec = getattr(spec, name)
    channels = contract.to_dict()[name]["channels"]
    lab = isinstance(spec, LabSpec)
    onehot = side.one_hot
    what = given or ("the image to translate" if name == "x" else "the translated image")
    low = 0.0 if onehot else -1.0
    if name == "y" and contract.argmax:
        names = ", ".join(f"{k} {each}" for k, each in enumerate(side.channel_names))
        description = f"the class of each pixel: {names}"
        return description, _feature(builder), None, (0.0, float(len(side.channel_names) - 1))
    description = f"{what}: {', '.join(channels)}, float32 from {low:g} to 1"
    normalization = None
    if not lab and not onehot:
        middle, half = (side.low + side.high) / 2, (side.high - side.low) / 2
        if name == "x" or given:
            normalization = (middle, half)
            description += f", (value - {middle:g}) / {half:g}"
        else:
            # The same formula the other way round.
            normalization = (-middle / half, 1 / half)
            description += f", value = y * {half:g} + {middle:g}"
    if normalization and side.dtype == "uint8" and len(channels) in _COLOR_SPACES:
        height, width = size or contract.image_size or (contract.size_multiple,) * 2
        sides = _table(builder, {0: ("uint32", width), 1: ("uint32", height)})
        space = ("int8", _COLOR_SPACES[len(channels)])
        properties = _table(builder, {0: space, 1: sides})
        return description, _content(builder, _IMAGE, properties), normalization, (low, 1.0)
    return description, _feature(builder), normalization, (low, 1.0)


def _noise(builder: flatbuffers.Builder, name: str, contract: Contract) -> tuple:
    description = (
        "the noise: uniform random numbers in [0, 1), new ones for each picture; -1 everywhere for "
        f"no dropout. [1, height / {contract.noise_factor}, width / {contract.noise_factor}, "
        f"{contract.noise_channels}]"
    )
    return description, _feature(builder), None, (0.0, 1.0)


def _latent(builder: flatbuffers.Builder, name: str, contract: Contract) -> tuple:
    description = (
        "the latent: standard normal random numbers, which choose among the right answers; the "
        f"same ones give the same style. [1, {contract.latent_size}]"
    )
    return description, _feature(builder), None, (-3.0, 3.0)


def _feature(builder: flatbuffers.Builder) -> int:
    return _content(builder, _FEATURE, _table(builder, {}))


def _content(builder: flatbuffers.Builder, kind: int, properties: int) -> int:
    return _table(builder, {0: ("uint8", kind), 1: properties})


# === FlatBuffers ===


def _table(builder: flatbuffers.Builder, fields: dict[int, int | tuple[str, int]]) -> int:
    """A table of its fields by place: what was written before, or ``(type, number)``."""
    builder.StartObject(max(fields, default=-1) + 1)
    for place, value in fields.items():
        if isinstance(value, tuple):
            kind, number = value
            slots = {
                "uint8": builder.PrependUint8Slot,
                "int8": builder.PrependInt8Slot,
                "uint32": builder.PrependUint32Slot,
            }
            slots[kind](place, number, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(place, value, 0)
    return builder.EndObject()


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()
