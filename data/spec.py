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
from tfpix2pix.data.unmeasured import (
    NAN,
    NONE,
    VOID,
    filled,
    missing_in,
    numbers_of,
    parse_ignore,
    word_of,
)

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
      ignore: empty to find out, or the values that mean nothing measured; see `parse_ignore`.
    """

    flag: str
    channels: int = 0
    dtype: str = ""
    value_range: str = ""
    planes: str = "auto"
    alpha: bool = False
    ignore: str = ""

    def __post_init__(self) -> None:
        if self.channels < 0:
            raise DataError(f"--{self.flag}_channels={self.channels}: expected 0 or more.")
        if self.dtype and self.dtype not in DTYPES:
            raise DataError(
                f"--{self.flag}_dtype={self.dtype}: expected one of {', '.join(DTYPES)}."
            )
        check_planes(f"{self.flag}_planes", self.planes)
        self.limits()
        _ = self.ignored

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

    @property
    def ignored(self) -> tuple[str, ...]:
        """The words of `ignore`."""
        return parse_ignore(self.ignore, self.flag)

    def image(self) -> ImageSpec:
        """The image that a wish of channels, type and range describes."""
        limits = self.limits()
        assert limits is not None, "the wish has a range"
        return ImageSpec(
            self.channels,
            self.dtype,
            *limits,
            planes=self.planes,
            alpha=self.alpha,
            ignore=self.ignored,
        )


@dataclasses.dataclass(frozen=True)
class PairWish:
    """What the user asked of both images; see `ImageWish` and `PairSpec`.

    Attributes:
      x, y: of each image.
      palette: of the label images, or None.
      label_side: which image shows labels: ``input``, ``target``, or empty to find out.
      encoding: how a network sees input labels: ``color`` or ``onehot``.
      color_space: ``rgb``, or ``lab`` for a `LabSpec`.
      target_encoding: what a network makes of target labels: ``image`` (their colours) or
        ``onehot``.
    """

    x: ImageWish = ImageWish("input")
    y: ImageWish = ImageWish("target")
    palette: Palette | None = None
    label_side: str = ""
    encoding: str = "color"
    color_space: str = "rgb"
    target_encoding: str = "image"

    def __post_init__(self) -> None:
        for wish, other in ((self.x, self.y), (self.y, self.x)):
            if not self._one_hot(wish.flag):
                continue
            flag = f"--{wish.flag}_encoding=onehot"
            if self.in_lab:
                raise DataError(
                    f"{flag} is for labels, --color_space=lab for photographs; drop one of the two."
                )
            if self.palette is None:
                raise DataError(
                    f"{flag} needs to know the classes; give --label_palette=facades, camvid, "
                    "cityscapes or a JSON file."
                )
            if self._one_hot(other.flag):
                raise DataError(
                    "--input_encoding=onehot and --target_encoding=onehot: one of the two images "
                    "shows labels; drop one of the two."
                )
            if self.label_side == other.flag:
                raise DataError(
                    f"{flag} needs labels as the {wish.flag}, --label_side={other.flag} says that "
                    f"they are the {other.flag}; drop one of the two, or turn --direction round."
                )
        if self.in_lab:
            if self.palette is not None:
                raise DataError(
                    "--color_space=lab is for photographs, --label_palette for label images; drop "
                    "one of the two."
                )
            for wish, side in ((self.x, LAB_X), (self.y, LAB_Y)):
                _refuse_other(wish, side, "--color_space=lab")
                if wish.ignored:
                    raise DataError(
                        f"--{wish.flag}_ignore={wish.ignore}: --color_space=lab is for "
                        "photographs, which are measured everywhere; drop one of the two."
                    )
        for wish in (self.x, self.y):
            is_labels = self.palette is not None and self.label_side in ("", wish.flag)
            if VOID in wish.ignored and not is_labels:
                raise DataError(
                    f"--{wish.flag}_ignore={wish.ignore}: void is a class of a label palette; give "
                    f"--label_palette, or the values, such as --{wish.flag}_ignore=255."
                )

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
        settled = all(w.channels and w.dtype and w.value_range for w in labels.values())
        return settled and bool(self.x.ignore and self.y.ignore)

    @property
    def one_hot_side(self) -> str:
        """Whose labels are to be one-hot, ``input`` or ``target``; empty for none."""
        return next((wish.flag for wish in (self.x, self.y) if self._one_hot(wish.flag)), "")

    def _one_hot(self, flag: str) -> bool:
        return (self.encoding if flag == "input" else self.target_encoding) == "onehot"

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
        encoding = "onehot" if self._one_hot(wish.flag) else "color"
        channels = len(palette) if encoding == "onehot" else 3
        ignore = wish.ignored
        if not wish.ignore and wish.flag == "target" and palette.void.any():
            ignore = (VOID,)
        side = ImageSpec(
            channels,
            "uint8",
            *FULL_SCALE["uint8"],
            palette=palette,
            encoding=encoding,
            planes=wish.planes,
            ignore=ignore,
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
        channel for each class with 1 where it is and 0 elsewhere. What a network makes of such
        targets are logits, see `classes`.
      planes: which of a file's planes are read, as `tfpix2pix.data.decode` has it.
      alpha: whether the last of 2 or 4 channels is alpha.
      ignore: values that mean nothing measured, as words; see `tfpix2pix.data.unmeasured`. With
        any but ``void``, stored arrays have one more channel: 1 where there is a measurement.
    """

    channels: int
    dtype: str = "uint8"
    low: float = 0.0
    high: float = 255.0
    palette: Palette | None = None
    encoding: str = "color"
    planes: str = dataclasses.field(default="auto", compare=False)
    alpha: bool = dataclasses.field(default=False, compare=False)
    ignore: tuple[str, ...] = ()

    @property
    def is_classes(self) -> bool:
        return self.palette is not None

    @property
    def one_hot(self) -> bool:
        """Whether networks see a channel for each class."""
        return self.is_classes and self.encoding == "onehot"

    @property
    def value_channels(self) -> int:
        """Channels of stored arrays that hold values."""
        return 1 if self.is_classes else self.channels

    @property
    def has_mask(self) -> bool:
        """Whether stored arrays say, in a last channel, where there is a measurement."""
        return any(word != VOID for word in self.ignore)

    @property
    def stored_channels(self) -> int:
        return self.value_channels + self.has_mask

    @property
    def ignored(self) -> str:
        """`ignore` as the config records it."""
        return ",".join(self.ignore) or NONE

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
        if self.palette is not None and self.one_hot:
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
        if not self.has_mask:
            return self._values(picture, notes)
        missing = missing_in(picture, self.ignore)
        values = self._values(filled(picture, missing), notes)
        return np.concatenate([values, ~missing[..., None]], axis=-1, dtype=values.dtype)

    def _values(self, picture: images.Decoded, notes: list[str] | None) -> np.ndarray:
        """A decoded file that is measured everywhere, as the values of a stored array."""
        if picture.array.dtype == np.float32 and not np.isfinite(picture.array).all():
            raise ValueError("it holds NaN or infinite values")
        if self.palette is not None:
            return classes_of(picture, self.palette)[..., None]
        array = images.fit_channels(picture.array, picture.has_alpha, self.channels, notes)
        if notes is not None and array.dtype != self.dtype:
            notes.append(f"{array.dtype} values brought to {self.dtype}")
        return images.fit_depth(array, self.dtype)

    def missing(self, picture: images.Decoded) -> np.ndarray:
        """bool ``[H, W]``: where a decoded image that is to be translated has nothing measured.

        That is where one of the values of `ignore` is, NaN and infinity, whatever the run was
        trained on, and what the file itself marks, if that lies outside of low..high.
        """
        ignore = (*self.ignore, NAN)
        if picture.nodata is not None and not self.low <= picture.nodata <= self.high:
            ignore = (*ignore, word_of(picture.nodata))
        return missing_in(picture, ignore)

    def read(
        self, picture: images.Decoded, notes: list[str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """A decoded image that is to be translated: its values ``[H, W, value_channels]`` of type
        `dtype`, and bool ``[H, W]``, where none is measured: there the values mean nothing.

        Raises:
          ValueError: as `store`.
        """
        missing = self.missing(picture)
        return self._values(filled(picture, missing), notes), missing

    def to_network(self, values):
        """Stored values, as float32, to what networks see.

        Args:
          values: float32 tensor ``[..., stored_channels]``, or ``[..., value_channels]`` of an
            image that is measured everywhere; class numbers are whole.

        Returns:
          float32 tensor ``[..., channels]`` in [-1, 1]; 0 where nothing is measured.
        """
        import tensorflow as tf

        if values.shape[-1] > self.value_channels:
            seen = self.to_network(values[..., :-1])
            return tf.where(values[..., -1:] > 0, seen, tf.zeros_like(seen))
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

    def measured(self, values):
        """Where stored values count in losses and measures: float32 tensor ``[..., 1]``, 1 or 0;
        None if they do everywhere."""
        import tensorflow as tf

        found = values[..., -1:] if self.has_mask else None
        if VOID in self.ignore and self.palette is not None:
            counts = tf.constant(~self.palette.void, tf.float32)
            named = tf.gather(counts, tf.cast(values[..., :1], tf.int32))
            found = named if found is None else found * named
        return found

    def nodata(self, of_input: float | None = None) -> float:
        """What results hold where nothing is measured, if they are no labels: a value of `ignore`
        that fits, else the one that the input's file names, else NaN in floats and 0 in whole
        numbers."""
        floats = self.dtype == "float32"
        values = [float(number) for number in numbers_of(self.ignore)]
        values += [] if of_input is None else [of_input]
        highest = np.inf if floats else np.iinfo(self.dtype).max
        fitting = (v for v in values if floats or (v.is_integer() and 0 <= v <= highest))
        return next(fitting, float("nan") if floats else 0.0)

    def from_network(self, image: np.ndarray) -> np.ndarray:
        """What `to_network` undoes: ``[..., channels]`` in [-1, 1] to values of type `dtype`.

        Whole-number types are rounded and clipped to low..high. Labels become their colours, uint8
        ``[..., 3]``: as the network painted them, not snapped to the palette, or where they are
        one-hot that of the likeliest class.
        """
        image = np.asarray(image)
        if self.palette is not None and self.one_hot:
            return self.palette.to_colors(self.classes(image))
        if self.dtype == "float32":
            span = np.float32((self.high - self.low) / 2)
            return (image.astype(np.float32) + np.float32(1)) * span + np.float32(self.low)
        # float32 has digits enough for 8 bits; 16 bits would lose some of theirs.
        kind: type[np.floating] = np.float32 if self.dtype == "uint8" else np.float64
        half = kind((self.high - self.low) / 2)
        values = np.rint((image.astype(kind) + kind(1)) * half + kind(self.low))
        return np.clip(values, np.ceil(self.low), np.floor(self.high)).astype(self.dtype)

    # === Of one-hot classes ===

    def classes(self, image: np.ndarray) -> np.ndarray:
        """The likeliest class of every pixel, uint8 ``[...]``; of equals the lower one.

        Args:
          image: logits, probabilities or one-hots, ``[..., channels]``, of a `one_hot` image;
            channel k is class k of the palette. Or class numbers, ``[..., 1]``. Index maps are
            `Palette.to_indices` of the result, pictures `Palette.to_colors`, which
            `from_network` does at once.
        """
        image = np.asarray(image)
        classes = image[..., 0] if image.shape[-1] == 1 else image.argmax(axis=-1)
        return classes.astype(np.uint8)

    @property
    def unlearned(self) -> np.ndarray:
        """bool ``[channels]`` of a `one_hot` image: the void classes, where training leaves them
        out; no result has them."""
        assert self.palette is not None, "one-hot labels have a palette"
        void = self.palette.void
        return void & (VOID in self.ignore and np.count_nonzero(~void) > 1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The probability of every class: float32 ``[..., channels]``, the softmax of logits; 0 for
        those that are `unlearned`."""
        from scipy.special import softmax

        logits = np.asarray(logits, np.float32)
        return softmax(np.where(self.unlearned, np.float32(-np.inf), logits), axis=-1)

    # === Pictures ===

    def picture(self, image: np.ndarray) -> np.ndarray:
        """What a person sees: ``[..., channels]`` in [-1, 1] to uint8 ``[..., 1 or 3]``.

        The value range low..high spans black to white. Of two channels the first is shown, of
        more than three the first three; one-hot classes are painted in their colours.
        """
        image = np.asarray(image)
        if self.one_hot:
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
    they are; so are colour images without colour, if their values are indices and not the
    palette's colours. An image with a colour table of its own (an indexed PNG) goes by its
    colours if they are the palette's, else by its index values.

    Raises:
      ValueError: a grey image with values that stand for no class, or are not whole; an image of
        other channels than these.
    """
    indices = index_values(picture)
    if picture.array.shape[-1] - picture.has_alpha == 1:
        if indices is None:
            raise ValueError("values that are not whole, where class numbers were expected")
        return palette.from_indices(indices)
    rgb = images.fit_depth(images.fit_channels(picture.array, picture.has_alpha, 3), "uint8")
    classes = palette.to_classes(rgb)
    if indices is None or not palette.knows_indices(indices):
        return classes
    if without_colour(rgb):
        by_index = not np.array_equal(palette.to_colors(classes), rgb)
    else:
        by_index = palette.covered(rgb) < LEAST_COVERED
    return palette.from_indices(indices) if by_index else classes


def shows_labels(picture: images.Decoded, palette: Palette) -> bool:
    """Whether an image is one of labels: an index map, or painted in the palette's colours."""
    indices = index_values(picture)
    if indices is not None and palette.knows_indices(indices):
        return True
    if picture.array.dtype == np.float32 or picture.array.shape[-1] - picture.has_alpha != 3:
        return False
    rgb = images.fit_depth(images.fit_channels(picture.array, picture.has_alpha, 3), "uint8")
    return palette.covered(rgb) >= LEAST_COVERED


def index_values(picture: images.Decoded) -> np.ndarray | None:
    """The whole numbers that an image shows if it is an index map, ``[H, W]``: the indices of a
    palette image, the values of a grey one or of one whose channels are all alike; else None."""
    if picture.indices is not None:
        return picture.indices
    colour = picture.array[..., :-1] if picture.has_alpha else picture.array
    if colour.shape[-1] != 1 and not (colour.shape[-1] == 3 and without_colour(colour)):
        return None
    values = colour[..., 0]
    if values.dtype != np.float32:
        return values
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    return whole if np.array_equal(whole, values) else None


def without_colour(rgb: np.ndarray) -> bool:
    """Whether the channels of an image ``[H, W, 3]`` are all alike."""
    return bool((rgb == rgb[..., :1]).all())


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
        Other pixels may have nothing measured.
        """

        def alike(one: ImageSpec, two: ImageSpec) -> bool:
            ranges = np.allclose((one.low, one.high), (two.low, two.high), rtol=1e-6)
            same = dataclasses.replace(two, low=one.low, high=one.high, ignore=one.ignore)
            return ranges and one == same

        return type(self) is type(other) and alike(self.x, other.x) and alike(self.y, other.y)

    def turned(self) -> PairSpec:
        """Of the way back: y is the input and x the target.

        Raises:
          DataError: there is none.
        """
        return PairSpec(self.y, self.x)

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
        """The images that a run gives, `result`: of the target's own depth and range, of one-hot
        labels their colours."""
        return (
            dataclasses.replace(self.y, channels=3, encoding="color") if self.y.one_hot else self.y
        )

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
        return self.input_of(*self.stored_input(picture, notes))

    def stored_input(
        self, picture: images.Decoded, notes: list[str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first half of `read_input`: its values, which take less room than x, ``[H, W, C]``,
        and where nothing is measured, bool ``[H, W]``."""
        return self.x.read(picture, notes)

    def read_target(self, picture: images.Decoded, notes: list[str] | None = None) -> np.ndarray:
        """A decoded image like the targets as y: float32 ``[H, W, C_out]`` in [-1, 1].

        Args, Raises: as `read_input`.
        """
        values, missing = self.y.read(picture, notes)
        return self._seen(self.y, values, missing)

    def check_target(self, picture: images.Decoded) -> None:
        """Refuses what could be read as a target and shows something of another kind.

        Raises:
          ValueError: labels, where the inputs show labels and the targets do not, or no labels
            where the targets show them; a sentence without the file's name.
        """
        x, y = self.x.palette, self.y.palette
        if y is not None and not shows_labels(picture, y):
            raise ValueError(f"it shows no labels of '{y.name}'")
        if y is None and x is not None and shows_labels(picture, x):
            raise ValueError(f"it shows labels of '{x.name}', like an input")

    def input_of(self, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """The second half: x of `stored_input`, or of a part, since it is of each pixel."""
        return self._seen(self.x, values, missing)

    @staticmethod
    def _seen(side: ImageSpec, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """What networks see of values of one side: 0 where nothing is measured."""
        seen = np.asarray(side.to_network(values.astype(np.float32)))
        return np.where(missing[..., None], np.float32(0), seen) if missing.any() else seen

    def missing(self, picture: images.Decoded) -> np.ndarray:
        """bool ``[H, W]``: where an input has nothing measured: its result means nothing."""
        return self.x.missing(picture)

    def marked(
        self, result: np.ndarray, missing: np.ndarray, of_input: float | None = None
    ) -> np.ndarray:
        """A `result` that says so where the input has nothing measured: `ImageSpec.nodata` stands
        there, in labels the colour of a void class, where there is one.

        Args:
          result: ``[H, W, C]``.
          missing: bool ``[H, W]``.
          of_input: `Decoded.nodata` of the input.
        """
        value: float | np.ndarray = self.result_image.nodata(of_input)
        palette = self.y.palette
        if palette is not None:
            if not palette.void.any():
                return result
            value = palette.colors[palette.void][0]
        return np.where(missing[..., None], np.asarray(value, result.dtype), result)

    def input_pixels(self, picture: images.Decoded, notes: list[str] | None = None) -> np.ndarray:
        """A decoded image as an array of `input_image`; arguments and errors of `read_input`."""
        values, missing = self.x.read(picture, notes)
        if self.x.palette is not None:
            return self.x.palette.to_colors(values[..., 0])
        # Grey is what the network is to see there.
        middle = np.asarray((self.x.low + self.x.high) / 2).astype(values.dtype)
        return np.where(missing[..., None], middle, values) if missing.any() else values

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

    def turned(self) -> PairSpec:
        raise DataError(
            "--color_space=lab: from the colours a and b no way leads back to the lightness L; "
            "leave it out where both directions are meant."
        )

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

    def stored_input(
        self, picture: images.Decoded, notes: list[str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return lab_of(picture)[..., :1], self.missing(picture)

    def read_target(self, picture: images.Decoded, notes: list[str] | None = None) -> np.ndarray:
        return self._seen(self.y, lab_of(picture)[..., 1:], self.missing(picture))

    def missing(self, picture: images.Decoded) -> np.ndarray:
        return np.zeros(picture.array.shape[:2], bool)

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
