"""One large picture, a tile at a time: what the network makes of the whole, in bounded memory.

A convolution reads a few pixels around its own, so a tile with that much of its neighbours gives
the very features of the whole. What does not is normalisation, by statistics of the whole image,
and the U-Net's way through its coarsest features, of which one pixel sees more than a thousand of
the image. So the layers are run one after the other, each over all tiles: the statistics of its
result are gathered over the tiles (and not guessed from a smaller image, which has others), and
the features of the coarser levels, which are small, are kept as a whole for the layers that read
them. Those of the finer levels are computed again for each tile that needs them. The fewer levels
are kept, the less memory is taken and the more is computed twice; the result is the same.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.models import layers as ours

SIDES = (1024, 512, 256)
"""Of tiles, pixels, the first one whose work fits."""

# A tile of coarse features has at least so many a side: a smaller one moves more weights than it
# computes.
_LEAST = 32
# What an engine takes for its own beside the arrays that go in and come out, in their sizes.
_COPIES = 3
_PLAIN = (
    tf.keras.layers.Activation,
    tf.keras.layers.Add,
    tf.keras.layers.BatchNormalization,
    tf.keras.layers.Concatenate,
    tf.keras.layers.LeakyReLU,
    tf.keras.layers.ReLU,
    ours.LatentChannels,
    ours.ZeroChannels,
)
_PADS = (ours.ReflectPadding, ours.ReplicatePadding, tf.keras.layers.ZeroPadding2D)
_NOISY = (ours.InputNoise, ours.NoiseDropout)
_NORMS = (ours.GroupNormalization, ours.InstanceNormalization)
_NUMBER = 4  # bytes of a float32

Span = tuple[int, int]  # first and last, the last excluded
Region = tuple[Span, Span]  # rows and columns


@dataclass(frozen=True)
class Node:
    """A layer, or a convolution with the padding before it.

    Attributes:
      layer: of Keras; None for x, z and the latent.
      inputs: names of the nodes that it reads.
      level: of its result: one pixel is 2**level pixels of x, along each axis.
      channels: of its result.
      kind: ``source``, ``vector`` (the latent, which has no pixels), ``plain`` (pixel by pixel),
        ``noisy`` (the same, with z), ``norm``, ``moved`` (other pixels are read) or ``kernel``
        (the same, by weights).
      reach: of ``moved`` and ``kernel``, how far around a region they read, in pixels of the
        coarser of input and result.
      padding: a layer that comes before it.
    """

    layer: Any
    inputs: tuple[str, ...]
    level: int
    channels: int
    kind: str
    reach: int = 0
    padding: Any = None

    @property
    def is_kept(self) -> bool:
        """Whether its result is kept as a whole, where that is not too large: of a convolution, or
        of a sum, without which all that was added up so far would have to be."""
        return self.kind == "kernel" or isinstance(self.layer, tf.keras.layers.Add)

    @property
    def weight(self) -> int:
        """Multiplications for one pixel of the result, about."""
        if self.kind != "kernel":
            return 0
        kernel = self.layer.kernel.shape
        # A transposed convolution of stride 2 reads its weights once for each pixel of its input.
        return math.prod(kernel) // (4 if isinstance(self.layer, _UP) else 1)


_UP = tf.keras.layers.Conv2DTranspose


class Unknown(ValueError):
    """A network with a layer of which no tiles can be made; the message names it."""


def nodes_of(model: tf.keras.Model, noise_factor: int = 1) -> dict[str, Node]:
    """The layers of a generator in the order of their computation, by name.

    Args:
      model: ``[x, z, latent] -> y``, the last two where it takes them.
      noise_factor: pixels of x for one of z, along each axis.

    Raises:
      Unknown: a layer that is not known here.
    """
    names: dict[int, str] = {}
    nodes: dict[str, Node] = {}
    pads: dict[str, tf.keras.layers.Layer] = {}
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.InputLayer):
            continue
        inputs = []
        for tensor in tf.nest.flatten(layer.input):
            if id(tensor) not in names:
                is_x, is_vector = tensor is model.inputs[0], len(tensor.shape) == 2
                name = "x" if is_x else "latent" if is_vector else "z"
                names[id(tensor)] = name
                level = round(math.log2(noise_factor)) if name == "z" else 0
                kind = "vector" if is_vector else "source"
                nodes[name] = Node(None, (), level, tensor.shape[-1], kind)
            inputs.append(names[id(tensor)])
        names[id(layer.output)] = layer.name
        if isinstance(layer, _PADS):
            pads[layer.name] = layer
            nodes[layer.name] = dataclasses.replace(nodes[inputs[0]], inputs=tuple(inputs))
            continue
        padding = pads.get(inputs[0])
        if padding is not None:
            inputs = list(nodes.pop(padding.name).inputs)
        nodes[layer.name] = _node(layer, tuple(inputs), nodes[inputs[0]].level, padding)
    return nodes


def _node(
    layer: tf.keras.layers.Layer,
    inputs: tuple[str, ...],
    level: int,
    padding: tf.keras.layers.Layer | None,
) -> Node:
    channels = layer.output.shape[-1]
    if isinstance(layer, _PLAIN):
        return Node(layer, inputs, level, channels, "plain")
    if isinstance(layer, _NOISY):
        return Node(layer, inputs, level, channels, "noisy")
    if isinstance(layer, _NORMS):
        return Node(layer, inputs, level, channels, "norm")
    if isinstance(layer, ours.DepthToSpace) and layer.block == 2:
        return Node(layer, inputs, level - 1, channels, "moved")
    if isinstance(layer, ours.BilinearDouble):
        return Node(layer, inputs, level - 1, channels, "moved", 1)
    if isinstance(layer, ours.Smoothing):
        return Node(layer, inputs, level, channels, "moved", 1)
    if isinstance(layer, tf.keras.layers.Conv2D | _UP):
        (stride, same), (kernel, square) = layer.strides, layer.kernel_size
        padded = padding is not None or layer.padding == "same"
        if stride == same and stride in (1, 2) and kernel == square and padded:
            up = isinstance(layer, _UP)
            if not (up and stride == 1) and tuple(layer.dilation_rate) == (1, 1):
                change = stride - 1
                reach = (kernel // 2 + stride - 1) // stride
                level = level - change if up else level + change
                return Node(layer, inputs, level, channels, "kernel", reach, padding)
    raise Unknown(f"{layer.name} ({type(layer).__name__})")


# === What is done in which order ===


@dataclass(frozen=True)
class Step:
    """One walk over all tiles of a node's result.

    Attributes:
      node: whose result is computed.
      kept: whether it is kept as a whole.
      norm: the normalisation whose statistics are gathered, or "".
      reads: the kept results that this needs.
      again: the convolutions that are computed for it, itself among them.
    """

    node: str
    kept: bool
    norm: str
    reads: frozenset[str]
    again: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How a picture is made.

    Attributes:
      nodes: of the network.
      steps: in order; the last one makes the picture.
      height, width: of the padded x.
      side: of a tile, pixels of x.
      depth: the first level of which all features are kept.
    """

    nodes: Mapping[str, Node]
    steps: tuple[Step, ...]
    height: int
    width: int
    side: int
    depth: int

    @classmethod
    def of(cls, nodes: Mapping[str, Node], height: int, width: int, side: int, depth: int) -> Plan:
        kept = {n for n, node in nodes.items() if node.level >= depth and node.is_kept}
        norms = {node.inputs[0]: name for name, node in nodes.items() if node.kind == "norm"}
        last = list(nodes)[-1]
        steps = []
        for name in nodes:
            if name in kept or name in norms or name == last:
                reads, again = _needed(nodes, kept, name)
                steps.append(Step(name, name in kept, norms.get(name, ""), reads, again))
        return cls(nodes, tuple(steps), height, width, side, depth)

    def last_use(self) -> dict[str, int]:
        """The number of the last step that reads a kept result, by its node."""
        return {name: number for number, step in enumerate(self.steps) for name in step.reads}

    def size(self, name: str) -> Span:
        """Height and width of a node's result."""
        level = self.nodes[name].level
        return self.height >> level, self.width >> level

    def bytes_kept(self) -> int:
        """Of the kept results together, where they are most."""
        alive: dict[str, int] = {}
        last, most = self.last_use(), 0
        for number, step in enumerate(self.steps):
            if step.kept:
                numbers = math.prod(self.size(step.node)) * self.nodes[step.node].channels
                alive[step.node] = _NUMBER * numbers
            most = max(most, sum(alive.values()))
            alive = {name: held for name, held in alive.items() if last.get(name, 0) > number}
        return most

    def bytes_worked(self) -> int:
        """Of what a tile takes while it is computed, about."""
        most = 0
        for step in self.steps:
            for name in step.again:
                node = self.nodes[name]
                read = sum(self._pixels(source, step) for source in node.inputs)
                weights = math.prod(node.layer.kernel.shape)
                most = max(most, read + self._pixels(name, step) + weights)
        return _COPIES * _NUMBER * most

    def _pixels(self, name: str, step: Step) -> int:
        """Numbers of a node's result that a tile of a step asks for."""
        node, at = self.nodes[name], self.nodes[step.node].level
        side = self.side_at(at) * 2.0 ** (at - node.level) + 4
        height, width = self.size(name)
        return round(min(side, height) * min(side, width)) * node.channels

    def side_at(self, level: int) -> int:
        """Of a tile of features of that level."""
        return max(self.side >> level, _LEAST)

    def work(self, step: Step) -> float:
        """Multiplications of a step, for the time that is left."""
        return sum(self.nodes[n].weight * math.prod(self.size(n)) for n in step.again) + 1.0


