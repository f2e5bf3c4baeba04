"""CellVoyager (Yokogawa) measurements: MeasurementData.mlf and the files beside it."""

import re
from pathlib import Path, PureWindowsPath
from typing import Any

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.plates.layouts.entries import NUM_COLUMNS, NUM_ROWS, Entry, Row, from_places, unplaced
from unidino.plates.layouts.pixel_size import square
from unidino.plates.layouts.walk import walk_files
from unidino.plates.layouts.xml import attributes, read_xml
from unidino.plates.tables import text_table

_AXES = ("Horizontal", "Vertical")
_DATA, _DETAIL = "MeasurementData.mlf", "MeasurementDetail.mrf"


def scan(path: Path) -> pa.Table:
    """A row of text columns for each plane that a MeasurementData.mlf under a folder lists.

    MeasurementDetail.mrf gives pixel sizes (um). The setting file that it names gives the channels:
    fluorophore or filter, excitation and emission (nm). The plate is the folder. What is damaged
    has its problem in a row.
    Raises InputError if there is no measurement.
    """
    files = [path] if path.is_file() else walk_files(path)
    named = [file for file in files if file.name == _DATA]
    measurements = named or [file for file in files if file.suffix.lower() == ".mlf"]
    if not measurements:
        raise InputError(f"no {_DATA} under '{path}'; layout cellvoyager reads its folder")
    parts = []
    for measurement in measurements:
        try:
            rows = _read_measurement(measurement)
        except InputError as error:
            rows = [unplaced(str(error))]
        if not rows:
            log.warning(f"'{measurement}' lists no image")
        parts.append((measurement, rows))
    if not any(rows for _, rows in parts):
        raise InputError(f"'{measurements[0]}' lists no image")
    return text_table(from_places(parts))


def _read_measurement(data: Path) -> list[Row]:
    records = read_xml(data, "CellVoyager measurement").iterfind("{*}MeasurementRecord")
    folder = data.parent.resolve()
    size, channels, problems = _about(folder)
    rows, num_errors = [], 0
    for record in records:
        about = attributes(record)
        if about.get("Type") != "IMG":
            num_errors += 1
            continue
        entry = Entry(f"'{data}' has a record", about | {"file": record.text})
        well = entry.well("Row", "Column")
        field = entry.whole("FieldIndex", needed=True)
        channel = entry.whole("Ch", needed=True)
        file = entry.text("file")
        if file is None:
            entry.complain("without a file")
        row: Row = {
            "path": str(folder / PureWindowsPath(file).as_posix()) if file else None,
            "plate": folder.name,
            "num_rows": size.get("RowCount"),
            "num_columns": size.get("ColumnCount"),
            "well": well,
            "field": field,
            "channel": None,
            "channel_index": channel,
            "z": entry.whole("ZIndex"),
            "timepoint": entry.whole("TimePoint"),
            "position_x_um": entry.number("X"),
            "position_y_um": entry.number("Y"),
        }
        rows.append(entry.row(row | channels.get(channel or "", {})))
    if num_errors:
        log.warning(f"'{data}': {num_errors} records have no image (the instrument noted errors)")
    return rows + [unplaced(problem) for problem in problems] if rows else []


def _about(folder: Path) -> tuple[Row, dict[str, Row], list[str]]:
    """Size of the plate, channels by their number, and what is wrong with the files about them.

    Without these files images have neither channel names nor sizes, which is said.
    """
    file = folder / _DETAIL
    if not file.is_file():
        log.warning(f"no '{file}': its channels have no names and no pixel size")
        return {}, {}, []
    try:
        detail = read_xml(file, "CellVoyager measurement detail")
    except InputError as error:
        return {}, {}, [str(error)]
    about = attributes(detail)
    plate = Entry(f"'{file}' has a plate", about)
    size = {
        "RowCount": plate.side("RowCount", NUM_ROWS),
        "ColumnCount": plate.side("ColumnCount", NUM_COLUMNS),
    }
    problems = [plate.problem({})]
    channels: dict[str, Row] = {}
    for element in detail.iterfind("{*}MeasurementChannel"):
        entry = Entry(f"'{file}' has a channel", attributes(element))
        if number := entry.whole("Ch", needed=True):
            width, height = (entry.number(f"{axis}PixelDimension") for axis in _AXES)
            place = f"{file}, channel {number}"
            channels[number] = {"pixel_size_um": square(width, height, place)}
        problems.append(entry.problem({"channel_index": number}))
    problems += _add_settings(channels, folder, about.get("MeasurementSettingFileName"))
    return size, channels, [problem for problem in problems if problem]


def _add_settings(channels: dict[str, Row], folder: Path, name: str | None) -> list[str | None]:
    """Add names and wavelengths of channels from the setting file; returns what is wrong with it.

    name: of the setting file.
    """
    file = folder / (name or "")
    if not name or not file.is_file():
        missing = (
            f"the setting file '{file}' that it names is not there" if name else "it names none"
        )
        log.warning(f"'{folder / _DETAIL}': {missing}: its channels have no names")
        return []
    try:
        root = read_xml(file, "CellVoyager measurement setting")
    except InputError as error:
        return [str(error)]
    problems = []
    for element in root.iterfind("{*}ChannelList/{*}Channel"):
        entry = Entry(f"'{file}' has a channel", attributes(element))
        if number := entry.whole("Ch", needed=True):
            channels.setdefault(number, {}).update(_settings(element, entry))
        problems.append(entry.problem({}))
    return problems


def _settings(element: Any, entry: Entry) -> Row:
    light = element.findtext("{*}LightSourceName") or ""
    acquisition = entry.text("Acquisition")
    return {
        "channel": entry.text("Fluorophore") or acquisition,
        "excitation_nm": _number(r"(\d+)nm", light),
        "emission_nm": _number(r"BP(\d+)", acquisition or ""),
    }


def _number(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match else None
