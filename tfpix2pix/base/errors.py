"""Errors that are the user's to mend: one clear sentence each, no traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something the user named cannot be used as it is.

    The message is complete as it stands: it names the file or flag, what was
    found, what was expected and what to do. The command line prints it and
    exits with code 2; from Python it is an ordinary exception.
    """


class DataError(UserError):
    """A data set, or a file of it, cannot be used."""


class TrainingDiverged(Exception):
    """Losses or weights became NaN or infinite; the message says what is left and what to do."""
