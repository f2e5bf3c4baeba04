"""Messages about images: of many images with the same message, their number and the first."""

from pathlib import Path

from unidino.core.log import log


class Notes:
    """What a reader left out or did not understand; each message is logged once."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, message: str, place: Path | str) -> None:
        """Note a message about a file or folder."""
        self._places.setdefault(message, []).append(str(place))

    def log(self) -> None:
        """Log every message with the first place that it is about, and the number of the others."""
        for message, places in self._places.items():
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            log.warning(f"{message}: '{places[0]}'{more}")


def reason(error: Exception) -> str:
    """What an error of a library says, in one line."""
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}" + (f": '{error.filename}'" if error.filename else "")
    return " ".join(str(error).split()) or type(error).__name__
