"""Where no bar is drawn, lines say how far a long command is."""

import logging

import pytest

from unidino.core import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_tell_the_rate_and_the_time_left(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "unidino"),
        progress.progress_bar("embed", 7200, "crops") as on,
    ):
        for _ in range(7):
            clock[0] += 10
            on(100)
    assert caplog.messages == [
        "embed: 300 of 7,200 crops, 10.0 crops/s, 12 min left",
        "embed: 600 of 7,200 crops, 10.0 crops/s, 11 min left",
    ]


def test_a_quick_or_quiet_command_says_nothing(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for quiet in (False, True):
        with (
            caplog.at_level(logging.INFO, "unidino"),
            progress.progress_bar("embed", 10, "crops", quiet=quiet) as on,
        ):
            clock[0] += 100 if quiet else 20
            on(10)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 s"), (720, "12 min"), (3 * 3600 + 300, "3 h 5 min")]
)
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert progress._duration(seconds) == words