def _needed(
    nodes: Mapping[str, Node], kept: set[str], name: str
) -> tuple[frozenset[str], tuple[str, ...]]:
    """The kept results that a node's is computed from, and the convolutions on the way."""
    reads: set[str] = set()
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        at = waiting.pop()
        seen.add(at)
        for source in nodes[at].inputs:
            if source in kept:
                reads.add(source)
            elif source not in seen:
                waiting.append(source)
    return frozenset(reads), tuple(n for n in nodes if n in seen and nodes[n].kind == "kernel")


def plan(
    nodes: Mapping[str, Node], height: int, width: int, room: int, side: int | None = None
) -> Plan | None:
    """The plan that computes least within some memory.

    Args:
      nodes: of the network.
      height, width: of the padded x.
      room: bytes.
      side: of the tiles, pixels of x; None for one of `SIDES`.

    Returns:
      None if every plan takes more.
    """
    levels = max(node.level for node in nodes.values())
    for each in [side] if side else SIDES:
        plans = [Plan.of(nodes, height, width, each, depth) for depth in range(levels + 1)]
        # Where tiles leave less than half of it to what is kept, smaller ones are better.
        if not side and each != SIDES[-1] and plans[0].bytes_worked() > room // 2:
            continue
        for one in plans:
            if one.bytes_kept() + one.bytes_worked() <= room:
                return one
    return None


