"""Makes a study: pairs of pictures under names that tell nothing, the key, and the page."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import check_writable, shown, write_bytes, write_text
from tfpix2pix.base.size import Size
from tfpix2pix.data.images import image_size, read_image
from tfpix2pix.data.layouts.pair_files import list_images, split_pair
from tfpix2pix.report.html import web_template
from tfpix2pix.report.scripts import web_script
from tfpix2pix.study.folder import (
    CHECK,
    FORMAT,
    PAGE,
    PICTURES,
    PRACTICE,
    RESULTS,
    SOUND,
    SPOILT,
    TRIAL,
    Pair,
    Study,
)
from tfpix2pix.study.settings import REAL, Settings

_NAMED = 3  # names in a refusal
_NOISE = 0.65  # how much of a spoilt picture is noise: nothing else looks so
_THINKING = 2.0  # seconds for an answer, in what the page says of its length
_RUN, _EXPORT = "config.json", "export.json"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Folder:
    """One of the folders that were named.

    Attributes:
      who: REAL, or the model's name.
      flag: that named it.
      files: by the name without its ending.
      halves: AtoB or BtoA where each file is a pair side by side, of which the target counts.
    """

    who: str
    flag: str
    files: dict[str, Path]
    halves: str = ""

    def size(self, name: str) -> Size:
        height, width = image_size(self.files[name])
        return Size(height, width // 2 if self.halves else width)

    def read(self, name: str) -> np.ndarray:
        """uint8 ``[H, W, 3]``."""
        picture = read_image(self.files[name])
        if not self.halves:
            return picture
        try:
            return split_pair(picture, self.halves)[1]
        except ValueError as error:
            raise UserError(
                f"{shown(self.files[name])}: {error}; --side_by_side is for pairs side by side"
            ) from None


def make_study(
    output: str | os.PathLike[str],
    models: Mapping[str, str | os.PathLike[str]],
    real: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
    *,
    side_by_side: bool = False,
    direction: str = "AtoB",
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Study:
    """Writes the folder of a study, whole or not at all.

    Args:
      output: the folder, which must be new or empty.
      models: folders of pictures by the models' names; pictures of one name (without the ending)
        belong to one input.
      real: the folder of real pictures of these names; None for a preference.
      settings: of the study; None for the defaults.
      side_by_side: the real pictures are pairs in the pix2pix layout, whose target is shown.
      direction: of those pairs.
      progress: told how many pictures of how many are written.
      say: told, in a sentence, what is left out.

    Returns:
      What was made.

    Raises:
      UserError: folders, names or sizes that do not go together, or too few pictures.
    """
    settings = settings or Settings()
    output = Path(output).expanduser()
    check_writable(output, "--output")
    if output.is_dir() and any(output.iterdir()):
        raise UserError(
            f"--output={shown(output)} is not empty; give a new folder (answers belong to the "
            "study that they were given in)"
        )
    matchups = settings.matchups(list(models))
    folders = _folders(models, real, settings, direction if side_by_side else "")
    names = _shared_names(folders, say)
    if len(names) < settings.inputs:
        raise UserError(_too_few(len(names), settings, folders))
    random = np.random.default_rng([settings.seed, 1])
    names = [names[i] for i in random.permutation(len(names))]
    names = names[: settings.inputs + max(0, settings.images - settings.trials)]
    size = _common_size(list(folders.values()), names, settings)
    planned = _Plan(settings, matchups, names, random)
    return _write(output, planned, folders, list(models), size, progress)


# === Which pictures ===


def _folders(
    models: Mapping[str, str | os.PathLike[str]],
    real: str | os.PathLike[str] | None,
    settings: Settings,
    halves: str,
) -> dict[str, _Folder]:
    found = {}
    if settings.ask == "preference":
        if real is not None:
            raise UserError(
                "--real is for --ask=fake; a preference is between models, so leave it out"
            )
    elif real is None:
        raise UserError("--real is missing; name the folder of real pictures")
    else:
        found[REAL] = _folder(REAL, f"--real={shown(real)}", Path(real), halves)
    for name, folder in models.items():
        if name == REAL or not name.strip() or not name.isprintable() or len(name) > 60:
            raise UserError(
                f"--model={shown(name)}:{shown(folder)}: a model needs a name of up to 60 "
                f"characters other than '{REAL}'; give --model=NAME:FOLDER"
            )
        found[name] = _folder(name, f"--model={name}:{shown(folder)}", Path(folder))
    return found


def _folder(who: str, flag: str, folder: Path, halves: str = "") -> _Folder:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise UserError(f"{flag}: no such folder; give a folder of pictures")
    for file, way in ((_RUN, "--workdir"), (_EXPORT, "--model")):
        if (folder / file).is_file():
            what = "a run" if file == _RUN else "an export"
            raise UserError(
                f"{flag} is {what}, and a folder of its pictures is expected; make them by "
                f"`tfpix2pix translate {way}={shown(folder)} --input=IMAGES --output=FOLDER`"
            )
    files, _ = list_images(folder)
    if not files:
        raise UserError(f"{flag} holds no pictures; give a folder with pictures directly in it")
    twice = [stem for stem, count in Counter(file.stem for file in files).items() if count > 1]
    if twice:
        raise UserError(
            f"{flag} holds several pictures of one name ({_listed(twice)}), so that they cannot be "
            "matched; keep one of each"
        )
    return _Folder(who, flag, {file.stem: file for file in files}, halves)


def _shared_names(folders: dict[str, _Folder], say: Callable[[str], None]) -> list[str]:
    """The inputs: what every model has a picture of, and so has the folder of real ones."""
    models = [folder for who, folder in folders.items() if who != REAL]
    first = models[0]
    for other in models[1:]:
        for a, b in ((first, other), (other, first)):
            alone = sorted(set(a.files) - set(b.files))
            if alone:
                raise UserError(
                    f"{len(alone):,} of {len(a.files):,} pictures of {a.flag} have none of their "
                    f"name in {b.flag} ({_listed(alone)}); all models must show the same inputs, "
                    "so translate the same images with each"
                )
    if REAL in folders:
        real = folders[REAL]
        alone = sorted(set(first.files) - set(real.files))
        if alone:
            raise UserError(
                f"{len(alone):,} of {len(first.files):,} pictures of {first.flag} have none of "
                f"their name in {real.flag} ({_listed(alone)}); name each after the real picture "
                "of its input, as `tfpix2pix translate` does"
            )
        unused = len(real.files) - len(first.files)
        if unused:
            say(f"note: {unused:,} pictures of {real.flag} have no made ones and are left out")
    return sorted(first.files)


def _too_few(there: int, settings: Settings, folders: dict[str, _Folder]) -> str:
    """What is missing, and flags with which it would go."""
    needed = settings.inputs
    parts = f"{settings.practice} practice + {settings.trials} trials + {settings.checks} checks"
    message = (
        f"{there:,} inputs have pictures in {' and '.join(f.flag for f in folders.values())}, and "
        f"{needed:,} are needed ({parts}; no participant sees an input twice); translate more"
    )
    if there < 2:
        return message
    practice = min(settings.practice, there // 5)
    checks = min(settings.checks, there // 10)
    trials = min(settings.trials, there - practice - checks)
    return f"{message}, or use --practice={practice} --trials={trials} --checks={checks}"


def _common_size(folders: list[_Folder], names: list[str], settings: Settings) -> Size:
    """Of all pictures, or the one that was asked for."""
    if settings.size != 0:
        return settings.size
    seen: dict[Size, str] = {}
    sizes: Counter[Size] = Counter()
    for folder in folders:
        for name in names:
            size = folder.size(name)
            sizes[size] += 1
            seen.setdefault(size, f"{name} of {folder.flag}")
    if len(sizes) > 1:
        (one, _), (other, _) = sizes.most_common(2)
        raise UserError(
            f"the pictures have {len(sizes):,} sizes ({seen[one]} {one.shown}, {seen[other]} "
            f"{other.shown}), which would tell which is which; give one to which all are resized: "
            f"--size={min(sizes, key=lambda size: size.pixels)}"
        )
    return next(iter(sizes))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(shown, names[:_NAMED])) + (f" and {more:,} more" if more > 0 else "")


# === The pairs ===


class _Plan:
    """The pairs of a study, and whose picture of which input each of their files shows.

    Attributes:
      settings, matchups: of the study.
      pairs: by identity, with the pictures in a random order.
      shows: file's name -> (whose folder, which input, whether it is spoilt).
      practice, trials: identities, ``[input][matchup]``.
      checks: identities.
    """

    def __init__(
        self,
        settings: Settings,
        matchups: list[tuple[str, str]],
        names: list[str],
        random: np.random.Generator,
    ) -> None:
        self.settings, self.matchups, self._random = settings, matchups, random
        self.pairs: dict[str, Pair] = {}
        self.shows: dict[str, tuple[str, str, bool]] = {}
        self._used: set[str] = set()
        last = settings.practice + settings.checks
        self.practice = self._block(PRACTICE, names[: settings.practice], names)
        self.checks = [self._check(name) for name in names[settings.practice : last]]
        self.trials = self._block(TRIAL, names[last:], names)

    def _block(self, kind: str, names: list[str], every: list[str]) -> list[list[str]]:
        others = names if len(names) > 1 else [name for name in every if name not in names]
        if names and not others and self.settings.pairing == "other":
            raise UserError("--pairing=other needs two inputs or more; translate more")
        rows = []
        for place, name in enumerate(names):
            # The order is random, so the next one is a random other one.
            other = others[(place + 1) % len(others)] if others else name
            truth = name if self.settings.pairing == "same" else other
            rows.append(
                [
                    self._pair(kind, matchup, name, {matchup_of[0]: truth, matchup_of[1]: name})
                    for matchup, matchup_of in enumerate(self.matchups)
                ]
            )
        return rows

    def _check(self, name: str) -> str:
        return self._pair(CHECK, None, name, {SOUND: name, SPOILT: name})

    def _pair(self, kind: str, matchup: int | None, image: str, of: dict[str, str]) -> str:
        owners = list(of)
        if self._random.random() < 0.5:
            owners.reverse()
        pictures = {f"{self._name(16)}.png": owner for owner in owners}
        for file, owner in pictures.items():
            who = owner if kind != CHECK else self.matchups[0][0]
            self.shows[file] = who, of[owner], kind == CHECK and owner == SPOILT
        identity = self._name(8)
        self.pairs[identity] = Pair(kind, matchup, image, pictures)
        return identity

    def _name(self, digits: int) -> str:
        """A name that no other pair or picture has."""
        while True:
            name = self._random.bytes(digits // 2).hex()
            if name not in self._used:
                self._used.add(name)
                return name

    def for_page(self, identity: str, size: Size) -> dict[str, Any]:
        """What the page's script is told. Of practice alone it says which picture was made."""
        settings = self.settings

        def told(name: str) -> dict[str, Any]:
            pair = self.pairs[name]
            facts: dict[str, Any] = {"id": name, "pictures": list(pair.pictures)}
            if pair.kind == PRACTICE and settings.ask == "fake" and pair.matchup is not None:
                facts["fake"] = pair.of(self.matchups[pair.matchup][1])
            return facts

        return {
            "format": FORMAT,
            "study": identity,
            "ask": settings.ask,
            "session": settings.session,
            "matchups": len(self.matchups),
            "trials": settings.trials,
            "seconds": settings.seconds,
            "gap": settings.gap,
            "width": size.width,
            "height": size.height,
            "folder": PICTURES,
            "practicePairs": [list(map(told, row)) for row in self.practice],
            "checkPairs": list(map(told, self.checks)),
            "trialPairs": [list(map(told, row)) for row in self.trials],
        }


