"""What the two images of a pair are: their stored arrays, what networks see, what people see.

Sources load *stored* arrays: pixels at the depth of their files, or class numbers where a label
palette is given. `ImageSpec.to_network` turns them into what a network sees in [-1, 1];
`PairSpec.picture_of_y` and `PairSpec.result` turn a network's picture back, at that depth.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from tfpix2pix.base.errors import DataError
from tfpix2pix.data import images
from tfpix2pix.data.formats.planes import check_planes

if TYPE_CHECKING:
    from tfpix2pix.data.palette import Palette

DTYPES = ("uint8", "uint16", "float32")
DEPTHS = {"uint8": "8 bit", "uint16": "16 bit", "float32": "32-bit float"}
FULL_SCALE = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}

# The paper colours photographs in CIELAB (section 4, "L in, ab out") and names no scale. L has
# 0..100 by definition; no colour of sRGB has |a| or |b| above 108.
L_RANGE = (0.0, 100.0)
AB_RANGE = (-110.0, 110.0)

# A label image is one if the palette explains at least this share of its pixels.
LEAST_COVERED = 0.9


# === Wishes ===


@dataclasses.dataclass(frozen=True)
class ImageWish:
    """What the user asked of one image of the pair; empty means as the files are.

    Attributes:
      flag: ``input`` or ``target``, for messages.
      channels: 0, or the number to convert to.
      dtype: empty, or one of `DTYPES` to convert to.
      value_range: empty, or ``LOW:HIGH``, the values that become -1 and 1.
      planes: which of a file's planes are read, as `tfpix2pix.data.decode` has it.
      alpha: whether the last of 2 or 4 channels is alpha, where that is known already.
    """

    flag: str
    channels: int = 0
    dtype: str = ""
    value_range: str = ""
    planes: str = "auto"
    alpha: bool = False

    def __post_init__(self) -> None:
        if self.channels < 0:
            raise DataError(f"--{self.flag}_channels={self.channels}: expected 0 or more.")
        if self.dtype and self.dtype not in DTYPES:
            raise DataError(
                f"--{self.flag}_dtype={self.dtype}: expected one of {', '.join(DTYPES)}."
            )
        check_planes(f"{self.flag}_planes", self.planes)
        self.limits()

    def limits(self) -> tuple[float, float] | None:
        """``(low, high)`` of `value_range`; None where it is empty.

        Raises:
          DataError: it is not of the form LOW:HIGH, or LOW is not below HIGH.
        """
        if not self.value_range:
            return None
        low, colon, high = self.value_range.partition(":")
        try:
            limits = (float(low), float(high))
        except ValueError:
            colon = ""
        if not colon or not np.isfinite(limits).all() or limits[0] >= limits[1]:
            raise DataError(
                f"--{self.flag}_range={self.value_range}: expected LOW:HIGH, two numbers with LOW "
                "below HIGH, such as 0:4095."
            )
        return limits

    def image(self) -> ImageSpec:
        """The image that a wish of channels, type and range describes."""
        limits = self.limits()
        assert limits is not None, "the wish has a range"
        return ImageSpec(self.channels, self.dtype, *limits, planes=self.planes, alpha=self.alpha)


@dataclasses.dataclass(frozen=True)
class PairWish:
    """What the user asked of both images; see `ImageWish` and `PairSpec`.

    Attributes:
      x, y: of each image.
      palette: of the label images, or None.
      label_side: which image shows labels: ``input``, ``target``, or empty to find out.
      encoding: how a network sees input labels: ``color`` or ``onehot``.
      color_space: ``rgb``, or ``lab`` for a `LabSpec`.
    """

    x: ImageWish = ImageWish("input")
    y: ImageWish = ImageWish("target")
    palette: Palette | None = None
    label_side: str = ""
    encoding: str = "color"
    color_space: str = "rgb"

    def __post_init__(self) -> None:
        if self.encoding == "onehot" and self.palette is None:
            raise DataError(
                "--input_encoding=onehot needs to know the classes; give --label_palette=facades, "
                "camvid, cityscapes or a JSON file."
            )
        if self.encoding == "onehot" and self.label_side == "target":
            raise DataError(
                "--input_encoding=onehot needs labels as the input, --label_side=target says that "
                "they are the target; drop one of the two, or turn --direction round."
            )
        if self.in_lab:
            if self.palette is not None:
                raise DataError(
                    "--color_space=lab is for photographs, --label_palette for label images; drop "
                    "one of the two."
                )
            for wish, side in ((self.x, LAB_X), (self.y, LAB_Y)):
                _refuse_other(wish, side, "--color_space=lab")

    @property
    def in_lab(self) -> bool:
        """Whether a `LabSpec` is wished."""
        return self.color_space == "lab"

    @property
    def resolved(self) -> bool:
        """True if the wish alone says what the spec is, without looking at any file."""
        if self.in_lab:
            return True
        labels = {"input": self.x, "target": self.y}
        if self.palette is not None:
            if not self.label_side:
                return False
            del labels[self.label_side]
        return all(w.channels and w.dtype and w.value_range for w in labels.values())

    def spec(self) -> PairSpec:
        """The spec that a resolved wish describes."""
        if self.in_lab:
            return LabSpec()
        x, y = (self.labels(wish) or wish.image() for wish in (self.x, self.y))
        return PairSpec(x, y)

    def labels(self, wish: ImageWish) -> ImageSpec | None:
        """The side of `wish` (x or y of this) if it is the one that shows labels, else None.

        Raises:
          DataError: other channels, depth or range are wished than labels have.
        """
        palette = self.palette
        if palette is None or self.label_side != wish.flag:
            return None
        encoding = self.encoding if wish.flag == "input" else "color"
        channels = len(palette) if encoding == "onehot" else 3
        side = ImageSpec(
            channels,
            "uint8",
            *FULL_SCALE["uint8"],
            palette=palette,
            encoding=encoding,
            planes=wish.planes,
        )
        _refuse_other(wish, side, f"--label_palette={palette.name} ({encoding})")
        return side


def _refuse_other(wish: ImageWish, side: ImageSpec, because: str) -> None:
    """Refuses a wish that contradicts what another flag makes of a side."""
    for name, asked, fixed in (
        ("channels", wish.channels, side.channels),
        ("dtype", wish.dtype, side.dtype),
        ("range", wish.limits(), (side.low, side.high)),
    ):
        if asked and asked != fixed:
            value = wish.value_range if name == "range" else asked
            resolved = side.value_range if name == "range" else fixed
            raise DataError(
                f"--{wish.flag}_{name}={value}: {because} makes that {resolved}; drop "
                f"--{wish.flag}_{name}."
            )


# === Sides ===


@dataclasses.dataclass(frozen=True)
class ImageSpec:
    """One image of a pair.

    Attributes:
      channels: of x (or y) as networks see it.
      dtype: of the stored array, and of results: ``uint8``, ``uint16`` or ``float32``.
      low, high: the stored values that become -1 and 1.
      palette: if given, stored arrays hold class numbers, uint8 ``[H, W, 1]``.
      encoding: how networks see classes: ``color``, the palette's colours, or ``onehot``, one
        channel for each class with 1 where it is and 0 elsewhere.
      planes: which of a file's planes are read, as `tfpix2pix.data.decode` has it.
      alpha: whether the last of 2 or 4 channels is alpha.
    """

    channels: int
    dtype: str = "uint8"
    low: float = 0.0
    high: float = 255.0
    palette: Palette | None = None
    encoding: str = "color"
    planes: str = dataclasses.field(default="auto", compare=False)
    alpha: bool = dataclasses.field(default=False, compare=False)

    @property
    def is_classes(self) -> bool:
        return self.palette is not None

    @property
    def stored_channels(self) -> int:
        return 1 if self.is_classes else self.channels

    @property
    def stored_bytes(self) -> int:
        """Bytes of one pixel's stored values."""
        return self.stored_channels * np.dtype(self.dtype).itemsize

    @property
    def value_range(self) -> str:
        """``LOW:HIGH``, as the config records it."""
        return f"{self.low:.9g}:{self.high:.9g}"

    @property
    def whole_scale(self) -> bool:
        """True if no value of the type lies outside low..high."""
        return FULL_SCALE.get(self.dtype) == (self.low, self.high)

    def describe(self) -> str:
        """A few words: ``RGB, 8 bit``."""
        if self.palette is not None:
            return f"{len(self.palette)} classes of '{self.palette.name}' ({self.encoding})"
        names = {1: "grey", 3: "RGB", **({2: "grey with alpha", 4: "RGBA"} if self.alpha else {})}
        name = names.get(self.channels, f"{self.channels} channels")
        depth = DEPTHS[self.dtype]
        return f"{name}, {depth}" + ("" if self.whole_scale else f", {self.value_range}")

    @property
    def channel_names(self) -> list[str]:
        """What each channel that networks see means."""
        if self.palette is not None and self.encoding == "onehot":
            return [label.name for label in self.palette.classes]
        names = {
            1: ["grey"],
            3: ["red", "green", "blue"],
        }
        if self.alpha:
            names |= {2: [*names[1], "alpha"], 4: [*names[3], "alpha"]}
        return names.get(self.channels, [str(i) for i in range(self.channels)])

    # === Stored arrays ===

    def store(self, picture: images.Decoded, notes: list[str] | None = None) -> np.ndarray:
        """A decoded file as a stored array, ``[H, W, stored_channels]`` of type `dtype`.

        Args:
          picture: the file.
          notes: told in plain words what was changed on the way.

        Raises:
          ValueError: it cannot be made one; a sentence without the file's name.
        """
        if self.palette is not None:
            return classes_of(picture, self.palette)[..., None]
        array = images.fit_channels(picture.array, picture.has_alpha, self.channels, notes)
        if notes is not None and array.dtype != self.dtype:
            notes.append(f"{array.dtype} values brought to {self.dtype}")
        return images.fit_depth(array, self.dtype)

    def to_network(self, values):
        """Stored values, as float32, to what networks see.

        Args:
          values: float32 tensor ``[..., stored_channels]``; class numbers are whole.

        Returns:
          float32 tensor ``[..., channels]`` in [-1, 1].
        """
        import tensorflow as tf

        if self.palette is not None:
            classes = tf.cast(values[..., 0], tf.int32)
            if self.encoding == "onehot":
                return tf.one_hot(classes, self.channels)
            values = tf.gather(tf.constant(self.palette.colors, tf.float32), classes)
            return values / 127.5 - 1.0
        if self.low:
            values = values - self.low
        scaled = values / ((self.high - self.low) / 2) - 1.0
        return scaled if self.whole_scale else tf.clip_by_value(scaled, -1.0, 1.0)

    def from_network(self, image: np.ndarray) -> np.ndarray:
        """What `to_network` undoes: ``[..., channels]`` in [-1, 1] to values of type `dtype`.

        Whole-number types are rounded and clipped to low..high. Labels become their colours as
        the network painted them, not snapped to the palette; see `picture`.
        """
        image = np.asarray(image)
        if self.encoding == "onehot" and self.palette is not None:
            return self.palette.to_colors(image.argmax(axis=-1).astype(np.uint8))
        if self.dtype == "float32":
            span = np.float32((self.high - self.low) / 2)
            return (image.astype(np.float32) + np.float32(1)) * span + np.float32(self.low)
        # float32 has digits enough for 8 bits; 16 bits would lose some of theirs.
        kind: type[np.floating] = np.float32 if self.dtype == "uint8" else np.float64
        half = kind((self.high - self.low) / 2)
        values = np.rint((image.astype(kind) + kind(1)) * half + kind(self.low))
        return np.clip(values, np.ceil(self.low), np.floor(self.high)).astype(self.dtype)

    def picture(self, image: np.ndarray) -> np.ndarray:
        """What a person sees: ``[..., channels]`` in [-1, 1] to uint8 ``[..., 1 or 3]``.

        The value range low..high spans black to white. Of two channels the first is shown, of
        more than three the first three; one-hot classes are painted in their colours.
        """
        image = np.asarray(image)
        if self.is_classes and self.encoding == "onehot":
            return self.from_network(image)
        shown = image[..., :3] if image.shape[-1] >= 3 else image[..., :1]
        return np.clip(np.rint((shown + 1.0) * 127.5), 0, 255).astype(np.uint8)

    def levels(self, image: np.ndarray) -> np.ndarray:
        """An image as its file will hold it, on the scale 0 (low) to 255 (high), for measures.

        Args:
          image: ``[..., channels]`` in [-1, 1].

        Returns:
          uint8 for 8-bit sides of the whole scale, else float64 with the depth's own steps.
        """
        if self.dtype == "uint8" and self.whole_scale:
            return self.from_network(image)
        return (self.from_network(image).astype(np.float64) - self.low) * (
            255.0 / (self.high - self.low)
        )


