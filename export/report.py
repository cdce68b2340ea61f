"""What an export's proof looks like: a table for the terminal, a page with the pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpix2pix.base.files import write_bytes
from tfpix2pix.export.pictures import tiled
from tfpix2pix.report.html import templates

if TYPE_CHECKING:
    from rich.table import Table

    from tfpix2pix.export.contract import Contract
    from tfpix2pix.export.manifest import Manifest
    from tfpix2pix.export.pictures import CheckPicture
    from tfpix2pix.export.proof import Proof

SHOWN = 4  # pictures in the page
COLUMNS = (
    "artefact",
    "engine",
    "max diff",
    "mean diff",
    "levels",
    "PSNR to Keras",
    "PSNR to target",
    "latency",
    "size",
    "",
)


def columns_of(proof: Proof) -> tuple[str, ...]:
    """The heads of `rows_of`: `COLUMNS`, of classes shares of pixels in the place of PSNR."""
    if all(row.equal is None for row in proof.rows):
        return COLUMNS
    return tuple(column.replace("PSNR", "equal") for column in COLUMNS)


def rows_of(proof: Proof) -> list[tuple[str, ...]]:
    """The proof as text, a row for Keras, one for each artefact, and those of encoders, as
    `columns_of` has them."""
    rows: list[tuple[str, ...]] = [
        (
            "the run itself",
            "Keras",
            "",
            "",
            "",
            "",
            _db(proof.psnr_keras_target) + _share(proof.accuracy_keras),
            _ms(proof.keras_latency),
            "",
            "",
        )
    ]
    for row in proof.rows:
        rows.append(
            (
                row.path,
                row.engine,
                f"{row.max_difference:.1e}",
                f"{row.mean_difference:.1e}",
                "" if row.levels is None else f"{row.levels:g}",
                ("equal" if (row.psnr_keras or 0) >= 100 else _db(row.psnr_keras))
                + _share(row.equal),
                _db(row.psnr_target) + _share(row.accuracy),
                _ms(row.latency),
                _size(row.bytes),
                "FAILED" if row.faults else "ok",
            )
        )
    for encoder in proof.encoders:
        rows.append(
            (
                encoder.path if "encoder" in encoder.path else f"{encoder.path}, encoder",
                encoder.engine,
                f"{encoder.max_difference:.1e}",
                *[""] * 5,
                _size(encoder.bytes),
                "FAILED" if encoder.faults else "ok",
            )
        )
    return rows


def table_of(proof: Proof) -> Table:
    """The proof as a table for the terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in columns_of(proof):
        left = column in ("artefact", "engine", "")
        table.add_column(column, justify="left" if left else "right", no_wrap=left)
    for row in rows_of(proof):
        table.add_row(*row)
    return table


def write_report(
    path: Path,
    contract: Contract,
    manifest: Manifest,
    proof: Proof,
    pictures: Sequence[CheckPicture],
    results: Mapping[str, Sequence[np.ndarray]],
) -> None:
    """Writes the page of an export; it loads nothing from anywhere.

    Args:
      path: the file.
      contract, manifest, proof: what it reports.
      pictures: what the proof was made on.
      results: y ``[H, W, C_out]`` of every picture at the native size, by artefact; "Keras" first.
    """
    from tfpix2pix.report.page import data_uri

    spec, columns = contract.spec, []
    native = [tiled(picture.x, *proof.native) for picture in pictures[:SHOWN]]
    columns.append(("input", [spec.picture_of_x(x) for x in native]))
    targets = [tiled(p.y, *proof.native) for p in pictures[:SHOWN] if p.y is not None]
    if len(targets) == len(native):
        shown = [spec.picture_of_y(x, y) for x, y in zip(native, targets, strict=True)]
        columns.append(("target", shown))
    for name, ys in results.items():
        made = ys if contract.labels_out else [np.clip(y, -1, 1) for y in ys]
        shown = [spec.picture_of_y(x, y) for x, y in zip(native, made, strict=False)]
        columns.append((name, shown))
    environment = templates()
    html = environment.get_template("export.html").render(
        name=Path(manifest.run).name,
        contract=_facts(contract),
        columns=columns_of(proof),
        rows=rows_of(proof),
        cases=[(row.path, row.cases) for row in proof.rows],
        notes=[(a.path, note) for a, _ in manifest.artifacts for note in a.notes],
        source=proof.pictures,
        native=f"{proof.native[1]}x{proof.native[0]}",
        pictures=[
            (picture.name, [(name, data_uri(shown[i])) for name, shown in columns])
            for i, picture in enumerate(pictures[:SHOWN])
        ],
        tile=min(256, max(128, proof.native[1])),
        made=manifest.made,
        written=datetime.now().astimezone(),
    )
    write_bytes(path, html.encode("utf-8", "replace"))


def _facts(contract: Contract) -> list[tuple[str, str]]:
    """The contract in words."""
    values: dict[str, Any] = contract.to_dict()
    noise = values["noise"]
    size = values["image_size"]
    size = "any" if size == "any" else f"{size[1]}x{size[0]} (width x height)"
    facts = [
        ("inference", contract.inference),
        ("statistics", values["statistics"]),
        ("dropout", noise["dropout"]),
        ("x", f"{values['x']['tensor']}: {', '.join(values['x']['channels'])}"),
        ("y", f"{values['y']['tensor']}: {', '.join(values['y']['channels'])}"),
        ("y is", values["y"]["what"]),
        ("files", f"{values['x']['files']['what']} in, {values['y']['files']['what']} out"),
        ("image size", f"{size}; x has multiples of {contract.size_multiple} pixels"),
        ("padding", values["padding"]),
        ("direction", contract.direction),
        ("checkpoint", f"step {contract.step:,}, SHA-256 {contract.checkpoint}"),
    ]
    if contract.latent_size:
        latent = values["latent"]
        facts.insert(3, ("latent", f"{latent['latent']}, {latent['distribution']}"))
    if contract.noise:
        facts.insert(3, ("z", f"{noise['z']}, {noise['distribution']}; off: {noise['off']}"))
    if contract.encodes:
        encoder = values["encoder"]
        facts.append(("encoder", f"{encoder['y']} to latent {encoder['latent']}"))
    if values["palette"]:
        facts.append(("palette", values["palette"].get("name", "")))
    return facts


def _db(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} dB"


def _share(value: float | None) -> str:
    # Not rounded up to all of them.
    return "" if value is None else f"{math.floor(value * 1e4) / 100:.2f} %"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
