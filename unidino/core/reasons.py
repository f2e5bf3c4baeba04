"""Why something was left out or could not be done, in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from unidino.core.errors import ProfileError
from unidino.core.log import log

_REASONS = {
    "constant_feature": "{} plate-feature pairs had no spread and were set to 0",
    "control": "{} negative controls are not scored (--include-controls)",
    "empty": "{} empty wells are not scored",
    "no_label": "{} have no such label (it may come by --metadata)",
    "no_compound": "{} wells have no compound",
    "nan_feature": "{} have missing features (--normalize ...,select=na)",
    "zero_vector": "{} are zero after normalization (alone on their plate? --normalize none)",
    "missing_channel": "{} wells lack a channel",
    "not_chosen": "{} wells are not among those that count",
    "feature_na": "{} features are missing too often",
    "feature_variance": "{} features hardly vary",
    "feature_correlation": "{} features repeat others",
    "feature_blocklist": "{} features are on the blocklist",
}


def reason_text(reason: str, count: int) -> str:
    """What was left out and why, in words."""
    if reason.startswith("label_in_one_"):
        return f"{count} have a label that only one {reason.removeprefix('label_in_one_')} has"
    return _REASONS.get(reason, "{} " + reason.replace("_", " ")).format(count)


class WhyNot:
    """Collects why parts of a task could not be done, while the others go on."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @contextmanager
    def collecting(self, what: str) -> Iterator[None]:
        """Keep a ProfileError of the block, as `what: its message`, instead of raising it."""
        try:
            yield
        except ProfileError as error:
            self._lines.append(f"{what}: {error}")

    def settle(self, *, anything_done: bool, nothing: str) -> None:
        """Warn of each reason once; if nothing was done raise ProfileError with the first.

        nothing: the message if nothing was done and there is no reason either.
        """
        if not anything_done:
            raise ProfileError(self._lines[0] if self._lines else nothing)
        for line in dict.fromkeys(self._lines):
            log.warning(line)
