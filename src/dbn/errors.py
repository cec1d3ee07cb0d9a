"""Errors that the user can correct: each message names the key or file, the value, the reason and what to do.

The command line prints them without a traceback and exits with status 2 (:mod:`dbn.commands.command`).
"""


class UserError(Exception):
    """Base of the errors that the user can correct."""


class SettingError(UserError, ValueError):
    """A setting has an invalid value."""


class DataError(UserError, ValueError):
    """A data set is missing, damaged, or unsuitable for the requested task."""


class ModelFileError(UserError, ValueError):
    """A model file cannot be read."""


class RunConflictError(UserError, RuntimeError):
    """A run's directory already belongs to another configuration, or the first process refuses to work in it."""


class TrackingError(UserError, RuntimeError):
    """Weights & Biases cannot be used as configured."""


class DivergenceError(UserError, ArithmeticError):
    """Parameters became infinite or NaN during training."""


class WorkerError(UserError, RuntimeError):
    """A process that ran a job of a multirun ended in the middle of it, killed or out of memory."""
