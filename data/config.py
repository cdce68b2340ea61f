"""Which pairs there are, and how they are read: the part of a run's config that is about data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfpix2pix.base.options import check_options, option
from tfpix2pix.base.size import Size

PLACES = ("dataset", "input_dir", "target_dir")
"""Where the pairs lie."""
FOUND_BY = ("layout", "input_key", "target_key", "split_key")
"""How they are found there; says nothing about another data set."""
DIRECTIONS = ("AtoB", "BtoA")
SMALLEST, LARGEST = 32, 4096  # pixels, of the sides of images that are trained on
PAIRS, UNPAIRED = "pairs", "unpaired"
# What messages advise for pairs, and for images that are none.
LEARNS_PAIRS, LEARNS_UNPAIRED = "--algorithm=pix2pix", "--algorithm=cyclegan"
ARRAYS = "python:arrays"  # the data set of a run on arrays that were handed over from Python


@dataclass(frozen=True)
class PairsConfig:
    """Which pairs there are, where they lie, and which of their images shows labels.

    Raises:
      UserError: a value out of range; names the flag.
    """

    dataset: str = option(
        "sample",
        "a folder of pairs (side by side, or in A/ and B/), a manifest (.csv, .tsv, .jsonl), "
        "'sample', the embedded house fronts, one of the paper's sets by name (facades, maps, "
        "edges2shoes, edges2handbags, night2day, cityscapes: downloaded once), or tfds:NAME",
        "first",
    )
    direction: str = option(
        "AtoB",
        "which image is the input: AtoB left to right, BtoA right to left",
        "first",
        choices=DIRECTIONS,
    )
    data: str = option(
        "",
        "pairs, or unpaired: images of two sides, A and B, each side with an order, crop and "
        "mirror of its own; of a set of pairs its val and test stay pairs to measure on. Empty: "
        "as the algorithm learns",
        "data",
        choices=("", PAIRS, UNPAIRED),
    )
    disjoint_stems: bool = option(
        False,
        "of pairs trained with --data=unpaired: A from one half of the pairs and B from the "
        "other, so that no training image has its partner there; the seed says which",
        "data",
    )
    layout: str = option(
        "auto",
        "how the folder keeps the pairs: side_by_side, two_folders (A/ and B/, trainA/ and "
        "trainB/, images/ and masks/, ...), one_folder (1_A.png beside 1_B.png), single "
        "(photographs, for --color_space=lab), or look",
        "data",
        choices=("auto", "side_by_side", "two_folders", "one_folder", "single"),
    )
    input_dir: str = option(
        "",
        "folder of the inputs, with --target_dir instead of --dataset: images of one stem are a "
        "pair; train/, val/, test/ in both or the images themselves",
        "data",
    )
    target_dir: str = option("", "folder of the targets, see --input_dir", "data")
    val_fraction: float = option(
        0.1,
        "share of the pairs held out as val, by a hash of their names, where the data have no "
        "splits of their own",
        "data",
        minimum=0.0,
        maximum=0.9,
    )
    input_key: str = option(
        "",
        "the input's column of a manifest (default 'input'; red,nir: two columns, whose images are "
        "the channels of one) or feature of a TFDS set (default 'input_image')",
        "data",
    )
    target_key: str = option("", "the target's column ('target') or feature ('real_image')", "data")
    split_key: str = option(
        "",
        "the column of a manifest that names the split; empty: found by its name or values; none: "
        "no column does",
        "data",
    )
    label_palette: str = option(
        "",
        "one of the two images shows labels in these colours (facades, camvid, cityscapes, sample "
        "or a JSON file); it is snapped to them, and index PNGs are read as they are",
        "data",
    )
    label_side: str = option(
        "",
        "which image shows the labels; empty: found by the palette",
        "data",
        choices=("", "input", "target"),
        resolves=True,
    )
    sample_pairs: int = option(
        400,
        "training pairs of the embedded sample set; val and test get a quarter each",
        "data",
        minimum=4,
        maximum=1_000_000,
    )
    sample_labels: str = option(
        "",
        "label maps of the embedded sample set: detailed, whose classes (palette sample) also say "
        "what things look like, or cmp, CMP's classes (palette facades), which leave that open; "
        "empty: as --label_palette says, else detailed",
        "data",
        choices=("", "detailed", "cmp"),
    )
    allow_mixed_sizes: bool = option(
        False, "accept images of differing size (each is resized to --load_size)", "data"
    )
    cache: str = option(
        "auto",
        "where decoded pairs are kept: memory, file (in --data_dir), none (decoded whenever they "
        "are needed), or the first of these that fits",
        "data",
        choices=("auto", "memory", "file", "none"),
        may_change=True,
    )
    data_dir: str = option(
        "",
        "folder of downloads and of decoded pairs; empty: $TFPIX2PIX_DATA_DIR, or "
        "~/.cache/tfpix2pix",
        "data",
        may_change=True,
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class DataConfig(PairsConfig):
    """The data set of a run, and how its networks see the images.

    Attributes:
      DATA: what the algorithm learns from, where `data` says nothing: `PAIRS`, or `UNPAIRED`.

    Raises:
      UserError: a value out of range; names the flag.
    """

    DATA: ClassVar[str] = PAIRS

    seed: int = option(
        0,
        "every random draw (weights, order, jitter, noise) is a function of this and the step",
        "first",
        minimum=0,
        maximum=2**31 - 1,
    )
    load_size: Size = option(
        286,
        "size to which both images are resized before the random crop: a side, or HEIGHTxWIDTH, "
        "pixels",
        "data",
        minimum=SMALLEST,
        maximum=LARGEST,
    )
    flip: bool = option(True, "mirror half of the pairs left to right", "data")
    input_channels: int = option(
        0,
        "channels of the input: 1 grey, 3 colour, 2 and 4 with alpha, 0 as the images are",
        "data",
        minimum=0,
        maximum=1024,
        resolves=True,
    )
    target_channels: int = option(
        0,
        "channels of the target, as --input_channels",
        "data",
        minimum=0,
        maximum=1024,
        resolves=True,
    )
    input_dtype: str = option(
        "",
        "depth of the input, to which 8- and 16-bit images are brought; empty: as the images are",
        "data",
        choices=("", "uint8", "uint16", "float32"),
        resolves=True,
    )
    target_dtype: str = option(
        "",
        "depth of the target and of results, as --input_dtype",
        "data",
        choices=("", "uint8", "uint16", "float32"),
        resolves=True,
    )
    input_range: str = option(
        "",
        "LOW:HIGH, the input's values that the networks see as -1 and 1, such as 0:4095 for 12 "
        "bits; empty: the whole scale of 8 or 16 bits, of floats what the train split shows",
        "data",
        resolves=True,
    )
    target_range: str = option(
        "", "LOW:HIGH of the target, as --input_range; results have it again", "data", resolves=True
    )
    input_planes: str = option(
        "auto",
        "which pages, frames or arrays of a file are the input, or which of its channels: auto, "
        "what it plainly means as channels, else the first; first; channels, all of them as "
        "channels; or numbers from 1, such as 2 or 4,3,2",
        "data",
    )
    target_planes: str = option("auto", "those of the target, as --input_planes", "data")
    input_alpha: bool = option(
        False,
        "of inputs of 2 or 4 channels the last is alpha, as --input_channels=2 or 4 makes it where "
        "the files have alpha",
        "data",
        resolves=True,
    )
    target_alpha: bool = option(
        False,
        "the same of the target; without it, results of 2 or 4 channels are TIFFs of so many",
        "data",
        resolves=True,
    )
    input_ignore: str = option(
        "",
        "values of the input that mean 'nothing measured', such as -9999 or nan, with commas "
        "between: the networks see grey there, and the target does not count; 'none'; empty: NaN, "
        "what the files mark themselves, and extreme outliers",
        "data",
        resolves=True,
    )
    target_ignore: str = option(
        "",
        "values of the target that count in no loss and no measure, as --input_ignore, such as "
        "255; 'void' for the palette's void classes; empty: also these, and 255 beside classes 0 "
        "to N",
        "data",
        resolves=True,
    )
    input_encoding: str = option(
        "color",
        "what the networks see of input labels: their colours, or one channel for each class",
        "data",
        choices=("color", "onehot"),
    )
    target_encoding: str = option(
        "image",
        "what the generator makes of target labels: 'image', their colours, or 'onehot', the "
        "probability of each class, learned by cross-entropy in the place of L1 (needs "
        "--label_palette)",
        "data",
        choices=("image", "onehot"),
    )
    color_space: str = option(
        "rgb",
        "rgb, or lab: colourization as the paper's, lightness L in, colours a and b out, of "
        "photographs or of pairs with a grey half",
        "data",
        choices=("rgb", "lab"),
    )

    @property
    def unpaired(self) -> bool:
        """Whether it is trained on images of two sides that are no pairs."""
        return (self.data or self.DATA) == UNPAIRED

    @property
    def labels_out(self) -> bool:
        """Whether the generator gives a logit for each class of the target's labels."""
        return self.target_encoding == "onehot"

    @property
    def x_channels(self) -> int:
        """Channels of x; RGB as long as nothing else was resolved."""
        return self.input_channels or 3

    @property
    def y_channels(self) -> int:
        """Channels of y; RGB as long as nothing else was resolved."""
        return self.target_channels or 3
