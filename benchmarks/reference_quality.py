"""Whose pictures are better after how long: PyTorch's pix2pix, and ours in parts of its time.

    python benchmarks/reference_quality.py --dataset=FOLDER --direction=BtoA --output=OUTPUT \
        [--label_palette=NAME|FILE --scorer=FOLDER] [--steps=4000] [--shares=0.25,1]

The authors' PyTorch architecture and step (train_step_torch.py: batch norm at batch 1, dropout in
its pictures, as theirs) is trained on this package's batches: the same pairs, crops and mirrors in
the same order. During its first steps it takes turns with a preset of ours, so that whatever else
the machine does meets both, and the ratio of the two steps' times says how many steps ours may
have. Both are measured by `tfpix2pix evaluate` on --split. Needs the extra ``torch``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from machine import cores, describe
from PIL import Image

from tfpix2pix.base.progress import ProgressLine

TURNS, TURN_STEPS = 9, 20
COLUMNS = {
    "l1": "L1",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "color_b": "colour b",
    "sharpness_ratio": "sharpness / truth",
    "grid": "grid",
    "plaid": "plaid",
    "swd": "SWD",
    "scorer_kid": "scorer-KID",
    "fcn_iou": "FCN IoU",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--direction", default="AtoB")
    parser.add_argument("--label_palette", default="")
    parser.add_argument("--scorer", default="")
    parser.add_argument("--preset", default="best")
    parser.add_argument("--split", default="val")
    parser.add_argument("--steps", type=int, default=4000, help="of PyTorch's")
    parser.add_argument("--shares", default="0.25,1", help="of its time, for ours")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--ngf", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=cores())
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)

    from tfpix2pix.base.quiet import import_tensorflow

    import_tensorflow()
    batches, inputs = _data(args)
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    wanted = (args.size, args.ngf, args.threads, args.seed, str(batches), str(inputs), theirs)
    process = context.Process(target=_reference, args=wanted, daemon=True)
    process.start()
    theirs.close()
    pipe.recv()
    ratio, seconds = _turns(args, pipe, batches)
    done = (TURNS + 1) * TURN_STEPS
    with ProgressLine("PyTorch", args.steps, "step", done) as line:
        while done < args.steps:
            count = min(TURN_STEPS, args.steps - done)
            seconds += _asked(pipe, count)
            done += count
            line.show(done)
    pipe.send("pictures")
    _write(pipe.recv(), args)
    process.join()
    rows = [("PyTorch", args.steps, seconds, _evaluated(args, "torch", predictions=True))]
    for share in map(float, args.shares.split(",")):
        name, steps = f"share{share:g}", round(args.steps * share * ratio)
        started = time.monotonic()
        _train(args, name, steps)
        took = time.monotonic() - started
        title = f"{args.preset}, {share:g} of its time"
        rows.append((title, steps, took, _evaluated(args, name)))
    print(describe(args.threads))
    print(f"a step of PyTorch's takes {ratio:.2f} times as long as one of {args.preset}\n")
    _print(rows)


# === The data ===


def _fields(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "dataset": args.dataset,
        "direction": args.direction,
        "label_palette": args.label_palette,
        "crop_size": args.size,
        "load_size": round(args.size * 286 / 256),
        "seed": args.seed,
    }


def _data(args: argparse.Namespace) -> tuple[Path, Path]:
    """Writes the reference's batches and the split's inputs, uint8 ``[N, 2, H, W, 3]`` each."""
    from tfpix2pix.config.dataset import open_source
    from tfpix2pix.config.resolving import resolve
    from tfpix2pix.data import evaluation_batches, open_store, training_batches

    config = resolve({**_fields(args), "preset": args.preset})
    source = open_source(config)
    args.names = [source.pair_name(args.split, i) for i in range(source.count(args.split))]
    train = open_store(source, "train", size=config.load_size)
    stream = training_batches(
        train,
        crop_size=args.size,
        flip=True,
        batch_size=1,
        seed=args.seed,
        start_step=0,
        stop_step=args.steps,
    )
    split = open_store(source, args.split, size=args.size)
    written = []
    for name, pairs, count in (
        ("batches", stream, args.steps),
        ("inputs", evaluation_batches(split, size=args.size), len(args.names)),
    ):
        path = args.output / f"{name}.npy"
        shape = (count, 2, args.size, args.size, 3)
        array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
        for number, (x, y, *_) in enumerate(pairs):
            for side, image in enumerate((x, y)):
                array[number, side] = np.rint((image[0].numpy() + 1) * 127.5)
        array.flush()
        written.append(path)
    return written[0], written[1]


# === The reference, in its process ===


def _reference(
    size: int, ngf: int, threads: int, seed: int, batches: str, inputs: str, pipe: Connection
) -> None:
    """Trains as many steps as it is told, and answers with their seconds; "pictures" ends it."""
    import torch
    from train_step_torch import TorchStep

    step = TorchStep(size, ngf, 1, "contiguous", threads)
    torch.manual_seed(seed)
    images = np.load(batches, mmap_mode="r")

    def tensor(image: np.ndarray) -> torch.Tensor:
        return torch.tensor(image.transpose(2, 0, 1)[None] / 127.5 - 1, dtype=torch.float32)

    done = 0
    pipe.send("ready")
    while (asked := pipe.recv()) != "pictures":
        started = time.monotonic()
        for x, y in images[done : done + asked]:
            step.x, step.y = tensor(x), tensor(y)
            step()
        done += asked
        pipe.send(time.monotonic() - started)
    # Batch statistics and dropout stay as in training (section 3.4 of the paper).
    with torch.no_grad():
        made = [step.g(tensor(x))[0].numpy() for x, _ in np.load(inputs, mmap_mode="r")]
    pipe.send([np.rint((y.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8) for y in made])


def _asked(pipe: Connection, steps: int) -> float:
    pipe.send(steps)
    return pipe.recv()


def _turns(args: argparse.Namespace, pipe: Connection, batches: Path) -> tuple[float, float]:
    """How many steps of ours take the time of one of theirs, and the seconds that theirs took."""
    from train_step import OurStep

    ours = OurStep(args.size, args.ngf, 1, preset=args.preset)
    pairs = np.load(batches, mmap_mode="r")
    ratios, total = [], 0.0
    with ProgressLine("timing", TURNS + 1, "turn") as line:
        for turn in range(TURNS + 1):
            theirs = _asked(pipe, TURN_STEPS)
            started = time.monotonic()
            for x, y in pairs[turn * TURN_STEPS :][:TURN_STEPS]:
                ours.x, ours.y = (i[None].astype(np.float32) / 127.5 - 1 for i in (x, y))
                ours()
            own = time.monotonic() - started
            total += theirs
            if turn:  # the first builds graphs and wakes caches
                ratios.append(theirs / own)
            line.show(turn + 1)
    return statistics.median(ratios), total


# === Ours ===


def _train(args: argparse.Namespace, name: str, steps: int) -> None:
    fields = {**_fields(args), "ngf": args.ngf, "ndf": args.ngf, "steps": steps, "val_every": steps}
    _call("train", f"--preset={args.preset}", f"--workdir={args.output / name}", **fields)


def _evaluated(args: argparse.Namespace, name: str, predictions: bool = False) -> dict[str, float]:
    output = args.output / "scores" / name
    fields: dict[str, Any] = {"split": args.split, "output": output, "scorer": args.scorer}
    if predictions:
        fields |= {key: _fields(args)[key] for key in ("dataset", "direction", "label_palette")}
    kind = "predictions" if predictions else "workdir"
    _call("evaluate", f"--{kind}={args.output / name}", **fields)
    found = json.loads((output / "metrics.json").read_text())
    return found.get("numbers", found)


def _call(command: str, *flags: str, **fields: Any) -> None:
    given = [f"--{key}={value}" for key, value in fields.items() if value != ""]
    subprocess.run([sys.executable, "-m", "tfpix2pix", command, *flags, *given], check=True)


def _write(pictures: list[np.ndarray], args: argparse.Namespace) -> None:
    for name, picture in zip(args.names, pictures, strict=True):
        path = args.output / "torch" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


def _print(rows: list[tuple[str, int, float, dict[str, Any]]]) -> None:
    shown = {key: head for key, head in COLUMNS.items() if all(key in row[3] for row in rows)}
    print("| | steps | minutes | " + " | ".join(shown.values()) + " |")
    print("| --- | ---: | ---: |" + " --- |" * len(shown))
    for title, steps, seconds, numbers in rows:
        cells = [f"{_value(numbers[key]):.3f}" for key in shown]
        print(f"| {title} | {steps:,} | {seconds / 60:.1f} | " + " | ".join(cells) + " |")


def _value(number: Any) -> float:
    return float(number["value"] if isinstance(number, dict) else number)


if __name__ == "__main__":
    main()
