"""What is taken of a stack is told apart from the names in its path."""

from hypothesis import given
from hypothesis import strategies as st

from unidino.lake.stacks import Stack, stack_of, stack_path

_names = st.text(
    st.one_of(st.sampled_from("#&=tz?1 max%'\"/"), st.characters(codec="utf-8")), min_size=1
)


@given(_names, st.none() | st.integers(0, 99), st.sampled_from([None, "max", "0", "12"]))
def test_any_path_and_choice_round_trip(group: str, timepoint: int | None, z: str | None) -> None:
    path = stack_path(group, timepoint, z)
    assert stack_of(path) == Stack(group, timepoint or 0, z or "max")


def test_paths_of_earlier_lakes() -> None:
    """They have a choice only where there is one."""
    assert stack_of("B/03/0") == Stack("B/03/0")
    assert stack_of("B/03/0#t=2&z=max") == Stack("B/03/0", 2, "max")
    assert stack_of("B/03/0#t=2") == Stack("B/03/0", 2)
    assert stack_of("/a#b/Plate #3.zarr/B/03/0#z=4") == Stack("/a#b/Plate #3.zarr/B/03/0", 0, "4")
    for path in ("/Plate #3.zarr/B/03/0", "/x#z=1/B/03/0", "0#t=1&z=2&t=3", "0#z=", "a#t=1\n"):
        assert stack_of(path) == Stack(path)
