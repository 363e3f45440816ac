"""What can go wrong through no fault of the code: each message says what, where and the mend."""


class WbcError(Exception):
    """Base of the errors that a command reports in one paragraph, without a traceback."""


class DataError(WbcError):
    """The images or their labels cannot be used as they are."""


class ConfigError(WbcError):
    """A setting is unknown, contradictory or out of range."""


class CheckpointError(WbcError):
    """A file of weights, a model or a run is missing, foreign or does not fit."""
