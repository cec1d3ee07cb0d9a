"""Errors that a person can mend: each message names the key or file, the value, the reason and what to do.

The command line prints them without a traceback and exits with status 2 (:mod:`dbn.commands.command`).
"""


class UserError(Exception):
    """Something that the person who runs the package can put right."""


class SettingError(UserError, ValueError):
    """A setting has a value that cannot be used."""


class DataError(UserError, ValueError):
    """A data set is missing, damaged, or not usable for what was asked."""


class ModelFileError(UserError, ValueError):
    """A DBN file cannot be read as one."""


class RunConflictError(UserError, RuntimeError):
    """A run's directory already belongs to another configuration, or another process is at work in it."""


class TrackingError(UserError, RuntimeError):
    """Weights & Biases cannot be used as asked for."""


class DivergenceError(UserError, ArithmeticError):
    """Training met a value that is not finite."""
