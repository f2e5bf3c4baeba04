"""Viewers show a stain in the colour that it has in papers, whatever its place."""

import pytest

from unidino.lake.ngff import channel_colours

BLUE, GREEN, RED, YELLOW, MAGENTA = "0000FF", "00FF00", "FF0000", "FFFF00", "FF00FF"


@pytest.mark.parametrize(
    ("channels", "colours"),
    [
        (["Tubulin", "Actin", "DNA"], [GREEN, RED, BLUE]),
        (["Mito", "AGP", "RNA", "ER", "DNA"], [RED, YELLOW, MAGENTA, GREEN, BLUE]),
        (["Hoechst 33342", "Alexa 488"], [BLUE, GREEN]),
        (["ch1", "ch2", "ch3"], [BLUE, GREEN, RED]),
        (["DAPI", "DNA"], [BLUE, GREEN]),  # the second gets a free one
        (["Hermes", "DNA"], [GREEN, BLUE]),  # ER is a word, not a part of one
    ],
)
def test_colours_go_by_stain(channels: list[str], colours: list[str]) -> None:
    assert channel_colours(channels) == colours


def test_no_channel_is_without_a_colour() -> None:
    assert all(channel_colours([f"c{i}" for i in range(20)]))
