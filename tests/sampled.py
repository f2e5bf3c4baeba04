"""Parameters of tests: of many alike a sample runs each time, the others with the slow tests."""

from typing import Any

import pytest


def slow(*values: object) -> list[Any]:
    """These values as parameters of slow tests; a tuple holds the values of several names."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
        for value in values
    ]
