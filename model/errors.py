"""The one exception for what a user can put right: shown as one line, without a traceback."""


class UserError(Exception):
    """A mistake in the input or the settings, told in one line.

    The message names what was wrong and what is allowed; the command line prints it
    and ends with exit code 2.

    Example:
        >>> raise UserError("--rate is 0: a number of rows a second above 0 is allowed")
        Traceback (most recent call last):
        ...
        model.errors.UserError: --rate is 0: a number of rows a second above 0 is allowed
    """


class FitFailed(Exception):
    """An estimator could not be fitted to a window: what it raised, with its type, in a line."""