# === Writing ===


def _write(
    output: Path,
    plan: _Plan,
    folders: dict[str, _Folder],
    models: list[str],
    size: Size,
    progress: Progress | None,
) -> Study:
    output.parent.mkdir(parents=True, exist_ok=True)
    hidden = output.with_name(f".{output.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        (hidden / PAGE / PICTURES).mkdir(parents=True)
        (hidden / RESULTS).mkdir()
        identity = hashlib.sha256(repr((plan.settings, plan.matchups)).encode())
        # In the order of names, so that dates of files tell nothing either.
        for done, file in enumerate(sorted(plan.shows)):
            content = _png(_picture(plan, folders, file, size))
            write_bytes(hidden / PAGE / PICTURES / file, content, sync=False)
            identity.update(file.encode() + content)
            if progress:
                progress(done + 1, len(plan.shows))
        study = Study(
            hidden, identity.hexdigest()[:16], plan.settings, models, plan.matchups, plan.pairs
        )
        study.write()
        told = plan.for_page(study.identity, size)
        page = web_template("study", "index.html").render(
            study=told,
            settings=plan.settings,
            length=_length(plan.settings.seconds),
            minutes=_minutes(plan.settings),
            script=page_script(),
        )
        write_text(hidden / PAGE / "index.html", page)
        if output.exists():
            output.rmdir()  # empty
        hidden.rename(output)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return Study(output, study.identity, plan.settings, models, plan.matchups, plan.pairs)


def _picture(plan: _Plan, folders: dict[str, _Folder], file: str, size: Size) -> np.ndarray:
    who, name, spoilt = plan.shows[file]
    picture = folders[who].read(name)
    if Size(*picture.shape[:2]) != size:
        image = Image.fromarray(picture)
        image = image.resize((size.width, size.height), Image.Resampling.LANCZOS)
        picture = np.asarray(image)
    if not spoilt:
        return picture
    # Noise of its own for each picture, by its name.
    random = np.random.default_rng(int(file.split(".")[0], 16))
    noise = random.integers(0, 256, picture.shape)
    return np.rint((1 - _NOISE) * picture + _NOISE * noise).astype(np.uint8)


def _png(picture: np.ndarray) -> bytes:
    """Of all pictures alike, whatever their files were, so that no header tells."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG")
    return buffer.getvalue()


def _length(seconds: float) -> str:
    return "one second" if seconds == 1 else f"{seconds:g} seconds"


def _minutes(settings: Settings) -> str:
    """How long a session takes, at some seconds for each answer."""
    each = 2 * (settings.seconds + settings.gap) + _THINKING
    minutes = max(1, round(settings.inputs * each / 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def page_script() -> Markup:
    """The page's modules as one script."""
    return web_script("study", "page.js")
