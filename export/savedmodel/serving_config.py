"""The files with which TensorFlow Serving in Docker serves an export: ``DIR/serving/``."""

from __future__ import annotations

from pathlib import Path

from tfpix2pix.base.files import write_text

FOLDER = "serving"
FILES = ("models.config", "batching.config", "compose.yaml", "smoke_test.py")
_TEMPLATES = Path(__file__).parent / "serving_files"


def write_serving(folder: Path, name: str) -> list[str]:
    """Writes the model's and the batching configuration, ``compose.yaml`` and a smoke test.

    Args:
      folder: of the export; the files go to ``serving/`` below it.
      name: of the model: letters, digits, ``_`` and ``-``.

    Returns:
      The files, relative to `folder`.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    # Names of Compose projects are lower case and begin with a letter or digit.
    project = "tfpix2pix-" + name.lower()
    for file in FILES:
        text = (_TEMPLATES / file).read_text(encoding="utf-8")
        text = text.replace("@NAME@", name).replace("@PROJECT@", project)
        write_text(folder / FOLDER / file, text)
    return [f"{FOLDER}/{file}" for file in FILES]
