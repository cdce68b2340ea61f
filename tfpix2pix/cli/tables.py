"""Tables on the terminal, and plain columns anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows of texts below their headings; all columns but the first are aligned right,
    and the last one left where it holds words."""
    from rich.console import Console

    wordy = [not any(c.isdigit() for row in rows for c in row[i]) for i in range(len(headings))]
    wordy[0] = True
    console = Console(file=sys.stdout, highlight=False)
    lines = [tuple(headings), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    if console.is_terminal:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for heading, is_words in zip(headings, wordy, strict=True):
            table.add_column(heading, justify="left" if is_words else "right", no_wrap=True)
        for row in rows:
            table.add_row(*map(Text, row))
        # On a narrow terminal lines go on in the next one, and no cell is cut.
        console.width = max(console.width, sum(widths) + 2 * len(widths))
        console.print(table)
        return
    for line in lines:
        cells = [
            cell.ljust(width) if is_words else cell.rjust(width)
            for cell, width, is_words in zip(line, widths, wordy, strict=True)
        ]
        print("  ".join(cells).rstrip())
    sys.stdout.flush()
