"""A and B in folders of their own: two images with the same stem are a pair."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.files import shown
from tfpix2pix.data.config import LEARNS_UNPAIRED
from tfpix2pix.data.images import UnreadableImage, image_size
from tfpix2pix.data.layouts.pair_files import Fault, Listing, PairFiles, count_text, list_images
from tfpix2pix.data.layouts.partners import SIDE_WORDS, SIDES, TARGET_WORDS, partners_of
from tfpix2pix.data.layouts.split_folders import (
    has_images,
    holds_images,
    split_folders,
    subfolders,
)
from tfpix2pix.data.layouts.splits import SPLIT_WORDS
from tfpix2pix.data.sources.base import SPLITS, UnpairedError

# train_label and train_img are pix2pixHD's, which paints images from labels.
_JOINED_SIDES = [pair for pair in SIDES if pair != ("img", "label")] + [("label", "img")]
_LOOKED_AT = 8  # pairs of each split whose sizes say whether they are pairs
_JOINED_WORDS = SIDE_WORDS | set(TARGET_WORDS) | {"img", "label"}


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where A and B of a data set lie.

    Attributes:
      root: messages name files from here.
      splits: (folder of A, folder of B) by split; "" where the names decide the split.
      words: what A and B are called, such as ("images", "masks"); ("", "") for A and B themselves.
      may_be_unpaired: the folders' names are those of unpaired sets as well.
    """

    root: Path
    splits: dict[str, tuple[Path, Path]]
    words: tuple[str, str] = ("", "")
    may_be_unpaired: bool = False

    def describe(self) -> str:
        """``images/ with masks/``: the first two folders there are."""
        a, b = next(iter(self.splits.values()))
        return " with ".join(f"{shown(p.relative_to(self.root).as_posix())}/" for p in (a, b))


def find_folders(folder: Path) -> list[Folders]:
    """The folders of A and B in any of the forms that people use; several where a folder holds
    several, and none is more likely than another.

    ``A/train`` and ``B/train``; ``A`` and ``B`` with the images themselves; ``trainA`` and
    ``trainB``; ``train/A`` and ``train/B``; the same with val and test. The same again with
    `partners.SIDES` for A and B, with the splits' other names, with ``train_A`` for ``trainA``;
    and ``train`` with ``train_masks``.

    Raises:
      DataError: two folders stand for one split.
    """
    plain = _plain(folder)
    if plain is not None:
        return [plain]
    found = [_below(folder, a, b, words) for words, a, b in _sides(subfolders(folder))]
    splits = split_folders(folder)
    found += _of_splits(folder, {s: _by_word(subfolders(path)) for s, path in splits.items()})
    joined: dict[str, dict[str, list[Path]]] = {}
    for path in subfolders(folder):
        split, word = _parsed(path.name)
        if split:
            joined.setdefault(split, {}).setdefault(word, []).append(path)
    found += _of_splits(folder, joined, _JOINED_SIDES)
    for split, path in splits.items():
        if has_images(path):
            joined.setdefault(split, {})[""] = [path]
    found += _of_splits(folder, joined, [("", word) for word in TARGET_WORDS])
    return found


def _plain(folder: Path) -> Folders | None:
    """A and B by these very names, whatever else there is."""
    if (folder / "A").is_dir() and (folder / "B").is_dir():
        return _below(folder, folder / "A", folder / "B")
    if (folder / "trainA").is_dir() and (folder / "trainB").is_dir():
        pairs = {s: (folder / f"{s}A", folder / f"{s}B") for s in SPLITS}
        return Folders(folder, _existing(pairs), may_be_unpaired=True)
    splits = split_folders(folder)
    train = splits.get("train")
    if train and (train / "A").is_dir() and (train / "B").is_dir():
        return Folders(folder, _existing({s: (p / "A", p / "B") for s, p in splits.items()}))
    return None


def _by_word(folders: list[Path]) -> dict[str, list[Path]]:
    """Folders of images by what they are called, in lower case."""
    words: dict[str, list[Path]] = {}
    for path in folders:
        if path.name.casefold() in SIDE_WORDS and holds_images(path):
            words.setdefault(path.name.casefold(), []).append(path)
    return words


def _sides(folders: list[Path]) -> Iterator[tuple[tuple[str, str], Path, Path]]:
    words = _by_word(folders)
    for pair in SIDES:
        for a, b in itertools.product(*(words.get(word, ()) for word in pair)):
            yield pair, a, b


