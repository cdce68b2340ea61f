"""The graph that TensorFlow Serving runs: pictures in, pictures out, every step inside.

Signatures (all take any number of images; names are what clients send):

* ``serving_default``: ``image`` to ``output``, z and latent of seed 0.
* ``seeded``: ``image``, ``seed`` to ``output``, each image's z and latent functions of its own seed
  alone.
* ``latent``: ``image``, ``seed``, ``latent`` to ``output``, the latent in the place of the seed's.
* ``encoded``, ``encoded_seeded``, ``encoded_latent``: the same with ``image_bytes`` (JPEG or PNG
  files) to ``output_bytes`` (PNG files), where results can be PNG files.
* ``float``: ``x``, ``z`` and ``latent`` to ``y``, the network alone.
* ``style``: ``image``, one like the results and of any size, to ``latent``; ``encoded_style``: the
  same of ``image_bytes``; ``encoder``: ``y`` to ``latent``, the network alone. Only where the
  export has an encoder.
* ``contract``: ``query`` (ignored) to ``contract``, the JSON text once for each.

What the network does not take is no input of any: without a latent there is no ``latent``, without
z that has no ``seed``, and without both there is no ``seeded``. No variable is changed by any of
them. What is larger than the contract allows is refused before it is decoded or run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfpix2pix.export.contract import default_max_pixels
from tfpix2pix.export.core import Core, EncoderCore, signature
from tfpix2pix.export.savedmodel.graph_spec import GraphSpec, of_targets
from tfpix2pix.export.wire import signature_name
from tfpix2pix.models import noise

if TYPE_CHECKING:
    from tfpix2pix.export.contract import Contract

DEFAULT_SEED = 0
# Images of one request that are worked on at a time where each goes through the network alone;
# more of them would only take more memory, the kernels use all cores anyway.
_PARALLEL = 2


class ServingGraph(Core):
    """A generator with all signatures of a served model; see the module.

    Args:
      generator: from `core.export_generator`.
      contract: of the export.
      encoder: where the contract `encodes`.
    """

    def __init__(
        self, generator: tf.keras.Model, contract: Contract, encoder: tf.keras.Model | None = None
    ) -> None:
        super().__init__(generator, contract)
        if encoder is not None:
            self.encoder = EncoderCore(encoder, contract)
        # One function in all signatures: the network is traced and stored once.
        self._parts = _Parts(lambda *inputs: self.run(*inputs)["y"], contract)

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The signatures by their names, for `tf.saved_model.save`."""
        parts, contract = self._parts, self._parts.contract
        seed = tf.TensorSpec([None], tf.int64, name="seed")
        latent = tf.TensorSpec([None, contract.latent_size], name="latent")
        # What decides a picture beside the image.
        ways: dict[str, list[tf.TensorSpec]] = {"": []}
        if contract.seeded:
            ways["seeded"] = [seed]
        if contract.latent_size:
            ways["latent"] = [seed, latent] if contract.noise else [latent]
        sources: dict[str, tuple[Callable[..., Any], tf.TensorSpec]] = {
            "": (parts.images, parts.image_spec)
        }
        if parts.spec.has_files:
            data = tf.TensorSpec([None], tf.string, name="image_bytes")
            sources["encoded"] = (parts.files, data)
        found = {}
        for source, (function, image) in sources.items():
            for way, more in ways.items():
                found[signature_name(source, way)] = _concrete(function, [image, *more])
        query = tf.TensorSpec([None], tf.string, name="query")
        found["contract"] = _concrete(parts.contract_text, [query])
        if contract.encodes:
            styles = _Styles(lambda y: self.encoder.run(y)["latent"], contract)
            found["style"] = _concrete(styles.images, [styles.image_spec])
            if styles.spec.has_files:
                found["encoded_style"] = _concrete(styles.files, [sources["encoded"][1]])
            found["encoder"] = self.encoder.run.get_concrete_function()
        return {**found, "float": self._network().get_concrete_function()}

    def _network(self) -> tf.types.experimental.PolymorphicFunction:
        """`run`, with the limit of the contract in front where it has one."""
        pixels = self._parts.contract.max_pixels
        if pixels is None:
            return self.run

        def limited(x: tf.Tensor, *drawn: tf.Tensor) -> dict[str, tf.Tensor]:
            shape = tf.shape(x, tf.int64)
            # One plain operation, and no branch: this signature is for other engines' converters
            # too, which drop it.
            check = tf.raw_ops.Assert(
                condition=shape[1] * shape[2] <= pixels, data=[_too_large("x", pixels), shape]
            )
            with tf.control_dependencies([check]):
                x = tf.identity(x)
            return self.run(x, *drawn)

        return tf.function(limited, input_signature=self.signature, autograph=False)


