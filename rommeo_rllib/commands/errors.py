"""Errors that a person at the command line is to read."""


class CommandError(Exception):
    """A failure that is told in one line; the command ends with exit status 1.

    Args:
        message: what happened, and what to do.
    """


class UsageError(CommandError):
    """The command was called wrongly; it ends with exit status 2."""
