"""`translate --beam`: the plain command's pictures, started again without doing them again."""

from __future__ import annotations

import pytest


@pytest.fixture
def images(tmp_path, draw):
    """Five images in two folders and a file that is none."""
    for index in range(4):
        draw(tmp_path / "in" / f"{index}.png", 33 + index, 40, seed=index)
    draw(tmp_path / "in" / "deeper" / "4.png", 32, 32, seed=4)
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n")
    return tmp_path / "in"


def pictures(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.png"))}


def said(done):
    """What stands on standard output, without the progress, which time decides."""
    return [line for line in done.stdout.splitlines() if not line.startswith("translating")]


def test_the_same_pictures_and_messages_and_nothing_done_twice(run_cli, trained, images, draw):
    pytest.importorskip("apache_beam")
    folder = images.parent
    flags = ("translate", f"--workdir={trained}", f"--input={images}/**/*.png", "--seed=3")
    plain = run_cli(*flags, f"--output={folder / 'plain'}")
    bulk = run_cli(*flags, f"--output={folder / 'bulk'}", "--beam")

    assert (plain.returncode, bulk.returncode) == (1, 1)
    assert pictures(folder / "bulk") == pictures(folder / "plain")
    assert len(pictures(folder / "bulk")) == 5
    seen = f" (see {folder / 'bulk' / 'failures.txt'})"
    assert bulk.stderr.replace(seen, "") == plain.stderr
    assert said(bulk) == [line.replace("plain", "bulk") for line in said(plain)]
    (failure,) = (folder / "bulk" / "failures.txt").read_text().splitlines()
    assert failure.split("\t")[0] == str(images / "broken.png")
    assert not [p for p in (folder / "bulk").iterdir() if p.name.startswith(".")]

    # Started again, in two processes of their own: what is there stays untouched.
    draw(images / "broken.png", 32, 32, seed=5)
    (folder / "bulk" / "1.png").unlink()
    before = {p: p.stat().st_mtime_ns for p in (folder / "bulk").rglob("*.png")}
    again = run_cli(
        *flags,
        f"--output={folder / 'bulk'}",
        "--runner=DirectRunner",
        "--",
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    )
    assert again.returncode == 0, again.stderr  # on which the runner's processes log
    assert "4 of 6 images are translated already" in again.stdout
    assert "translated 6 of 6 images" in again.stdout
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert pictures(folder / "bulk")["1.png"] == pictures(folder / "plain")["1.png"]
    assert not (folder / "bulk" / "failures.txt").exists()

    # Pictures of two seeds in one folder would be told apart by nobody.
    other = run_cli(*flags[:-1], "--seed=4", f"--output={folder / 'bulk'}", "--beam")
    assert other.returncode == 2
    assert "holds pictures of another translation (seed differ" in other.stderr

    # Several answers: an image is done when its sheet is there.
    for name, more in (("plain2", []), ("bulk2", ["--beam"])):
        run_cli(*flags, "--samples=2", f"--output={folder / name}", *more)
    assert pictures(folder / "bulk2") == pictures(folder / "plain2")
    assert len(pictures(folder / "bulk2")) == 6 * 3
    (folder / "bulk2" / "1_sheet.png").unlink()
    again = run_cli(*flags, "--samples=2", f"--output={folder / 'bulk2'}", "--beam")
    assert "5 of 6 images are translated already" in again.stdout
    assert pictures(folder / "bulk2") == pictures(folder / "plain2")

    unknown = run_cli(*flags, f"--output={folder / 'new'}", "--runner=NoRunner")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("tfpix2pix translate: --runner=NoRunner cannot be used")
    assert unknown.stderr.count("\n") == 1


def test_without_beam_it_says_what_to_install(run_cli, trained, images):
    absent = "import sys; sys.modules['apache_beam'] = None"
    flags = (f"--workdir={trained}", f"--input={images}", f"--output={images.parent / 'out'}")
    done = run_cli("translate", *flags, "--beam", prelude=absent)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--beam needs Apache Beam" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (images.parent / "out").exists()


def test_words_without_a_flag_are_refused_as_ever(refused, trained, images):
    flags = (f"--workdir={trained}", f"--input={images}", f"--output={images.parent / 'out'}")
    assert "unexpected argument 'photos'" in refused("translate", *flags, "photos")