# === Doing it ===


def joined(
    tiles: Tiles, height: int, width: int, result: Callable[[Region, np.ndarray], np.ndarray]
) -> np.ndarray:
    """The picture of all tiles, ``[height, width, ...]``.

    Args:
      tiles: of a padded image.
      height, width: of the image.
      result: makes the pixels of a region of it from y ``[h, w, C_out]``.
    """
    picture = None
    for (rows, columns), y in tiles:
        (top, bottom), (left, right) = rows, columns
        bottom, right = min(bottom, height), min(right, width)
        if top >= bottom or left >= right:
            continue
        part = result(((top, bottom), (left, right)), y[: bottom - top, : right - left])
        if picture is None:
            picture = np.empty((height, width, *part.shape[2:]), part.dtype)
        picture[top:bottom, left:right] = part
    assert picture is not None
    return picture


class Tiles:
    """Runs a plan.

    Args:
      plan: the plan.
      x: gives a region of x, float32 ``[h, w, C]``.
      z: gives a region of z, likewise; None for G(x).
      progress: told the share that is done, 0 to 1, after every tile.
      latent: ``[n]``; None where the network takes none.
    """

    def __init__(
        self,
        plan: Plan,
        x: Callable[[Region], np.ndarray],
        z: Callable[[Region], np.ndarray] | None,
        progress: Callable[[float], None] | None = None,
        latent: np.ndarray | None = None,
    ) -> None:
        self._plan, self._nodes, self._progress = plan, plan.nodes, progress
        self._latent = None if latent is None else tf.constant(latent[None])
        self._sources = {"x": x} if z is None else {"x": x, "z": z}
        self._kept: dict[str, np.ndarray] = {}
        self._moments: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}

    def __iter__(self) -> Iterator[tuple[Region, np.ndarray]]:
        """Regions of the picture, which cover it once, with y ``[h, w, C_out]``."""
        plan, last = self._plan, self._plan.last_use()
        work = [plan.work(step) for step in plan.steps]
        for number, step in enumerate(plan.steps):
            moments = _Moments()
            if step.kept:
                shape = (*plan.size(step.node), self._nodes[step.node].channels)
                self._kept[step.node] = np.empty(shape, np.float32)
            regions = list(_regions(plan, step.node))
            for count, region in enumerate(regions, start=1):
                features = self._computed(step.node, region)
                if step.kept:
                    rows, columns = region
                    self._kept[step.node][slice(*rows), slice(*columns)] = features[0]
                if step.norm:
                    moments.add(features)
                if number == len(plan.steps) - 1:
                    yield region, features[0].numpy()
                if self._progress is not None:
                    done = sum(work[:number]) + work[number] * count / len(regions)
                    self._progress(done / sum(work))
            if step.norm:
                self._moments[step.norm] = moments.result()
            for name in [n for n in self._kept if last.get(n, 0) <= number]:
                del self._kept[name]

    def _region(self, name: str, region: Region) -> tf.Tensor:
        """A region of a node's result, ``[1, h, w, C]``."""
        (top, bottom), (left, right) = region
        if self._nodes[name].kind == "vector":
            return self._latent
        if name in self._kept:
            return tf.constant(self._kept[name][None, top:bottom, left:right])
        if name in self._sources:
            return tf.constant(self._sources[name](region)[None])
        return self._computed(name, region)

    def _computed(self, name: str, region: Region) -> tf.Tensor:
        node = self._nodes[name]
        if node.kind == "noisy":
            return self._noisy(node, region)
        if node.kind in ("plain", "norm"):
            inputs = [self._region(source, region) for source in node.inputs]
            if node.kind == "norm":
                return node.layer.normalized(inputs[0], *self._moments[name])
            return node.layer(inputs if len(inputs) > 1 else inputs[0])
        return self._moved(node, region)

    def _noisy(self, node: Node, region: Region) -> tf.Tensor:
        """A layer with z, which has one pixel for a block of its features."""
        block = node.layer.block
        coarse = _each(region, lambda first, last: (first // block, -(-last // block)))
        whole = _each(coarse, lambda first, last: (first * block, last * block))
        inputs = [self._region(node.inputs[0], whole), self._region(node.inputs[1], coarse)]
        return _cut(node.layer(inputs), region, whole)

    def _moved(self, node: Node, region: Region) -> tf.Tensor:
        """A layer that reads around a region. What it makes at the region's border is wrong where
        that is not the image's, and is cut off."""
        source = node.inputs[0]
        change, reach = node.level - self._nodes[source].level, node.reach

        def around(first: int, last: int) -> Span:
            if change > 0:
                return 2 * (first - reach), 2 * (last + reach)
            if change < 0:
                return first // 2 - reach, -(-last // 2) + reach
            return first - reach, last + reach

        rows, columns = _each(region, around)
        height, width = self._plan.size(source)
        read = _within(rows, height), _within(columns, width)
        features = self._region(source, read)
        if node.padding is not None:
            features = node.padding(features)
        made = _each(read, lambda first, last: (_scaled(first, change), _scaled(last, change)))
        return _cut(node.layer(features), region, made)


def _each(region: Region, change: Callable[[int, int], Span]) -> Region:
    """Rows and columns changed alike."""
    rows, columns = region
    return change(*rows), change(*columns)


def _within(span: Span, most: int) -> Span:
    return max(span[0], 0), min(span[1], most)


def _scaled(place: int, change: int) -> int:
    return place >> change if change > 0 else place << -change


def _cut(features: tf.Tensor, region: Region, of: Region) -> tf.Tensor:
    """A region of features ``[1, h, w, C]`` that are those of another."""
    (top, bottom), (left, right) = region
    (up, _), (side, _) = of
    return features[:, top - up : bottom - up, left - side : right - side]


def _regions(plan: Plan, name: str) -> Iterator[Region]:
    """Tiles of a node's result: they cover it once, the last ones may be smaller."""
    height, width = plan.size(name)
    side = plan.side_at(plan.nodes[name].level)
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield (top, min(top + side, height)), (left, min(left + side, width))


class _Moments:
    """Mean and variance of each channel over all tiles, in float64 (Chan, Golub and LeVeque 1979,
    "Updating formulae and a pairwise algorithm for computing sample variances")."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._squares = np.zeros(1)

    def add(self, features: tf.Tensor) -> None:
        """Those of a tile, ``[1, h, w, C]``."""
        count = features.shape[1] * features.shape[2]
        mean, variance = (m.numpy().astype(np.float64) for m in tf.nn.moments(features, [0, 1, 2]))
        total, apart = self._count + count, mean - self._mean
        self._mean = self._mean + apart * (count / total)
        self._squares = self._squares + variance * count + apart**2 * (self._count * count / total)
        self._count = total

    def result(self) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 ``[1, 1, 1, C]`` each."""
        mean, variance = self._mean, self._squares / self._count
        return (
            tf.constant(mean[None, None, None], tf.float32),
            tf.constant(variance[None, None, None], tf.float32),
        )
