"""Errors that a user can fix: one line with the problem, the value and the next step."""


class UnidinoError(Exception):
    """An error that the user can fix; the command line prints it and exits with status 1.

    details: more lines, such as every invalid row; the command line prints them first.
    """

    def __init__(self, message: str, details: "tuple[str, ...] | list[str]" = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class LakeError(UnidinoError):
    """The lake, its catalog or one of its files is missing, damaged or in use."""


class InputError(UnidinoError):
    """Images, tables, metadata or options that the user gave are invalid."""


class ModelError(UnidinoError):
    """A model is unknown, incomplete or unsuitable for the task."""


class ProfileError(UnidinoError):
    """Profiles are missing, or cannot be normalized or scored with these options."""


def choose(what: str, value: str, allowed: "list[str] | tuple[str, ...]") -> str:
    """The value, if it is allowed.

    Raises UnidinoError with the value and the allowed values, if it is not.
    """
    if value not in allowed:
        listed = ", ".join(allowed) if allowed else "(there is none yet)"
        raise UnidinoError(f"unknown {what} '{value}'; choose one of {listed}")
    return value
