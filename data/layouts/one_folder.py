"""Both images of a pair in one folder, told apart by a constant part of their names."""

from __future__ import annotations

from pathlib import Path

from tfpix2pix.base.errors import DataError
from tfpix2pix.data.images import UnreadableImage, decode
from tfpix2pix.data.layouts.pair_files import Fault, Listing, PairFiles, list_images
from tfpix2pix.data.layouts.partners import Change, changes, is_known
from tfpix2pix.data.layouts.side_by_side import SEAM, image_folders, median_seam

_LEAST = 0.9  # of the images have a partner, or the names say nothing of pairs


def find_changes(folder: Path) -> list[Change]:
    """How the names of A and B differ in a folder that holds both, or in its folders of splits.

    Opens some images where the names say so: pairs side by side may be called 1_day and 1_night.

    Returns:
      None, the one, or several, of which it cannot be told which is meant.
    """
    for _, path in image_folders(folder):
        stems = [file.stem for file in list_images(path)[0]]
        found = []
        for change, partners in changes(stems, stems):
            apart = not set(partners) & set(partners.values())
            if apart and _is_order(change.words) and 3 * len(partners) >= len(stems):
                found.append((change, partners))
        if not found or _have_seams(path):
            continue
        if 2 * len(found[0][1]) >= _LEAST * len(stems):
            if is_known(found[0][0].words) or len(found[0][1]) > 1:
                return [found[0][0]]
        elif len(found) > 1 and len(set().union(*(p for _, p in found))) * 3 <= len(stems) * 2:
            return [change for change, _ in found[:2]]
    return []


def _is_order(words: tuple[str, str]) -> bool:
    """True if the first is A: by what people call them, else by the alphabet; no numbers."""
    if any(character.isdigit() for word in words for character in word):
        return False
    return is_known(words) or (words[0] < words[1] and not is_known(words[::-1]))


def _have_seams(folder: Path) -> bool:
    pictures = []
    for path in list_images(folder)[0][:8]:
        try:
            pictures.append(decode(path).array)
        except UnreadableImage:
            continue
    seam = median_seam(pictures)
    return seam is not None and seam >= SEAM


def list_one_folder(dataset: str, folder: Path, *, val_fraction: float) -> Listing:
    """Lists the pairs of a folder, or of its folders of splits, by the constant part that differs.

    Raises:
      DataError: there is no such part, or there are two.
    """
    found = find_changes(folder)
    if len(found) != 1:
        ways = " or ".join(change.describe() for change in found)
        what = f"two ways to make pairs by name, {ways}" if found else "no pairs by name"
        raise DataError(
            f"{dataset}: {what}; expected N_A.png beside N_B.png or the like for every pair. Keep "
            "inputs and targets in folders of their own and give --input_dir and --target_dir, or "
            "name the pairs in a table, --dataset=pairs.csv with the columns input and target."
        )
    change = found[0]
    listing = Listing("one folder", folder, {})
    listing.notes.append(
        f"partners in one folder by their names, {change.describe()}; the first is A, which is the "
        "input, or B with --direction=BtoA; --layout=side_by_side takes each image for a pair"
    )
    for split, path in image_folders(folder):
        files, others = list_images(path)
        listing.ignored += [listing.label(path / name) for name in others]
        stems = {file.stem: file for file in files}
        left = set(stems)
        for stem in stems:
            other = change.apply(stem)
            if other in stems and other != stem:
                left -= {stem, other}
                listing.add(split, PairFiles(stem, stems[stem], stems[other]), val_fraction)
        if left:
            entries = tuple(listing.label(stems[stem]) for stem in sorted(left))
            listing.faults.append(Fault(f"without a partner ({change.describe()})", entries))
    return listing