class _Parts:
    """What the signatures are made of."""

    def __init__(self, network: Callable[..., tf.Tensor], contract: Contract) -> None:
        self.network, self.contract = network, contract
        self.spec = GraphSpec(contract.spec)
        self.text = contract.to_json()
        height, width = contract.image_size or (None, None)
        self.image_spec = tf.TensorSpec(
            [None, height, width, self.spec.image_channels], self.spec.image_dtype, name="image"
        )
        self._whole: dict[tuple[str, ...], Callable[..., tf.Tensor]] = {}

    def images(self, image: tf.Tensor, **given: tf.Tensor) -> dict[str, tf.Tensor]:
        """``given``: see `translate`."""
        return {"output": self._translated(image, given)}

    def files(self, image_bytes: tf.Tensor, **given: tf.Tensor) -> dict[str, tf.Tensor]:
        """``given``: see `translate`."""

        def checked(data: tf.Tensor) -> tf.Tensor:
            with tf.control_dependencies([self._check_file(data)]):
                return tf.identity(data)

        # All of them before the first is decoded.
        image_bytes = tf.map_fn(checked, image_bytes)

        # One by one: they may differ in size, and so none can tell who shares its request.
        def one(inputs: tuple[tf.Tensor, dict[str, tf.Tensor]]) -> tf.Tensor:
            data, own = inputs
            image, own = self.spec.decode(data)[None], {k: v[None] for k, v in own.items()}
            if self.contract.image_size is None:
                result = self._translated(image, own)
            else:
                result = self.translate(image, own, fitting=True)
            return self.spec.encode(result[0])

        results = tf.map_fn(
            one,
            (image_bytes, given),
            fn_output_signature=tf.TensorSpec([], tf.string),
            parallel_iterations=_PARALLEL,
        )
        return {"output_bytes": results}

    def contract_text(self, query: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"contract": tf.fill(tf.shape(query), self.text)}

    def _translated(self, image: tf.Tensor, given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """`translate` as one function, in the signatures of images and of files: it is traced and
        stored once."""
        names = tuple(given)
        if names not in self._whole:
            batches = [tf.TensorSpec([None, *v.shape[1:]], v.dtype) for v in given.values()]
            self._whole[names] = tf.function(
                lambda image, *more: self.translate(image, dict(zip(names, more, strict=True))),
                input_signature=[self.image_spec, *batches],
                autograph=False,
            )
        return self._whole[names](image, *given.values())

    def translate(
        self, image: tf.Tensor, given: Mapping[str, tf.Tensor], fitting: bool = False
    ) -> tf.Tensor:
        """Images ``[B, H, W, C]`` to results ``[B, H, W, C_out]``.

        Args:
          image: as `GraphSpec.to_x` takes them.
          given: ``seed``, int64 ``[B]``, without which it is the default for all; ``latent``,
            float32 ``[B, n]``, without which it is the seed's.
          fitting: whether images of a fixed size may also be smaller ones that are padded to it;
            their sizes were checked (`_check_file`).
        """
        contract = self.contract
        shape = tf.shape(image)
        checks = [
            tf.debugging.Assert(
                tf.reduce_all(shape[1:3] > 0), ["image: no pixels; [B, H, W, C]:", shape]
            )
        ]
        if contract.max_pixels and not fitting:
            height, width = tf.unstack(self._padded(tf.cast(shape[1:3], tf.int64)))
            checks.append(
                tf.debugging.Assert(
                    height * width <= contract.max_pixels,
                    [_too_large("image", contract.max_pixels), shape],
                )
            )
        with tf.control_dependencies(checks):
            x = self.spec.to_x(tf.identity(image))
        padded = self.spec.pad(x, contract.size_multiple)
        if contract.image_size and fitting:
            padded = tf.ensure_shape(padded, [None, *contract.image_size, None])
        y = self._generate(padded, given)[:, : shape[1], : shape[2]]
        output = self.spec.from_y(x, y)
        channels = self.spec.output_channels
        return tf.ensure_shape(output, [image.shape[0], *image.shape[1:3], channels])

    def _padded(self, sides: tf.Tensor) -> tf.Tensor:
        """Height and width after padding, int64 ``[2]``."""
        return sides + -sides % self.contract.size_multiple

    def _check_file(self, data: tf.Tensor) -> tf.Operation | None:
        """Refuses a file whose header says another size than the export takes."""
        fixed, most = self.contract.image_size, self.contract.max_pixels
        if fixed is not None:
            height, width = fixed
            sides = self.spec.size(data)
            padded = self._padded(sides)
            return tf.debugging.Assert(
                tf.reduce_all(tf.equal(padded, [height, width])),
                [
                    f"image_bytes: this export takes images of {height}x{width} pixels (height x "
                    "width), also smaller ones that are padded to it; [H, W] of the file:",
                    sides,
                ],
            )
        if most is not None:
            sides = self.spec.size(data)
            padded = self._padded(sides)
            return tf.debugging.Assert(
                padded[0] * padded[1] <= most,
                [_too_large("image_bytes", most, "[H, W] of the file"), sides],
            )
        return tf.no_op()

    def _generate(self, x: tf.Tensor, given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        contract, seed, size = self.contract, given.get("seed"), tf.shape(x)
        seeds = tf.constant([DEFAULT_SEED], tf.int64) if seed is None else seed
        of = contract.config.seed, noise.INFERENCE, seeds

        def for_all(drawn: tf.Tensor) -> tf.Tensor:
            """What the one default seed gives, once for each image."""
            once = [1] * (drawn.shape.rank - 1)
            return drawn if seed is not None else tf.tile(drawn, [size[0], *once])

        more = {}
        if contract.noise:
            # A fixed size by its numbers: z must not fail before the check of the size speaks.
            shape = contract.noise_shape(*(contract.image_size or tf.unstack(size[1:3])))
            more["z"] = for_all(noise.draw(*of, tf.stack(shape)))
        if "latent" in given:
            more["latent"] = given["latent"]
        elif contract.latent_size:
            more["latent"] = for_all(noise.draw_latent(*of, contract.latent_size))
        specs = signature(contract)[1:]
        return self.network(x, *(tf.ensure_shape(more[spec.name], spec.shape) for spec in specs))


class _Styles:
    """What the signatures of styles are made of."""

    def __init__(self, encoder: Callable[[tf.Tensor], tf.Tensor], contract: Contract) -> None:
        self.encoder, self.contract = encoder, contract
        self.spec = of_targets(contract.spec)
        self._classes = contract.spec.y.is_classes
        self.image_spec = tf.TensorSpec(
            [None, None, None, self.spec.image_channels], self.spec.image_dtype, name="image"
        )
        self._pixels = contract.max_pixels or default_max_pixels(contract.config)

    def images(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.shape(image, tf.int64)
        check = tf.debugging.Assert(
            tf.logical_and(tf.reduce_all(shape > 0), shape[1] * shape[2] <= self._pixels),
            [_too_large("image", self._pixels), shape],
        )
        with tf.control_dependencies([check]):
            return {"latent": self._latent(tf.identity(image))}

    def files(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        def one(data: tf.Tensor) -> tf.Tensor:
            sides = self.spec.size(data)
            check = tf.debugging.Assert(
                sides[0] * sides[1] <= self._pixels,
                [_too_large("image_bytes", self._pixels, "[H, W] of the file"), sides],
            )
            with tf.control_dependencies([check]):
                return self._latent(self.spec.decode(tf.identity(data))[None])[0]

        latent = tf.TensorSpec([self.contract.latent_size])
        return {"latent": tf.map_fn(one, image_bytes, fn_output_signature=latent)}

    def _latent(self, image: tf.Tensor) -> tf.Tensor:
        """Of images ``[B, H, W, C]``, resized as `Translator.style` does it."""
        height, width, _ = self.contract.encoder_shape
        how = {"method": "nearest"} if self._classes else {"antialias": True}
        y = tf.image.resize(self.spec.to_x(image), [height, width], **how)
        return self.encoder(tf.ensure_shape(y, [None, *self.contract.encoder_shape]))


def _concrete(
    function: Callable[..., dict[str, tf.Tensor]], specs: list[tf.TensorSpec]
) -> tf.types.experimental.ConcreteFunction:
    """A signature of those inputs, which the function takes by their names but for the first."""

    def named(first: tf.Tensor, *more: tf.Tensor) -> dict[str, tf.Tensor]:
        names = [spec.name for spec in specs[1:]]
        return function(first, **dict(zip(names, more, strict=True)))

    return tf.function(named, input_signature=specs, autograph=False).get_concrete_function()


def _too_large(name: str, pixels: int, shown: str = "[B, H, W, C]") -> str:
    return (
        f"{name}: this export takes images of at most {pixels:,} pixels (height x width, each "
        f"padded to the multiple that its contract names); send smaller ones, or export again with "
        f"a larger --max_pixels; {shown}:"
    )
