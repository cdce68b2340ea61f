"""Makes a data set of three splits out of one that has train/ and val/ alone.

    python benchmarks/split_three.py camvid camvid3 --val=50

What was val becomes test, which no choice is to see; val is taken from train. Frames of one video
are alike, so that neighbours must not stand on both sides: names that begin alike and end in a
number are a sequence, ordered by the number, and of each sequence the last frames in one piece go
to val, and some before them nowhere. Where names are bare numbers (facades: 1.jpg to 400.jpg)
nothing says that neighbours are alike, and val is drawn at random.

The files are linked where that is possible and copied otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
from pathlib import Path


def sequences(names: list[str]) -> dict[str, list[str]]:
    """Names by what stands before their last number, each list ordered by that number."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        head, number = re.fullmatch(r"(.*?)(\d*)", Path(name).stem).groups()
        found.setdefault(head, []).append((int(number or 0), name))
    return {head: [name for _, name in sorted(some)] for head, some in found.items()}


def choose_val(names: list[str], count: int, seed: int, gap: int) -> tuple[set[str], set[str]]:
    """Which names of train become val, and which are left out between the two.

    Args:
      names: of train.
      count: of val.
      seed: of the draw, where names are no sequences.
      gap: frames that are left out of each sequence before those of val.

    Returns:
      So many names: of every sequence its share, the last in one piece; of names that are bare
      numbers, or all unlike, a draw. And what is left out.
    """
    found = {head: some for head, some in sequences(names).items() if head and len(some) > 1}
    alone = sorted(set(names) - {name for some in found.values() for name in some})
    chosen: set[str] = set()
    dropped: set[str] = set()
    left, rest = count, len(names)
    for head in sorted(found, key=lambda head: (len(found[head]), head)):
        some = found[head]
        share = round(left * len(some) / rest)  # of what is left, so that the shares add up
        first = len(some) - share
        if share:
            chosen |= set(some[first:])
            dropped |= set(some[max(0, first - gap) : first])
        left, rest = left - share, rest - len(some)
    return chosen | set(random.Random(seed).sample(alone, min(left, len(alone)))), dropped


def split(source: Path, output: Path, val: int, seed: int, gap: int) -> dict[str, int]:
    """Writes the three splits; returns how many files each has, and how many none."""
    names = {s: sorted(p.name for p in (source / s).iterdir() if p.is_file()) for s in SOURCES}
    if not 0 < val < len(names["train"]):
        raise SystemExit(f"--val={val}: expected 1 to {len(names['train']) - 1}")
    if output.exists() and any(output.iterdir()):
        raise SystemExit(f"{output} is not empty; give a new folder")
    chosen, dropped = choose_val(names["train"], val, seed, gap)
    jobs = [("val", name, "test") for name in names["val"]]
    for name in names["train"]:
        if name not in dropped:
            jobs.append(("train", name, "val" if name in chosen else "train"))
    counts = {"train": 0, "val": 0, "test": 0}
    for old, name, new in jobs:
        (output / new).mkdir(parents=True, exist_ok=True)
        place(source / old / name, output / new / name)
        counts[new] += 1
    return {**counts, "left out": len(dropped)}


def place(file: Path, target: Path) -> None:
    """Links a file, or copies it where it cannot be linked."""
    try:
        os.link(file, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(file, target)


SOURCES = ("train", "val")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with train/ and val/")
    parser.add_argument("output", type=Path, help="folder to write, new or empty")
    parser.add_argument("--val", type=int, default=50, help="pairs of train that become val [50]")
    parser.add_argument("--seed", type=int, default=0, help="of the draw without sequences [0]")
    parser.add_argument(
        "--gap",
        type=int,
        default=2,
        help="frames left out of each sequence before those of val [2]",
    )
    args = parser.parse_args()
    for name in SOURCES:
        if not (args.source / name).is_dir():
            sys.exit(f"{args.source} has no {name}/")
    counts = split(args.source, args.output, args.val, args.seed, max(0, args.gap))
    print(", ".join(f"{count:,} {name}" for name, count in counts.items()), "in", args.output)


if __name__ == "__main__":
    main()
