"""The files with which TensorFlow Serving in Docker serves an export: ``DIR/serving/``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tfpix2pix.base.files import write_text

FOLDER = "serving"
FILES = ("models.config", "batching.config", "compose.yaml", "smoke_test.py")
_TEMPLATES = Path(__file__).parent / "serving_files"
_CONFIG = """\
  config {
    name: "@MODEL@"
    base_path: "/models/@PLACE@"
    model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 1 } }
  }
"""


def write_serving(folder: Path, name: str, models: Mapping[str, str] | None = None) -> list[str]:
    """Writes the models' and the batching configuration, ``compose.yaml`` and a smoke test.

    Args:
      folder: of the export; the files go to ``serving/`` below it.
      name: of the export: letters, digits, ``_`` and ``-``.
      models: by the name of each, of such letters too, where below `folder` its versions are; None
        for one of the export's name.

    Returns:
      The files, relative to `folder`.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    # Names of Compose projects are lower case and begin with a letter or digit.
    project = "tfpix2pix-" + name.lower()
    models = models or {name: "saved_model"}
    first, *others = models
    configs = "".join(
        _CONFIG.replace("@MODEL@", model).replace("@PLACE@", f"{name}/{place}")
        for model, place in models.items()
    )
    for file in FILES:
        text = (_TEMPLATES / file).read_text(encoding="utf-8")
        text = text.replace("@CONFIGS@\n", configs).replace("@NAME@", name)
        text = text.replace("@PROJECT@", project)
        text = text.replace("@MODEL@", first).replace("@MODELS@", '", "'.join(models))
        text = text.replace("@OTHERS@", f" (or {', '.join(others)})" if others else "")
        write_text(folder / FOLDER / file, text)
    return [f"{FOLDER}/{file}" for file in FILES]
