"""The numbers of scored runs on bootstrap samples of the images, drawn once and kept.

All runs are drawn on the same samples, so that differences between them can be taken draw by draw.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib

import numpy as np

from tfpix2pix.base.archives import load_arrays
from tfpix2pix.base.files import write_bytes
from tfpix2pix.evaluation.bootstrap import resampled
from tfpix2pix.evaluation.registry import EVALUATORS
from tfpix2pix.evaluation.results import METRICS, Evaluation
from tfpix2pix.reproduction.plan import Run

FILE = "draws.npz"
_LARGEST = 1 << 28  # bytes unpacked
_OF = "statistics"  # what they were drawn from, beside the numbers


def draws_of(run: Run) -> dict[str, np.ndarray]:
    """By number, its values on the samples: ``[draws]``; nothing where the run is not scored."""
    try:
        content = json.loads((run.evaluation / METRICS).read_text(encoding="utf-8"))
        identity = str(content["statistics_sha256"])
    except (OSError, ValueError, KeyError):
        return {}
    path = run.evaluation / FILE
    try:
        found = load_arrays(path, _LARGEST)
        if str(found.pop(_OF)) == identity:
            return found
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        pass  # not drawn yet, or damaged: drawn again
    found = {}
    for name, statistics in Evaluation.load(run.evaluation).statistics.items():
        if name in EVALUATORS:
            found.update(resampled(EVALUATORS[name], statistics))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{_OF: np.array(identity)}, **found)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())
    return found
