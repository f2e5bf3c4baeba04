"""Errors a user can mend: one line that names what is wrong, the value, and the next step."""


class UnidinoError(Exception):
    """Anything the user can mend; the command line prints it and exits 1.

    details: lines that tell more, such as every row that is wrong; they are printed first.
    """

    def __init__(self, message: str, details: "tuple[str, ...] | list[str]" = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class LakeError(UnidinoError):
    """The lake, its catalog or one of its files is not as it must be."""


class InputError(UnidinoError):
    """Images, tables or metadata given by the user are not as they must be."""


class ModelError(UnidinoError):
    """A model is unknown, incomplete or does not fit what it is asked to do."""


class ProfileError(UnidinoError):
    """Profiles are missing, or cannot be normalized or scored as asked."""


def choose(what: str, value: str, allowed: "list[str] | tuple[str, ...]") -> str:
    """The value, if it is one of those allowed.

    Raises UnidinoError that names the value and lists the choices.
    """
    if value not in allowed:
        listed = ", ".join(allowed) if allowed else "(there is none yet)"
        raise UnidinoError(f"unknown {what} '{value}'; choose one of {listed}")
    return value
