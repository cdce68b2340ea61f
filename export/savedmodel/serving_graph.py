"""The graph that TensorFlow Serving runs: pictures in, pictures out, every step inside.

Signatures (all take any number of images; names are what clients send):

* ``serving_default``: ``image`` to ``output``, z of seed 0.
* ``seeded``: ``image``, ``seed`` to ``output``, each image's z a function of its own seed alone.
* ``encoded``, ``encoded_seeded``: the same with ``image_bytes`` (JPEG or PNG files) to
  ``output_bytes`` (PNG files), where results can be PNG files.
* ``float``: ``x`` and ``z`` to ``y``, the network alone.
* ``contract``: ``query`` (ignored) to ``contract``, the JSON text once for each.

An export without z has no ``seeded`` ones, and its ``float`` takes x alone. No variable is changed
by any of them. What is larger than the contract allows is refused before it is decoded or run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from tfpix2pix.export.core import Core, signature
from tfpix2pix.export.savedmodel.graph_spec import GraphSpec
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
    """

    def __init__(self, generator: tf.keras.Model, contract: Contract) -> None:
        super().__init__(generator, contract)
        # One function in all signatures: the network is traced and stored once.
        self._parts = _Parts(lambda *inputs: self.run(*inputs)["y"], contract)

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The signatures by their names, for `tf.saved_model.save`."""
        parts = self._parts
        image = parts.image_spec
        seed = tf.TensorSpec([None], tf.int64, name="seed")
        data = tf.TensorSpec([None], tf.string, name="image_bytes")
        query = tf.TensorSpec([None], tf.string, name="query")
        functions = {
            "serving_default": (parts.images, [image]),
            "contract": (parts.contract_text, [query]),
        }
        if parts.spec.has_files:
            functions["encoded"] = (parts.files, [data])
        if parts.contract.noise:
            functions["seeded"] = (parts.images, [image, seed])
            if parts.spec.has_files:
                functions["encoded_seeded"] = (parts.files, [data, seed])
        found = {
            name: tf.function(
                function, input_signature=specs, autograph=False
            ).get_concrete_function()
            for name, (function, specs) in functions.items()
        }
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

    def images(self, image: tf.Tensor, seed: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return {"output": self.translate(image, seed)}

    def files(self, image_bytes: tf.Tensor, seed: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        def checked(data: tf.Tensor) -> tf.Tensor:
            with tf.control_dependencies([self._check_file(data)]):
                return tf.identity(data)

        # All of them before the first is decoded.
        image_bytes = tf.map_fn(checked, image_bytes)

        # One by one: they may differ in size, and so none can tell who shares its request.
        def one(inputs: tuple[tf.Tensor, ...]) -> tf.Tensor:
            data, *seeds = inputs
            image = self.spec.decode(data)[None]
            result = self.translate(image, seeds[0][None] if seeds else None, fitting=True)
            return self.spec.encode(result[0])

        results = tf.map_fn(
            one,
            (image_bytes,) if seed is None else (image_bytes, seed),
            fn_output_signature=tf.TensorSpec([], tf.string),
            parallel_iterations=_PARALLEL,
        )
        return {"output_bytes": results}

    def contract_text(self, query: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"contract": tf.fill(tf.shape(query), self.text)}

    def translate(
        self, image: tf.Tensor, seed: tf.Tensor | None, fitting: bool = False
    ) -> tf.Tensor:
        """Images ``[B, H, W, C]`` to results ``[B, H, W, C_out]``.

        Args:
          image: as `GraphSpec.to_x` takes them.
          seed: int64 ``[B]``; None for the default.
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
        y = self._generate(padded, seed)[:, : shape[1], : shape[2]]
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

    def _generate(self, x: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        contract = self.contract
        if not contract.noise:
            return self.network(x)
        batch, height, width = tf.unstack(tf.shape(x)[:3])
        # A fixed size by its numbers: z must not fail before the check of the size speaks.
        shape = tf.stack(contract.noise_shape(*(contract.image_size or (height, width))))
        seeds = tf.constant([DEFAULT_SEED], tf.int64) if seed is None else seed
        z = noise.draw(contract.config.seed, noise.INFERENCE, seeds, shape)
        if seed is None:
            z = tf.tile(z, [batch, 1, 1, 1])
        z = tf.ensure_shape(z, [None, *signature(contract)[1].shape[1:]])
        return self.network(x, z)


def _too_large(name: str, pixels: int, shown: str = "[B, H, W, C]") -> str:
    return (
        f"{name}: this export takes images of at most {pixels:,} pixels (height x width, each "
        f"padded to the multiple that its contract names); send smaller ones, or export again with "
        f"a larger --max_pixels; {shown}:"
    )
