"""tfpix2pix.data: pairs of images, from whatever form they are kept in to training batches.

A `PairSource` reads one layout (``open_dataset`` picks it), a `PairStore` holds or streams the
decoded pairs of a split (an `UnpairedStore` images of two domains that are no pairs), and
`training_batches` / `evaluation_batches` turn a store into tf.data datasets of ``(x, y)`` in
[-1, 1]. Nothing here knows a model.
"""

from __future__ import annotations

import importlib

# Names are resolved on first use: `import tfpix2pix.data` must not pull in TensorFlow or Pillow.
_HOME = {
    "SPLITS": "sources.base",
    "ImageSource": "sources.base",
    "PairSource": "sources.base",
    "UnpairedError": "sources.base",
    "BrokenPairs": "sources.unpaired",
    "UnpairedSource": "sources.unpaired",
    "TurnedSource": "sources.turned",
    "SampleSource": "sources.sample_source",
    "FileSource": "sources.file_source",
    "ArraySource": "sources.arrays",
    "PairArrays": "sources.arrays",
    "PairFiles": "layouts.pair_files",
    "split_decoded": "layouts.pair_files",
    "split_pair": "layouts.pair_files",
    "LabSpec": "spec",
    "PairSpec": "spec",
    "ImageSpec": "spec",
    "Palette": "palette",
    "load_palette": "palette",
    "LAYOUTS": "layouts.known",
    "default_data_dir": "sources.paper_sets",
    "open_dataset": "layouts.opening",
    "Decoded": "images",
    "Header": "images",
    "UnreadableImage": "images",
    "decode": "images",
    "fit_channels": "images",
    "fit_depth": "images",
    "read_header": "images",
    "convert_channels": "images",
    "is_image_name": "images",
    "read_image": "images",
    "read_image_with_notes": "images",
    "write_image": "images",
    "ImageStore": "store",
    "PairStore": "store",
    "UnpairedStore": "store",
    "cache_dir": "cache_choice",
    "explain": "store",
    "open_images": "store",
    "open_store": "store",
    "augment": "sampler",
    "epoch_position": "sampler",
    "evaluation_batches": "pipeline",
    "training_batches": "pipeline",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
