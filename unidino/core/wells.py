"""Wells as they are written: A01 is row 1, column 1; AF48 is row 32, column 48."""


def row_letters(row: int) -> str:
    """Letters of a row from 1: A to Z, then AA."""
    return chr(64 + row) if row <= 26 else "A" + chr(64 + row - 26)


def row_number(letters: str) -> int:
    """Row from 1 of its letters: 1 for A, 27 for AA."""
    return ord(letters[-1]) - 64 + 26 * (len(letters) - 1)


def well_name(row: int, column: int) -> str:
    """A well by its row and column from 1, as A01."""
    return f"{row_letters(row)}{column:02d}"


def well_place(well: str) -> tuple[int, int]:
    """Row and column from 1 of a well such as A01."""
    letters = well.rstrip("0123456789")
    return row_number(letters), int(well[len(letters) :])
