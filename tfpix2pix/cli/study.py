"""``tfpix2pix study``: whom do the pictures fool?"""

from __future__ import annotations

import argparse
from pathlib import Path

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import shown
from tfpix2pix.cli.flags import Parser, add_boolean, add_field, number
from tfpix2pix.study.settings import FIELDS, Settings

USAGE = """tfpix2pix study --make --real=FOLDER --model=NAME:FOLDER [--model=...] --output=STUDY
       tfpix2pix study --serve=STUDY
       tfpix2pix study --score=STUDY"""
DESCRIPTION = """\
The paper's perceptual study: people see a real and a made picture for one second each and say which
was fake. --make writes a folder with a page, --serve opens it to participants on this machine and
collects what they answer, --score says how many were fooled by each model and how sure that is.

The page (STUDY/page) also works from any server of files, or from a folder: participants then save
their answers, and the files go into STUDY/results. STUDY/key.json says which pictures are fake;
keep it to yourself."""

_MODES = ("make", "serve", "score")
_MAKING = ("real", "model", "output", "side_by_side", "direction", *(f.name for f in FIELDS))


def add_flags(parser: Parser) -> None:
    none = argparse.SUPPRESS
    group = parser.add_argument_group("What to do (one of these)")
    add_boolean(group, "make", "write a study to --output")
    group.add_argument("--serve", metavar="STUDY", help="run a study on this machine")
    group.add_argument(
        "--score", metavar="STUDY", help="score it; writes STUDY/score.html and STUDY/score.json"
    )
    group = parser.add_argument_group("--make: which pictures")
    group.add_argument(
        "--real",
        default=none,
        metavar="FOLDER",
        help="the real pictures, named as those of the models are (required, but for "
        "--ask=preference)",
    )
    group.add_argument(
        "--model",
        action="append",
        default=none,
        metavar="NAME:FOLDER",
        help="a model's name, and the folder of pictures that `tfpix2pix translate` made of the "
        "same inputs; once for each model (required)",
    )
    group.add_argument(
        "--output",
        default=none,
        metavar="STUDY",
        help="the folder of the study, new or empty (required)",
    )
    add_boolean(
        group,
        "side_by_side",
        "the real pictures are pairs in the pix2pix layout, of which the target is shown [false]",
        default=none,
    )
    group.add_argument(
        "--direction",
        default=none,
        metavar="AtoB|BtoA",
        help="of those pairs: the target is the right half of AtoB, the left one of BtoA [AtoB]",
    )
    group = parser.add_argument_group("--make: how it goes")
    for field in FIELDS:
        add_field(group, field)
    group = parser.add_argument_group("--serve")
    group.add_argument(
        "--port", type=number(int), default=none, metavar="INT", help="to listen on [a free one]"
    )
    group.add_argument(
        "--host",
        default=none,
        metavar="ADDRESS",
        help="to listen on; 0.0.0.0 lets other machines of the network in, where anybody may then "
        "take part [127.0.0.1, this machine alone]",
    )
    group = parser.add_argument_group("--score")
    group.add_argument(
        "--results",
        action="append",
        default=none,
        metavar="PATH",
        help="a file of results, or a folder of .jsonl files; may be given several times "
        "[STUDY/results]",
    )
    group.add_argument(
        "--min_checks",
        type=number(float),
        default=none,
        metavar="FLOAT",
        help="participants who passed a smaller share of the checks, 0 to 1, are left out [0.75]",
    )


def main(args: argparse.Namespace) -> int:
    chosen = [mode for mode in _MODES if getattr(args, mode)]
    if len(chosen) != 1:
        found = " and ".join(f"--{mode}" for mode in chosen) or "none"
        raise UserError(f"give one of --make, --serve=STUDY and --score=STUDY ({found} was given)")
    (mode,) = chosen
    _refuse_flags_of_others(args, mode)
    return {"make": _make, "serve": _serve, "score": _score}[mode](args)


def _refuse_flags_of_others(args: argparse.Namespace, mode: str) -> None:
    own = {"make": _MAKING, "serve": ("port", "host"), "score": ("results", "min_checks")}
    for other, names in own.items():
        for name in names:
            if other != mode and hasattr(args, name):
                raise UserError(f"--{name} is a flag of --{other}, not of --{mode}; leave it out")


# === --make ===


