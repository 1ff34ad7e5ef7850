"""Every error this project raises on purpose.

::

    MleeError                       message + hint; exit code 1
      ConfigError                   an option or argument is wrong; exit code 2
      SensorError                   a sensor failed while reading
        SensorUnavailable           a sensor cannot be used on this machine
      BackendError                  a model could not be built, loaded or run
        BackendUnavailable          the framework of a backend is not installed
      DataError                     images, labels or a data set are missing or damaged
      MeasurementError              readings cannot be turned into an energy
      RatingError                   results cannot be rated
      ResultError                   a folder or file of results is missing, incomplete or damaged
        UnsupportedVersion          a file comes from a newer version of this project

A message says what is wrong, with the value and where; the hint says what to do about it.
"""


class MleeError(Exception):
    """Base of all expected errors: a message for people and a hint that says what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        """Store the message and the hint."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message, followed by the hint where there is one."""
        return f"{self.message} Hint: {self.hint}" if self.hint else self.message


class ConfigError(MleeError):
    """An option or argument has a value that cannot work."""

    exit_code = 2


class SensorError(MleeError):
    """A sensor failed while it was read."""


class SensorUnavailable(SensorError):
    """A sensor cannot be used on this machine; the hint names the mend."""


class BackendError(MleeError):
    """A model could not be built, loaded or run."""


class BackendUnavailable(BackendError):
    """The framework of a backend is not installed."""


class DataError(MleeError):
    """Images, labels or a data set are missing or damaged."""


class MeasurementError(MleeError):
    """Readings cannot be turned into an energy."""


class RatingError(MleeError):
    """Results cannot be rated."""


class ResultError(MleeError):
    """A folder or file of results is missing, incomplete or damaged."""


class UnsupportedVersion(ResultError):
    """A file was written by a newer version of this project."""
