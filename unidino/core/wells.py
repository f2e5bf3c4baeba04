"""Names of wells and their rows and columns: A01 is row 1, column 1; AF48 is row 32, column 48."""

_LAST_LETTERS = 52  # row AZ


def row_letters(row: int) -> str:
    """Letters of a row, counted from 1: A to Z, then AA to AF."""
    return chr(64 + row) if row <= 26 else "A" + chr(64 + row - 26)


def row_number(letters: str) -> int:
    """Number of a row, counted from 1: 1 for A, 27 for AA."""
    return ord(letters[-1]) - 64 + 26 * (len(letters) - 1)


def well_name(row: int, column: int) -> str:
    """Name of the well at a row and column, both counted from 1: A01 for 1, 1.

    A place that no row has letters for is text that is no name of a well, and so is refused later.
    """
    if not (1 <= row <= _LAST_LETTERS and column >= 1):
        return f"row {row}, column {column}"
    return f"{row_letters(row)}{column:02d}"


def well_place(well: str) -> tuple[int, int]:
    """Row and column of a well, both counted from 1: (1, 1) for A01."""
    letters = well.rstrip("0123456789")
    return row_number(letters), int(well[len(letters) :])
