"""``--dataset=tfds:NAME``: any data set of TensorFlow Datasets, written out as folders of images.

TFDS prepares a set in files of its own. The images of the two features that make the pair are
written from there, once and losslessly, into the two-folder layout, and training reads that.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tfpix2pix.base.errors import DataError
from tfpix2pix.base.lock import locked
from tfpix2pix.data.config import LEARNS_UNPAIRED
from tfpix2pix.data.sources.archives import cannot_write
from tfpix2pix.data.sources.base import UnpairedError
from tfpix2pix.data.sources.download import CONNECT_TIMEOUT, why_unreachable
from tfpix2pix.data.sources.paper_sets import PAPER_SETS, StageProgress, default_data_dir

if TYPE_CHECKING:
    import numpy as np

_TFDS_FOLDER = "tensorflow_datasets"
TWO_FOLDERS, SINGLE, UNPAIRED = "two_folders", "single", "unpaired"

# TFDS's names of splits -> ours. Others (unlabelled, extra, ...) are no part of a training.
_SPLITS = {"train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test"}
_UNPAIRED = {"trainA": "train", "trainB": "train", "testA": "test", "testB": "test"}
# The builders of this package whose names differ from their folders'.
_OWN_NAMES = {"cityscapes_pairs": "cityscapes"}
_WIDE_INTEGERS = ("int8", "int16", "int32", "int64", "uint32", "uint64")
_PROBED_HOSTS = 3
# Without a namespace, for which TFDS would fetch and run the program of somebody else.
_NAME = re.compile(r"\w+(/[\w.+=-]+)*(:(\d+\.[\d*]+\.[\d*]+|experimental_latest))?", re.ASCII)
# TFDS tries 10 times with growing pauses: 200 s until somebody without network reads so.
_TFDS_RETRIES = 2


def tfds_folder(
    spec: str,
    *,
    input_key: str,
    target_key: str,
    data_dir: str | os.PathLike[str] | None = None,
    progress: StageProgress | None = None,
    unpaired: bool = False,
) -> tuple[Path, str]:
    """The folder of a data set of TFDS, downloaded, prepared and written the first time.

    Images of 8 and 16 bits become PNG, everything else .npy: floats, 2 or more than 4 channels.
    Label maps of any integer type become 8-bit PNG if their classes fit, else 16-bit.

    Args:
      spec: ``NAME``, ``NAME/CONFIG``, either with ``:VERSION``; ``tfds:`` before it is ignored.
      input_key: the feature that is x; ``a/b`` for feature b inside a. Empty: ``input_image``,
        or, of an unpaired set, ``image``.
      target_key: the feature that is y; empty: ``real_image`` or ``image``. The same as
        `input_key` where one image makes the pair (colour from grey): then an unpaired set
        (`cycle_gan`) will do too, A and B together.
      data_dir: where data sets are kept; `default_data_dir` by default. TFDS's files go to
        ``tensorflow_datasets`` in it, unless TFDS's own folder ($TFDS_DATA_DIR, or
        ~/tensorflow_datasets) holds the prepared set.
      progress: called as ``progress(what, done, total, unit)`` while images are written. TFDS
        shows its own progress before.
      unpaired: of an unpaired set (`cycle_gan`) write both sides, A with the images of `input_key`
        and B with those of `target_key`.

    Returns:
      ``(folder, form)``: form "two_folders" with ``A/train/000000.png`` and ``B/train/...``,
      "single" with ``train/000000.png`` where both keys are one, or "unpaired" with
      ``trainA/a000000.png``, ``trainB/b000000.png`` and so on.

    Raises:
      DataError: no tensorflow-datasets, no such set or feature, no network, files that have to be
        downloaded by hand, or a disk that cannot be written.
      UnpairedError: the set is unpaired, and that was not asked for.
    """
    tfds = _import_tfds()
    name = spec.removeprefix("tfds:")
    data_dir = Path(data_dir) if data_dir is not None else default_data_dir()
    builder = _find_builder(tfds, name, data_dir)
    if unpaired and not (_is_prepared(builder) or builder.name == "cycle_gan"):
        _prepare(tfds, builder, name, data_dir)  # only then its splits are known
    sides = unpaired and _is_unpaired(builder)
    input_key = input_key or ("image" if sides else "input_image")
    target_key = target_key or ("image" if sides else "real_image")
    single = input_key == target_key and not sides
    if builder.name == "cycle_gan" and not (single or sides):
        raise _unpaired(name)
    _check_keys(tfds, builder, name, {"input_key": input_key, "target_key": target_key})

    keys = [input_key] if single else [input_key, target_key]
    facts = [*builder.info.full_name.split("/"), "__".join(key.replace("/", ".") for key in keys)]
    folder = data_dir / "tfds" / "-".join([*facts, *([UNPAIRED] if sides else [])])
    form = UNPAIRED if sides else SINGLE if single else TWO_FOLDERS
    progress = progress or (lambda what, done, total, unit: None)
    try:
        if folder.is_dir():
            return folder, form
        news = f"another process is preparing {name}; waiting for it"
        lock = folder.with_name(f".{folder.name}.lock")
        with locked(lock, waiting=lambda: progress(news, 0, 0, "")):
            if folder.is_dir():
                return folder, form
            if not _is_prepared(builder):
                _prepare(tfds, builder, name, data_dir)
            splits = _choose_splits(builder, name, single or sides)
            scratch = folder.with_name(folder.name + ".incomplete")
            show = partial(_show, progress, f"writing the images of {name}")
            shutil.rmtree(scratch, ignore_errors=True)
            try:
                _write(tfds, builder, splits, keys, form, scratch, show)
                os.replace(scratch, folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise DataError(cannot_write(folder, error)) from None
    return folder, form


def _show(progress: StageProgress, what: str, done: int, total: int) -> None:
    progress(what, done, total, "image")


# === Finding the set ===


def _import_tfds() -> Any:
    try:
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise _not_installed(error) from None


def _not_installed(error: ImportError) -> DataError:
    return DataError(
        f"--dataset=tfds:... needs the package {error.name or 'tensorflow_datasets'}, which is not "
        'installed; install it with: python -m pip install "tfpix2pix[tfds]"'
    )


def _find_builder(tfds: Any, name: str, data_dir: Path) -> Any:
    """The builder of `name`: with the folder that holds it prepared, else with ours."""
    if not _NAME.fullmatch(name):
        raise DataError(
            f"--dataset=tfds:{name}: expected NAME, NAME/CONFIG or either with :VERSION. Sets of a "
            "namespace (huggingface:, kaggle: and others) bring programs of their own, which are "
            "not run; download such a set and give its folder."
        )
    base = name.split("/")[0].split(":")[0]
    own = _OWN_NAMES.get(base, base)
    if own in PAPER_SETS and base != "cityscapes":  # TFDS has a `cityscapes` of its own.
        importlib.import_module(f"tfpix2pix.data.sources.builders.{own}.{own}_dataset_builder")
    theirs = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    builder = None
    for folder in (Path(theirs).expanduser(), data_dir / _TFDS_FOLDER):
        try:
            builder = tfds.builder(name, data_dir=os.fspath(folder))
        except tfds.core.DatasetNotFoundError:
            continue
        except ImportError as error:
            raise _not_installed(error) from None
        except Exception as error:
            raise DataError(
                f"--dataset=tfds:{name}: {_why_no_builder(tfds, base, error)}"
            ) from None
        if _is_prepared(builder):
            return builder
    if builder is None:
        raise DataError(f"--dataset=tfds:{name}: {_not_found(tfds, base)}")
    return builder


def _is_prepared(builder: Any) -> bool:
    return (Path(builder.data_dir) / "dataset_info.json").is_file()


def _not_found(tfds: Any, base: str) -> str:
    names = {*tfds.list_builders(with_community_datasets=False), *PAPER_SETS, *_OWN_NAMES}
    near = difflib.get_close_matches(base, sorted(names), n=1)
    hint = f"did you mean 'tfds:{near[0]}'?" if near else "see tensorflow.org/datasets for names."
    return f"TensorFlow Datasets has no set of that name; {hint}"


def _why_no_builder(tfds: Any, base: str, error: Exception) -> str:
    with contextlib.suppress(Exception):
        configs = list(tfds.builder_cls(base).builder_configs)
        if configs and "onfig" in str(error):
            listed = ", ".join(configs[:12]) + (", ..." if len(configs) > 12 else "")
            return f"no such configuration of {base}; expected tfds:{base}/ and one of {listed}."
    return (
        f"TensorFlow Datasets refuses it ({_first_line(error)}); expected NAME[/CONFIG][:VERSION]."
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0].rstrip(".") if lines else type(error).__name__)[:300]


# === Its features and splits ===


def _check_keys(tfds: Any, builder: Any, name: str, keys: Mapping[str, str]) -> None:
    found = dict(_leaves(tfds, builder.info.features))
    images = {path: text for path, (text, is_image) in found.items() if is_image}
    listed = ", ".join(f"{path} {text}" for path, text in images.items()) or "none"
    for flag, key in keys.items():
        if key in images:
            continue
        if key in found:
            what = f"is no image but {found[key][0]}"
        else:
            what = "is no feature of it"
        raise DataError(
            f"--dataset=tfds:{name}: --{flag}={key} {what}; its image features are: {listed}."
        )


def _leaves(tfds: Any, features: Any, prefix: str = "") -> Iterator[tuple[str, tuple[str, bool]]]:
    """(path, (what it is in words, whether it is an image)) of every feature."""
    if not isinstance(features, tfds.features.FeaturesDict):
        return
    for key, feature in features.items():
        if isinstance(feature, tfds.features.FeaturesDict):
            yield from _leaves(tfds, feature, f"{prefix}{key}/")
            continue
        info = feature.get_tensor_info()
        shape, dtype = getattr(info, "shape", None), getattr(info, "dtype", None)
        kind = type(feature).__name__
        if shape is None:  # A sequence of dictionaries.
            yield prefix + key, (kind, False)
            continue
        text = " x ".join("?" if size is None else str(size) for size in shape) or "one value"
        is_image = (
            isinstance(feature, (tfds.features.Image, tfds.features.Tensor))
            and len(shape) in (2, 3)
            and _type_name(dtype) not in ("str", "string", "object", "bytes")
        )
        yield prefix + key, (f"({kind}, {text}, {_type_name(dtype)})", is_image)


def _type_name(dtype: Any) -> str:
    return getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)


def _unpaired(name: str) -> UnpairedError:
    return UnpairedError(
        f"--dataset=tfds:{name}: unpaired, trainA and trainB show different scenes; "
        f"{LEARNS_UNPAIRED} learns from it, and to learn from pairs give a paired set, or let one "
        "image make the pair (--input_key=image --target_key=image with --color_space=lab)."
    )


def _is_unpaired(builder: Any) -> bool:
    there = set(builder.info.splits)
    return builder.name == "cycle_gan" or ("train" not in there and {"trainA", "trainB"} <= there)


def _choose_splits(builder: Any, name: str, together: bool) -> list[tuple[str, str, str]]:
    """[(TFDS's split, ours, what stems begin with), ...], train first; `together`: also those of
    an unpaired set."""
    there = list(builder.info.splits)
    if _is_unpaired(builder):
        if not together:
            raise _unpaired(name)
        return [(s, ours, s[-1].lower()) for s, ours in _UNPAIRED.items() if s in there]
    chosen: dict[str, str] = {}
    for split, ours in _SPLITS.items():
        if split in there:
            chosen.setdefault(ours, split)
    if "train" not in chosen:
        raise DataError(
            f"--dataset=tfds:{name}: it has no split train (only {', '.join(there) or 'none'}); "
            "choose another set."
        )
    return [(split, ours, "") for ours, split in chosen.items()]


# === Preparing it ===


def _prepare(tfds: Any, builder: Any, name: str, data_dir: Path) -> None:
    """Downloads and prepares in TFDS's own way, but never waits minutes for a missing network."""
    # The same folder from which `paper_sets` makes cityscapes.
    manual = data_dir / "manual" / _OWN_NAMES.get(builder.name, builder.name)
    instructions = " ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split())
    if instructions and not (manual.is_dir() and any(manual.iterdir())):
        raise DataError(
            f"--dataset=tfds:{name}: its files have to be downloaded by hand into {manual}. TFDS "
            f"says: {instructions}"
        )
    downloads = data_dir / _TFDS_FOLDER / "downloads"
    # With downloads of an earlier try, TFDS may get by without a network.
    if not (downloads.is_dir() and any(downloads.iterdir())):
        _probe(builder, name)
    config = tfds.download.DownloadConfig(
        try_download_gcs=False, manual_dir=os.fspath(manual) if instructions else None
    )
    try:
        with _few_retries():
            builder.download_and_prepare(download_dir=os.fspath(downloads), download_config=config)
    except ImportError as error:
        raise DataError(
            f"--dataset=tfds:{name}: TensorFlow Datasets needs the package {error.name} to prepare "
            f"it; install that with: python -m pip install {error.name}"
        ) from None
    except Exception as error:  # Builders are other people's code, and raise anything.
        why = _first_line(error)
        if type(error).__module__.startswith(("requests.", "urllib3.")):
            why = why_unreachable(error)
        raise DataError(
            f"--dataset=tfds:{name}: TensorFlow Datasets cannot prepare it: {why}. Run the "
            "command again later, prepare it with TFDS yourself, or give "
            "--dataset=FOLDER with a folder of pairs that you have."
        ) from None


def _probe(builder: Any, name: str) -> None:
    """Raises a DataError if a host that the set comes from cannot be reached."""
    import requests

    urls = list(builder.url_infos or {})
    if not urls and hasattr(builder, "paper_set"):
        urls = [builder.paper_set.url]
    by_host = {urlsplit(url).netloc: url for url in urls if url.startswith("http")}
    for host, url in list(by_host.items())[:_PROBED_HOSTS]:
        try:
            requests.head(url, timeout=(CONNECT_TIMEOUT, CONNECT_TIMEOUT)).close()
        except requests.exceptions.ReadTimeout:
            continue  # It is there, if slow.
        except requests.RequestException as error:
            raise DataError(
                f"--dataset=tfds:{name}: {host} cannot be reached: {why_unreachable(error)}. Run "
                "the command again with a network, prepare the set elsewhere and name its folder "
                "in TFDS_DATA_DIR, or give --dataset=FOLDER with a folder of pairs that you have."
            ) from None


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    # No option of TFDS says how often it tries. Where a later version keeps the number elsewhere,
    # it only takes longer to give up.
    module: Any = importlib.import_module("tensorflow_datasets.core.download.downloader")
    before = getattr(module, "MAX_RETRIES", None)
    if before is not None:
        module.MAX_RETRIES = min(before, _TFDS_RETRIES)
    try:
        yield
    finally:
        if before is not None:
            module.MAX_RETRIES = before


# === Writing it ===


def _write(
    tfds: Any,
    builder: Any,
    splits: list[tuple[str, str, str]],
    keys: list[str],
    form: str,
    folder: Path,
    progress: Any,
) -> None:
    total = sum(builder.info.splits[split].num_examples for split, _, _ in splits)
    widest = {key: _widest(tfds, builder, splits, key) for key in dict.fromkeys(keys)}
    done = 0
    for split, ours, letter in splits:
        targets = dict(zip([folder / side / ours for side in "AB"], keys, strict=False))
        if form == SINGLE:
            targets = {folder / ours: keys[0]}
        elif form == UNPAIRED:  # each split is one side's
            targets = {folder / f"{ours}{letter.upper()}": keys["ab".index(letter)]}
        for target in targets:
            target.mkdir(parents=True, exist_ok=True)
        read = list(dict.fromkeys(targets.values()))
        for index, images in enumerate(_examples(tfds, builder, split, read)):
            for target, key in targets.items():
                _write_array(target / f"{letter}{index:06d}", images[key], widest[key])
            done += 1
            progress(done, total)


def _examples(tfds: Any, builder: Any, split: str, keys: list[str]) -> Iterator[dict[str, Any]]:
    """The features `keys` of every example, in TFDS's fixed order; nothing else is decoded."""
    wanted: dict[str, Any] = {}
    for key in keys:
        *outer, last = key.split("/")
        inside = wanted
        for part in outer:
            inside = inside.setdefault(part, {})
        inside[last] = True
    dataset = builder.as_dataset(
        split=split, shuffle_files=False, decoders=tfds.decode.PartialDecoding(wanted)
    )
    for example in tfds.as_numpy(dataset):
        found = {}
        for key in keys:
            value: Any = example
            for part in key.split("/"):
                value = value[part]
            found[key] = value
        yield found


def _widest(tfds: Any, builder: Any, splits: list[tuple[str, str, str]], key: str) -> str | None:
    """For integer labels wider than a PNG: the one type that holds every value of the set."""
    import numpy as np

    feature = builder.info.features
    for part in key.split("/"):
        feature = feature[part]
    info = feature.get_tensor_info()
    one_channel = len(info.shape) == 2 or info.shape[-1] == 1
    if _type_name(info.dtype) not in _WIDE_INTEGERS or not one_channel:
        return None
    low, high = 0, 0
    for split, _, _ in splits:
        for images in _examples(tfds, builder, split, [key]):
            low, high = min(low, int(images[key].min())), max(high, int(images[key].max()))
    for name in ("uint8", "uint16"):
        if low >= 0 and high <= np.iinfo(name).max:
            return name
    return None


def _write_array(stem: Path, array: np.ndarray, as_type: str | None) -> None:
    """Writes ``[H, W]`` or ``[H, W, C]``: PNG where that keeps every value, else .npy."""
    import numpy as np
    import tensorflow as tf

    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif as_type:
        array = array.astype(as_type)
    elif _type_name(array.dtype) == "bfloat16":  # NumPy's files do not know it.
        array = array.astype(np.float32)
    if array.dtype in (np.uint8, np.uint16) and array.shape[-1] in (1, 3, 4):
        # TensorFlow's encoder and not Pillow's, which has no colour of 16 bits.
        stem.with_suffix(".png").write_bytes(tf.io.encode_png(array).numpy())
    else:
        np.save(stem.with_suffix(".npy"), array)