def classes_of(picture: images.Decoded, palette: Palette) -> np.ndarray:
    """The class of every pixel of a label image: uint8 ``[H, W]``.

    Colour images are snapped to the palette's nearest colours. Grey ones are index maps, read as
    they are. An image with a colour table of its own (an indexed PNG) goes by its colours if
    they are the palette's, else by its index values.

    Raises:
      ValueError: a grey image with values that stand for no class; a float or 16-bit image.
    """
    if picture.indices is not None:
        rgb = images.fit_channels(picture.array, picture.has_alpha, 3)
        known = palette.knows_indices(picture.indices)
        if known and palette.covered(rgb) < LEAST_COVERED:
            return palette.from_indices(picture.indices)
        return palette.to_classes(rgb)
    colour = picture.array[..., :-1] if picture.has_alpha else picture.array
    if colour.shape[-1] == 1:
        return palette.from_indices(colour[..., 0])
    rgb = images.fit_channels(picture.array, picture.has_alpha, 3)
    return palette.to_classes(images.fit_depth(rgb, "uint8"))


# === Pairs ===


@dataclasses.dataclass(frozen=True)
class PairSpec:
    """The two images of every pair of a data set, with pixels as their files have them.

    Attributes:
      x, y: input and target.
    """

    x: ImageSpec
    y: ImageSpec

    @property
    def label_side(self) -> str:
        """Which image shows labels: ``input``, ``target``, or empty for none."""
        return "input" if self.x.is_classes else "target" if self.y.is_classes else ""

    @property
    def stored_bytes(self) -> int:
        """Bytes of one pixel of a stored pair."""
        return self.x.stored_bytes + self.y.stored_bytes

    @property
    def channel_names(self) -> dict[str, list[str]]:
        """What each channel of ``x`` and of ``y`` means."""
        return {"x": self.x.channel_names, "y": self.y.channel_names}

    def describe(self) -> str:
        """A few words on both images: ``RGB, 8 bit`` or ``grey, 8 bit to RGB, 16 bit``."""
        x, y = self.x.describe(), self.y.describe()
        return x if x == y else f"{x} to {y}"

    def is_like(self, other: PairSpec) -> bool:
        """Whether what was trained on pairs of the one can be used on pairs of the other.

        Ranges may differ in the tenth digit: a run's config keeps nine of those found in floats.
        """

        def alike(one: ImageSpec, two: ImageSpec) -> bool:
            ranges = np.allclose((one.low, one.high), (two.low, two.high), rtol=1e-6)
            return ranges and one == dataclasses.replace(two, low=one.low, high=one.high)

        return type(self) is type(other) and alike(self.x, other.x) and alike(self.y, other.y)

    def store(self, x: images.Decoded, y: images.Decoded) -> tuple[np.ndarray, np.ndarray]:
        """Two decoded images of one size as stored arrays.

        Raises:
          ValueError: an image has other channels or depth, or they are of two sizes.
        """
        stored = self.x.store(x), self.y.store(y)
        if stored[0].shape[:2] != stored[1].shape[:2]:
            sizes = " and ".join(f"{a.shape[1]}x{a.shape[0]}" for a in stored)
            raise ValueError(f"images of {sizes} (width x height), where a pair has one size")
        return stored

    # === Pictures ===

    def picture_of_x(self, x: np.ndarray) -> np.ndarray:
        """x as a person sees it: float ``[..., C_in]`` in [-1, 1] to uint8 ``[..., 1 or 3]``."""
        return self.x.picture(x)

    def picture_of_y(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """y, or G(x, z), as a person sees it: uint8 ``[..., 1 or 3]``. Only Lab needs x."""
        return self.y.picture(y)

    def levels(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """y, or G(x, z), as `ImageSpec.levels` has it, for measures."""
        return self.y.levels(y)

    # === Files ===

    @property
    def input_image(self) -> ImageSpec:
        """The images that a run takes, `input_pixels`: x as it is, but labels as RGB."""
        return ImageSpec(3) if self.x.is_classes else self.x

    @property
    def result_image(self) -> ImageSpec:
        """The images that a run gives, `result`: of the target's own depth and range."""
        return self.y

    @property
    def suffix(self) -> str:
        """Extension of result files: PNG where it holds them, else TIFF."""
        image = self.result_image
        # A PNG's second or fourth channel is alpha, whatever it was meant to be.
        in_png = image.channels in ((1, 2, 3, 4) if image.alpha else (1, 3))
        return ".png" if image.dtype != "float32" and in_png else ".tif"

    def read_input(self, picture: images.Decoded, notes: list[str] | None = None) -> np.ndarray:
        """A decoded image as x: float32 ``[H, W, C_in]`` in [-1, 1].

        Args:
          picture: the image.
          notes: told in plain words what was changed on the way.

        Raises:
          ValueError: it cannot be an input; a sentence without the file's name.
        """
        return np.asarray(self.x.to_network(self.x.store(picture, notes).astype(np.float32)))

    def input_pixels(self, picture: images.Decoded, notes: list[str] | None = None) -> np.ndarray:
        """A decoded image as an array of `input_image`; arguments and errors of `read_input`."""
        stored = self.x.store(picture, notes)
        return self.x.palette.to_colors(stored[..., 0]) if self.x.palette is not None else stored

    def input_file(self, x: np.ndarray) -> np.ndarray:
        """x as an image that `read_input` reads back: uint8, uint16 or float32 ``[H, W, C]``."""
        return self.x.from_network(x)

    def result(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """G(x, z) as its file holds it, an array of `result_image`. Only Lab needs x."""
        return self.y.from_network(y)


LAB_X = ImageSpec(1, "float32", *L_RANGE)
LAB_Y = ImageSpec(2, "float32", *AB_RANGE)


@dataclasses.dataclass(frozen=True)
class LabSpec(PairSpec):
    """Colourization: x is the lightness L of a photograph, y its a and b (CIELAB, D65 white).

    What people and files see is the RGB picture that the two make together.
    """

    x: ImageSpec = LAB_X
    y: ImageSpec = LAB_Y

    @property
    def channel_names(self) -> dict[str, list[str]]:
        return {"x": ["L"], "y": ["a", "b"]}

    def describe(self) -> str:
        return "L to ab of CIELAB"

    def store(self, x: images.Decoded, y: images.Decoded) -> tuple[np.ndarray, np.ndarray]:
        """As `PairSpec.store`, both from the colours of y."""
        lab = lab_of(y)
        return lab[..., :1], lab[..., 1:]

    def picture_of_x(self, x: np.ndarray) -> np.ndarray:
        return self.result(x, np.zeros((*x.shape[:-1], 2), np.float32))

    def picture_of_y(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.result(x, y)

    def levels(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.result(x, y)

    @property
    def input_image(self) -> ImageSpec:
        return ImageSpec(3)

    @property
    def result_image(self) -> ImageSpec:
        return ImageSpec(3)

    def read_input(self, picture: images.Decoded, notes: list[str] | None = None) -> np.ndarray:
        return np.asarray(self.x.to_network(lab_of(picture)[..., :1].astype(np.float32)))

    def input_pixels(self, picture: images.Decoded, notes: list[str] | None = None) -> np.ndarray:
        return images.fit_channels(picture.array, picture.has_alpha, 3)

    def input_file(self, x: np.ndarray) -> np.ndarray:
        return self.picture_of_x(x)

    def result(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return rgb_of(np.concatenate([self.x.from_network(x), self.y.from_network(y)], axis=-1))


# === CIELAB ===


def lab_of(picture: images.Decoded) -> np.ndarray:
    """CIELAB (D65) of a decoded image: float32 ``[H, W, 3]``; L 0..100, a and b about +-110.

    Raises:
      ValueError: it is no picture of 8 or 16 bits with 1 or 3 channels.
    """
    from skimage.color import rgb2lab

    rgb = images.fit_channels(picture.array, picture.has_alpha, 3)
    if rgb.dtype == np.float32:
        raise ValueError("a float image, where --color_space=lab expects 8 or 16 bits")
    return rgb2lab(rgb.astype(np.float32) / np.float32(np.iinfo(rgb.dtype).max))


def rgb_of(lab: np.ndarray) -> np.ndarray:
    """CIELAB ``[..., 3]`` to uint8 sRGB; what no screen can show is clipped."""
    import warnings

    from skimage.color import lab2rgb

    with warnings.catch_warnings():  # it says how many pixels it clipped, every time
        warnings.simplefilter("ignore")
        rgb = lab2rgb(lab.astype(np.float32))
    return np.clip(np.rint(rgb * 255.0), 0, 255).astype(np.uint8)