def _make(args: argparse.Namespace) -> int:
    if not getattr(args, "output", ""):
        raise UserError("--output is missing; give a new folder for the study")
    direction = getattr(args, "direction", "AtoB")
    if direction not in ("AtoB", "BtoA"):
        raise UserError(f"--direction={direction} is not one of AtoB, BtoA")
    if hasattr(args, "direction") and not getattr(args, "side_by_side", False):
        raise UserError("--direction is for --side_by_side; leave it out")
    models = _models(getattr(args, "model", []))
    given = {f.name: getattr(args, f.name) for f in FIELDS if hasattr(args, f.name)}
    settings = Settings(**given)

    from tfpix2pix.base.progress import line_of, say
    from tfpix2pix.study.making import make_study

    with line_of("writing pictures", "picture") as show:
        study = make_study(
            args.output,
            models,
            getattr(args, "real", None),
            settings,
            side_by_side=getattr(args, "side_by_side", False),
            direction=direction,
            progress=show,
            say=say,
        )
    per = "one of them" if settings.session == "one" and len(study.matchups) > 1 else "all of it"
    say(
        f"{shown(study.folder)}: {', '.join(study.names())}; each participant judges {per} in "
        f"{settings.practice} practice pairs, {settings.trials} trials and {settings.checks} checks"
    )
    say(f"run it: tfpix2pix study --serve={shown(study.folder)}")
    say(f"or put {shown(study.page)} on any server of files; keep key.json to yourself")
    return 0


def _models(given: list[str]) -> dict[str, str]:
    models: dict[str, str] = {}
    for text in given:
        name, colon, folder = text.partition(":")
        if not colon or not name or not folder:
            raise UserError(
                f"--model={shown(text)}: expected NAME:FOLDER, such as --model=paper:translated"
            )
        if name in models:
            raise UserError(f"--model={shown(name)} is named twice; give each its own name")
        models[name] = folder
    return models


# === --serve ===


def _serve(args: argparse.Namespace) -> int:
    from tfpix2pix.base import lock
    from tfpix2pix.base.progress import say
    from tfpix2pix.study.folder import open_study
    from tfpix2pix.study.results import Session
    from tfpix2pix.study.server import StudyServer

    study = open_study(args.serve, "--serve")
    host, port = getattr(args, "host", "127.0.0.1"), getattr(args, "port", 0)

    def tell(session: Session, count: int) -> None:
        say(f"{count:,} finished")

    with lock.held(study.folder, f"--serve={shown(study.folder)}", say):
        server = StudyServer(study, host, port, tell)
        say(f"the study is at {server.url} (Ctrl-C ends it)")
        if not server.is_local:
            say("note: whoever reaches this machine can take part")
        server.serve_until_stopped()
    say(f"results are in {shown(study.results)}")
    say(f"score them: tfpix2pix study --score={shown(study.folder)}")
    return 0


# === --score ===


def _score(args: argparse.Namespace) -> int:
    least = getattr(args, "min_checks", 0.75)
    if not 0 <= least <= 1:
        raise UserError(f"--min_checks={least}: expected a share from 0 to 1")

    from tfpix2pix.base.progress import say
    from tfpix2pix.cli.tables import print_table
    from tfpix2pix.study import report
    from tfpix2pix.study.folder import open_study
    from tfpix2pix.study.results import read_results
    from tfpix2pix.study.scoring import score

    study = open_study(args.score, "--score")
    found = score(study, read_results(study, getattr(args, "results", [])), least)
    if not any(found.shares):
        raise UserError(
            f"--min_checks={least:g} leaves no trial of {found.sessions:,} participants: they "
            "missed the checks, or saw pictures for too long; a lower one takes more in"
        )
    report.write_score(found)
    for text in report.lines(found):
        say(text)
    print_table(report.headings(found), report.rows(found))
    if found.gaps:
        print_table(report.GAP_HEADINGS, report.gap_rows(found))
    for note in report.notes(found):
        say(f"note: {note}")
    say(report.NOTE)
    if study.settings.ask == "fake":
        for table in report.paper()["tables"]:
            say(f"\nthe paper's {table['number']}, {table['title']}")
            print_table(("", *table["columns"]), report.paper_rows(table))
    say(f"page: {shown(Path(study.folder, report.PAGE))}")
    return 0
