"""Reasons in words: why profiles are left out, and why a part of a task failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from unidino.core.errors import ProfileError
from unidino.core.log import log

_REASONS = {
    "constant_feature": "{} plate-feature pairs had no spread and were set to 0",
    "unknown_feature": "{} plate-feature pairs had no value to learn from and stay missing",
    "missing_as_mean": "{} missing values count as the mean of the wells that are learnt from",
    "control": "{} negative controls are not scored (--include-controls)",
    "empty": "{} empty wells are not scored",
    "no_label": "{} profiles have no such label (ingest --metadata joins a table of labels)",
    "no_compound": "{} wells have no compound",
    "nan_feature": "{} profiles have missing features (--normalize ...,select=na)",
    "zero_vector": "{} profiles are zero after normalization (one well a plate? --normalize none)",
    "missing_channel": "{} wells lack a channel",
    "not_compared": "{} wells have no such label in two batches, or are empty",
    "entity_of_mean_zero": "{} entities have a mean of zero",
    "not_chosen": "{} wells are left out by wells= of the normalization",
    "feature_na": "{} features have too many missing values",
    "feature_variance": "{} features have almost no variance",
    "feature_correlation": "{} features correlate with other features",
    "feature_blocklist": "{} features are on the blocklist",
}


def reason_text(reason: str, count: int) -> str:
    """What was left out and why, with the count, in words."""
    if reason.startswith("label_in_one_"):
        unit = reason.removeprefix("label_in_one_")
        return f"{count} profiles have a label that only one {unit} has"
    return _REASONS.get(reason, "{} " + reason.replace("_", " ")).format(count)


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
