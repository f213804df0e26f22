"""The one exception for what a user can put right: shown as one line, without a traceback."""


class UserError(Exception):
    """A mistake in the input or the settings, described in one line.

    The message names what was wrong and what to do; the command line prints it
    and ends with exit code 2.

    Example:
        >>> raise UserError("--rate 0: must be above 0 rows a second")
        Traceback (most recent call last):
        ...
        model.errors.UserError: --rate 0: must be above 0 rows a second
    """


class FitFailed(Exception):
    """An estimator could not be fitted to a window: what it raised, with its type, in a line."""


class OneClass(FitFailed):
    """The labelled rows of a window are all of one class: there is nothing to tell apart."""