def _parsed(name: str) -> tuple[str, str]:
    """``train_A``, ``A_train`` and ``trainA`` as (train, a); ("", "") for other names."""
    name = name.casefold()
    for word in sorted(SPLIT_WORDS, key=len, reverse=True):
        for rest in (name.removeprefix(word), name.removesuffix(word)):
            side = rest.strip(" _-.")
            if rest != name and side in _JOINED_WORDS:
                return SPLIT_WORDS[word], side
    return "", ""


def side_of_split(name: str) -> tuple[str, int] | None:
    """``trainA``, ``test_b`` and the like as (train, 0), (test, 1); None for other names."""
    split, word = _parsed(name)
    return (split, "ab".index(word)) if word in ("a", "b") else None


def _of_splits(
    root: Path,
    words: dict[str, dict[str, list[Path]]],
    sides: Sequence[tuple[str, str]] = SIDES,
) -> list[Folders]:
    """One `Folders` for each two words that some split has both of.

    Args:
      root: the data set's folder.
      words: by split, folders by what they are called.
      sides: the pairs of words to look for.
    """
    found = []
    for a, b in sides:
        places = {s: (words.get(s, {}).get(a, []), words.get(s, {}).get(b, [])) for s in SPLITS}
        if not any(of_a and of_b for of_a, of_b in places.values()):
            continue
        splits: dict[str, tuple[Path, Path]] = {}
        for split, (of_a, of_b) in places.items():
            twice = max(of_a, of_b, key=len)
            if len(twice) > 1:
                raise DataError(
                    f"{shown(root)}: {twice[0].name}/ and {twice[1].name}/ both stand for the same "
                    f"images of {split}; rename the one that is not meant."
                )
            if of_a and of_b:
                splits[split] = (of_a[0], of_b[0])
            elif twice and a:  # listing says which of the two is missing
                there = twice[0]
                beside = there.with_name(
                    re.sub(f"{a if of_a else b}$", b if of_a else a, there.name)
                )
                splits[split] = (there, beside) if of_a else (beside, there)
        found.append(Folders(root, splits, (a, b), may_be_unpaired=(a, b) == ("a", "b")))
    return found


def named_folders(input_dir: str, target_dir: str) -> Folders:
    """The folders of ``--input_dir`` and ``--target_dir``.

    Raises:
      DataError: one of the two is no folder.
    """
    found = []
    for flag, name in (("input_dir", input_dir), ("target_dir", target_dir)):
        path = Path(os.path.expanduser(name))
        if not path.is_dir():
            what = "a file" if path.exists() else "no such folder"
            raise DataError(f"--{flag}={name}: {what}; expected a folder of images.")
        found.append(path.absolute())
    root = os.path.commonpath([folder.parent for folder in found])
    return _below(Path(root), found[0], found[1])


def _below(root: Path, a: Path, b: Path, words: tuple[str, str] = ("", "")) -> Folders:
    of_a, of_b = split_folders(a), split_folders(b)
    both = {**of_b, **of_a}
    if "train" in both or (both and not (has_images(a) and has_images(b))):
        splits = {
            s: (of_a.get(s, a / both[s].name), of_b.get(s, b / both[s].name))
            for s in SPLITS
            if s in both
        }
        return Folders(root, splits, words)
    return Folders(root, {"": (a, b)}, words)


def _existing(splits: dict[str, tuple[Path, Path]]) -> dict[str, tuple[Path, Path]]:
    return {s: pair for s, pair in splits.items() if pair[0].is_dir() or pair[1].is_dir()}


