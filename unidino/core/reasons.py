"""Reasons in words: why profiles are left out, and why a part of a task failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from unidino.core.errors import ProfileError
from unidino.core.log import log

_REASONS = {
    "constant_feature": "{n} plate-feature pair{s} had no spread and {were} set to 0",
    "unknown_feature": "{n} plate-feature pair{s} had no value to learn from and {stay} missing",
    "missing_as_mean": "{n} missing value{s} {count} as the mean of the wells that are learnt from",
    "control": "{n} negative control{s} {are} not scored (--include-controls)",
    "empty": "{n} empty well{s} {are} not scored",
    "no_label": "{n} profile{s} {have} no such label (ingest --metadata joins a table of labels)",
    "no_compound": "{n} well{s} {have} no compound",
    "nan_feature": "{n} profile{s} {have} missing features (--normalize ...,select=na)",
    "zero_vector": "{n} profile{s} {are} zero after normalization (one well a plate?"
    " --normalize none)",
    "missing_channel": "{n} well{s} {lack} a channel",
    "not_compared": "{n} well{s} {have} no such label in two batches, or {are} empty",
    "entity_of_mean_zero": "{n} {entities} {have} a mean of zero",
    "not_chosen": "{n} well{s} {are} left out by wells= of the normalization",
    "feature_na": "{n} feature{s} {have} too many missing values",
    "feature_variance": "{n} feature{s} {have} almost no variance",
    "feature_correlation": "{n} feature{s} {correlate} with other features",
    "feature_blocklist": "{n} feature{s} {are} on the blocklist",
}
_OF_ONE = {
    "s": "",
    "were": "was",
    "stay": "stays",
    "count": "counts",
    "are": "is",
    "have": "has",
    "lack": "lacks",
    "correlate": "correlates",
    "entities": "entity",
}
_OF_MANY = {word: word for word in _OF_ONE}


def reason_text(reason: str, count: int) -> str:
    """What was left out and why, with the count, in words."""
    words = _OF_ONE if count == 1 else _OF_MANY
    if reason.startswith("label_in_one_"):
        unit = reason.removeprefix("label_in_one_")
        text = f"{{n}} profile{{s}} {{have}} a label that only one {unit} has"
    else:
        text = _REASONS.get(reason, "{n} " + reason.replace("_", " "))
    return text.format(n=count, **words)


class WhyNot:
    """Collects the errors of the parts of a task, so that the other parts continue."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @contextmanager
    def collecting(self, what: str) -> Iterator[None]:
        """Keep a ProfileError of the block as the line `what: message` instead of raising it."""
        try:
            yield
        except ProfileError as error:
            self._lines.append(f"{what}: {error}")

    def settle(self, *, anything_done: bool, nothing: str) -> None:
        """Warn of each error once; if nothing was done, raise ProfileError with the first error.

        nothing: the message if nothing was done and no error was collected.
        """
        if not anything_done:
            raise ProfileError(self._lines[0] if self._lines else nothing)
        for line in dict.fromkeys(self._lines):
            log.warning(line)
