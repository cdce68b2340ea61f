"""``tfpix2pix demo``: a page to draw on, with networks that run in the browser."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tfpix2pix.base.errors import UserError
from tfpix2pix.base.files import check_writable, shown
from tfpix2pix.base.size import Size
from tfpix2pix.cli.flags import METAVARS, Parser, add_boolean, add_draw, add_limit, number

if TYPE_CHECKING:
    from tfpix2pix.base.serving import FileServer
    from tfpix2pix.demo.models import PageModel
    from tfpix2pix.gallery.making import Gallery

USAGE = "tfpix2pix demo --workdir=RUN|--model=EXPORT [--workdir=...] [--model=...] [--flag=value]"
DESCRIPTION = """\
Opens a page to draw on, on this machine: the picture changes as you draw. The networks run in the
browser, and nothing that is drawn leaves it. Ctrl-C ends it.

Of runs a gallery stands beside it: the pairs of their val split, input, every run's output and
target side by side with their scores, in the order of any score. It is made meanwhile and kept in
RUN/gallery, so that the next start has it at once.

The same page as a folder of files, for any server of files or a USB stick:
`tfpix2pix export --formats=web`."""


def add_flags(parser: Parser) -> None:
    group = parser.add_argument_group("What to draw with (at least one)")
    group.add_argument(
        "--workdir",
        action="append",
        default=[],
        metavar="RUN",
        help="a run; it is exported to ONNX first, once for each checkpoint, into RUN/demo; may be "
        "given several times",
    )
    group.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="EXPORT",
        help="the folder of an export with ONNX files, of which the most precise is taken, or one "
        "of these files; may be given several times",
    )
    group.add_argument(
        "--direction",
        default="",
        metavar="AtoB|BtoA",
        help="of what was learned both ways: one of them alone [both]",
    )
    group = parser.add_argument_group("What is on the page")
    group.add_argument(
        "--examples",
        type=number(int),
        default=0,
        metavar="INT",
        help="how many inputs of each run's own val split can be opened on the page; without them "
        "examples are drawn [0]",
    )
    add_draw(group)
    group.add_argument(
        "--dataset",
        default="",
        metavar="FOLDER",
        help="where the run's data set is now, if it was moved",
    )
    group = parser.add_argument_group("The gallery of the runs")
    add_boolean(
        group,
        "gallery",
        "show the runs' pairs with scores, for which all runs must have one data set and size "
        "[true where they have]",
        default=None,
    )
    group.add_argument(
        "--split",
        default="",
        metavar="train|val|test",
        help="which pairs [val; where there are none test, or train]",
    )
    add_limit(group)
    group.add_argument(
        "--size",
        type=number(Size),
        default=0,
        metavar=METAVARS[Size],
        help="to which all pictures are resized: a side, or HEIGHTxWIDTH, pixels [the runs' size]",
    )
    group.add_argument(
        "--scorer",
        default="",
        metavar="FOLDER",
        help="what `tfpix2pix train-scorer` made, for the FCN-score of every picture",
    )
    group.add_argument(
        "--gallery_output",
        default="",
        metavar="FOLDER",
        help="write the gallery there too, as files for any server or none",
    )
    group = parser.add_argument_group("Where")
    group.add_argument(
        "--port", type=number(int), default=0, metavar="INT", help="to listen on [a free one]"
    )
    group.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="to listen on; 0.0.0.0 lets other machines of the network in, whose browsers then use "
        "one thread and no graphics processor, as they do without https [127.0.0.1, this machine "
        "alone]",
    )


def main(args: argparse.Namespace) -> int:
    _check(args)
    from tfpix2pix.base.progress import say
    from tfpix2pix.base.quiet import import_tensorflow
    from tfpix2pix.demo.page import page_files
    from tfpix2pix.demo.server import serve

    galleries = _galleries(args)
    with ExitStack() as stack:
        # The port is taken before anything that takes long.
        server = stack.enter_context(serve({}, args.host, args.port))
        import_tensorflow()
        models = _models(args, stack)
        server.offer(page_files(models, bool(galleries)))
        for model in models:
            say(f"{model.title}: {model.summary()}")
        say(f"the page is at {server.url} (Ctrl-C ends it)")
        if not server.is_local:
            say("note: whoever reaches this machine can open it")
        if galleries:
            server.serve_until_stopped(lambda: _show(galleries, args, server))
        else:
            server.serve_until_stopped()
    return 0


def _asked(args: argparse.Namespace) -> list[str]:
    """The flags by which somebody asked for a gallery."""
    names = ("gallery", "split", "limit", "size", "scorer", "gallery_output")
    return [name for name in names if getattr(args, name)]


def _galleries(args: argparse.Namespace) -> list[Gallery]:
    """Of the runs, not made yet; none where none is wanted, or none can be had and none was asked
    for."""
    if args.gallery is False or not args.workdir:
        return []
    from tfpix2pix.base.progress import say
    from tfpix2pix.gallery.making import How, open_galleries

    how = How(args.split, args.size, args.limit, direction=args.direction, dataset=args.dataset)
    if args.gallery_output:
        check_writable(Path(args.gallery_output).expanduser(), "--gallery_output")
    try:
        return open_galleries(args.workdir, how, args.scorer)
    except UserError as error:
        if _asked(args):
            raise
        say(f"note: no gallery, for {error}")
        return []


def _show(galleries: list[Gallery], args: argparse.Namespace, server: FileServer) -> None:
    """Makes the galleries while the page to draw on is served."""
    from tfpix2pix.base.progress import say
    from tfpix2pix.base.serving import INDEX
    from tfpix2pix.gallery.making import render_waiting

    def tell(text: str, again: bool = True) -> None:
        server.offer({gallery.page: render_waiting(text, again) for gallery in galleries})

    def make(gallery: Gallery, scratch: str, before: int) -> None:
        gallery.make(
            Path(scratch),
            lambda done: tell(
                f"The gallery is being made: picture {before + done:,} of {count:,}."
            ),
        )

    count = sum(gallery.count for gallery in galleries)
    tell("The gallery is being made.")
    with tempfile.TemporaryDirectory() as scratch:
        before = 0
        try:
            for gallery in galleries:
                make(gallery, scratch, before)
                before += gallery.count
        except (UserError, OSError) as error:  # such as a full disk: one can draw all the same
            if _asked(args):
                raise
            tell(f"There is no gallery: {error}.", again=False)
            say(f"note: no gallery, for {error}")
            server.wait()
            return
        for gallery in galleries:
            if args.gallery_output:
                say(f"wrote {gallery.write(args.gallery_output)}")
            server.offer(gallery.files(back=INDEX))
        say(f"the gallery is at {server.url}{galleries[0].page}")
        server.wait()  # pictures may be in the folder that goes


def _check(args: argparse.Namespace) -> None:
    """Refuses at once what would fail after seconds or minutes."""
    if not args.workdir and not args.model:
        raise UserError("name what to draw with: --workdir=RUN, or --model=EXPORT")
    for name in _asked(args):
        if not args.workdir:
            raise UserError(f"--{name} is for the gallery of runs; name one with --workdir")
        if args.gallery is False:
            raise UserError(f"--{name} and --nogallery exclude each other; drop one of them")
    if args.direction not in ("", "AtoB", "BtoA"):
        raise UserError(f"--direction={args.direction} is not one of AtoB, BtoA")
    from tfpix2pix.demo.kinds import DRAWS
    from tfpix2pix.demo.runtime import runtime_files
    from tfpix2pix.export.exporter import MOST_EXAMPLES
    from tfpix2pix.export.web.models import check_named
    from tfpix2pix.export.web.runs import check_run

    if not 0 <= args.examples <= MOST_EXAMPLES:
        raise UserError(f"--examples={args.examples}: expected 0 to {MOST_EXAMPLES}")
    if args.draw not in DRAWS:
        raise UserError(f"--draw={args.draw} is not one of {', '.join(DRAWS)}")
    for flag in ("workdir", "model"):
        named = getattr(args, flag)
        for name in named:
            if named.count(name) > 1:
                raise UserError(f"--{flag}={shown(name)} was given twice; leave one out")
    for workdir in args.workdir:
        check_run(workdir)
    for model in args.model:
        check_named(model)
    runtime_files()


def _models(args: argparse.Namespace, stack: ExitStack) -> list[PageModel]:
    from tfpix2pix.export.web.models import models_of, with_names
    from tfpix2pix.export.web.runs import exported

    found = []
    for workdir in args.workdir:
        folder = stack.enter_context(exported(workdir, args.dataset))
        what = f"--workdir={shown(workdir)}"
        found += models_of(folder, args.direction, args.examples, args.dataset, what, args.draw)
    for model in args.model:
        found += models_of(model, args.direction, args.examples, args.dataset, draw=args.draw)
    return with_names(found)
