"""The account of a command: what it understood of its input, in a few lines."""

from collections.abc import Iterable, Sequence

from unidino.core.log import log

_SHOWN = 6


class Account:
    """Lines for people, each under a topic, in the order in which they were said.

    >>> account = Account()
    >>> account.say("channels", "0 DNA, 1 Actin")
    >>> print(account)
    channels: 0 DNA, 1 Actin
    """

    def __init__(self) -> None:
        self._lines: list[tuple[str, str]] = []
        self._told: set[tuple[str, str]] = set()

    def say(self, topic: str, text: str) -> None:
        """Add a line, unless it is there already."""
        if (topic, text) not in self._lines:
            self._lines.append((topic, text))

    def warn(self, topic: str, text: str) -> None:
        """Add a line that is logged at once, as a warning."""
        self.say(topic, text)
        self._told.add((topic, text))
        log.warning(f"{topic}: {text}")

    def tell(self) -> None:
        """Log the lines that were not logged yet."""
        for line in self._lines:
            if line not in self._told:
                log.info(": ".join(line))
                self._told.add(line)

    def __str__(self) -> str:
        return "\n".join(f"{topic}: {text}" for topic, text in self._lines)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def as_json(self) -> dict[str, list[str]]:
        """The texts of each topic."""
        texts: dict[str, list[str]] = {}
        for topic, text in self._lines:
            texts.setdefault(topic, []).append(text)
        return texts


def listed(names: Iterable[object], shown: int = _SHOWN) -> str:
    """Names separated by commas, of which only the first are shown."""
    texts: Sequence[str] = [str(name) for name in names]
    more = len(texts) - shown
    return ", ".join(texts[:shown]) + (f" and {more} more" if more > 0 else "")


def ends_of(names: Sequence[str], shown: int = 3) -> str:
    """The first and the last names, separated by commas."""
    if len(names) <= 2 * shown:
        return ", ".join(names)
    return f"{', '.join(names[:shown])}, ..., {', '.join(names[-shown:])}"


def number_of(num: int, noun: str) -> str:
    """A number of things: 1 well, 2 wells."""
    return f"{num} {noun}" if num == 1 else f"{num} {noun}s"
