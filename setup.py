"""Packaging of tfpix2pix; BUILD.md says why each dependency is there."""

import os
import re
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
    license_files=["LICENSE"],
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
            "web/study/*",
            "web/demo/*",
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
    install_requires=install_requires,
    extras_require=extras_require,
    entry_points={"console_scripts": ["tfpix2pix=tfpix2pix.cli.main:run"]},
)