def list_two_folders(dataset: str, folders: Folders, *, val_fraction: float) -> Listing:
    """Lists the pairs by stem; extensions may differ.

    Files without a partner, and stems that one folder holds twice, become faults of the listing.

    Args:
      dataset: the data set as the user named it, with its flag.
      folders: where A and B lie.
      val_fraction: share of the pairs held out as val where there are no split folders.

    Raises:
      DataError: a folder is missing or empty, no two stems agree.
      UnpairedError: the images are no pairs.
    """
    listing = Listing("two folders", folders.root, {})
    if folders.words[1] not in ("", "b"):
        first, second = next(iter(folders.splits.values()))
        listing.notes.append(
            f"A is {first.name}/ and B is {second.name}/, by their names; "
            "A is the input, or B with --direction=BtoA"
        )
    for split, (a, b) in folders.splits.items():
        stems = [_by_stem(dataset, listing, folder) for folder in (a, b)]
        found = partners_of(list(stems[0]), stems[1])
        names = [listing.label(folder) for folder in (a, b)]
        # Unpaired sets are called so too, and are often numbered from 1 on both sides.
        equal = len(stems[0].keys() & stems[1].keys())
        if folders.may_be_unpaired and equal < min(map(len, stems)) / 2:
            way = "give partners one stem"
            if found.change:
                way += (
                    f", or, if {found.change.describe()} are partners, give --input_dir={shown(a)} "
                    f"--target_dir={shown(b)}"
                )
            raise UnpairedError(
                f"{dataset}: unpaired, {equal} of the {len(stems[0]):,} images in "
                f"{names[0]}/ have a partner of the same stem in {names[1]}/; {LEARNS_UNPAIRED} "
                f"learns from such folders, and to learn from pairs, {way}."
            )
        if found.change and found.rival:
            raise DataError(
                f"{dataset}: two ways to make pairs of {names[0]}/ and {names[1]}/: "
                f"{found.change.describe()}, or {found.rival.describe()}; keep the files of one in "
                "folders of their own, or name the pairs in a table, --dataset=pairs.csv with the "
                "columns input and target."
            )
        if not found.stems:
            raise UnpairedError(
                f"{dataset}: no pairs, for no image in {names[0]}/ has a partner of the same stem "
                f"in {names[1]}/ (found {_first(stems[0])} there and {_first(stems[1])} here), nor "
                "of one that differs by a constant part; give partners one stem, or name the pairs "
                "in a table, --dataset=pairs.csv with the columns input and target; if they are no "
                f"pairs, {LEARNS_UNPAIRED} learns from them."
            )
        same = "of the same stem"
        if found.change:
            same = f"({found.change.describe()})"
            note = f"partners by their names, {found.change.describe()}"
            if note not in listing.notes:
                listing.notes.append(note)
        for here, paired, name in (
            (stems[0], set(found.stems), names[1]),
            (stems[1], set(found.stems.values()), names[0]),
        ):
            alone = sorted(here.keys() - paired)
            if alone:
                entries = tuple(listing.label(here[stem]) for stem in alone)
                listing.faults.append(Fault(f"without a partner {same} in {name}/", entries))
        for stem, other in sorted(found.stems.items()):
            listing.add(split, PairFiles(stem, stems[0][stem], stems[1][other]), val_fraction)
    return listing


def list_unpaired(
    dataset: str, folders: Folders, *, val_fraction: float
) -> tuple[Listing, Listing]:
    """Lists the images of A and of B, which are no pairs whatever their names are.

    Args:
      dataset, folders: as `list_two_folders` takes them.
      val_fraction: share of each side that is held out as val where there are no split folders.

    Raises:
      DataError: a folder is missing or empty.
    """
    sides = Listing("two folders", folders.root, {}), Listing("two folders", folders.root, {})
    for split, pair in folders.splits.items():
        for side, folder in zip(sides, pair, strict=True):
            for path in _images_of(dataset, side, folder, "with images of the other side"):
                side.add(split, PairFiles(path.stem, path, whole=True), val_fraction)
    return sides


def are_partners(a: Listing, b: Listing) -> bool:
    """Whether every image of the one side seems to belong to one of the other: by their stems, in
    each split, and by the sizes of the first few."""
    for split in a.splits.keys() | b.splits.keys():
        stems = [{pair.name: pair.a for pair in of.splits.get(split, [])} for of in (a, b)]
        found = partners_of(list(stems[0]), stems[1])
        if found.rival or not len(stems[0]) == len(stems[1]) == len(found.stems):
            return False
        for stem, other in list(found.stems.items())[:_LOOKED_AT]:
            with contextlib.suppress(UnreadableImage):
                if image_size(stems[0][stem]) != image_size(stems[1][other]):
                    return False
    return True


def _images_of(dataset: str, listing: Listing, folder: Path, expected: str) -> list[Path]:
    name = listing.label(folder)
    if not folder.is_dir():
        raise DataError(
            f"{dataset}: there is no {name}/; expected it beside its counterpart, {expected}."
        )
    files, others = list_images(folder)
    listing.ignored += [f"{name}/{other}" for other in others]
    if not files:
        also = f" (only {count_text(len(others), 'other file')})" if others else ""
        raise DataError(f"{dataset}: {name}/ holds no images{also}; put images there.")
    return files


def _by_stem(dataset: str, listing: Listing, folder: Path) -> dict[str, Path]:
    files = _images_of(dataset, listing, folder, "with the partners of the images there")
    stems: dict[str, Path] = {}
    twice = []
    for path in files:
        if stems.setdefault(path.stem, path) is not path:
            twice.append(f"{listing.label(path)}: {stems[path.stem].name} has the same stem")
    if twice:
        listing.faults.append(Fault("of a stem that another image has; keep one", tuple(twice)))
    return stems


def _first(stems: dict[str, Path]) -> str:
    return next(iter(stems.values())).name
