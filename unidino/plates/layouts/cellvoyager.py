"""CellVoyager (Yokogawa) measurements: MeasurementData.mlf and the files beside it."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.wells import well_name
from unidino.plates.layouts.xml import attributes, read_xml
from unidino.plates.tables import text_table

_DATA, _DETAIL = "MeasurementData.mlf", "MeasurementDetail.mrf"


def scan(path: Path) -> pa.Table:
    """A row of text columns for each plane that a MeasurementData.mlf under a folder lists.

    MeasurementDetail.mrf gives pixel sizes (um). The setting file that it names gives the channels:
    fluorophore or filter, excitation and emission (nm). The plate is the folder.
    Raises InputError if there is no measurement, or if one is damaged.
    """
    measurements = sorted(path.rglob(_DATA))
    if not measurements:
        raise InputError(f"no {_DATA} under '{path}'; layout cellvoyager reads its folder")
    rows = [row for measurement in measurements for row in _read_measurement(measurement)]
    if not rows:
        raise InputError(f"'{measurements[0]}' lists no image")
    return text_table(rows)


def _read_measurement(data: Path) -> list[dict[str, str | None]]:
    folder = data.parent.resolve()
    detail = folder / _DETAIL
    about_all = read_xml(detail, "CellVoyager measurement detail") if detail.is_file() else None
    channels = {} if about_all is None else _channels(folder, about_all)
    size = {} if about_all is None else attributes(about_all)
    records = read_xml(data, "CellVoyager measurement").iterfind("{*}MeasurementRecord")
    rows, num_errors = [], 0
    for record in records:
        about = attributes(record)
        if about.get("Type") != "IMG" or not record.text:
            num_errors += 1
            continue
        try:
            well = well_name(int(about["Row"]), int(about["Column"]))
            row = {
                "path": str(folder / record.text),
                "plate": folder.name,
                "num_rows": size.get("RowCount"),
                "num_columns": size.get("ColumnCount"),
                "well": well,
                "field": about["FieldIndex"],
                "channel": None,
                "channel_index": about["Ch"],
                "z": about.get("ZIndex"),
                "timepoint": about.get("TimePoint"),
                "position_x_um": about.get("X"),
                "position_y_um": about.get("Y"),
            }
        except KeyError as error:
            raise InputError(f"'{data}' has a record without {error.args[0]}") from error
        rows.append(row | channels.get(about["Ch"], {}))
    if num_errors:
        log.warning(f"'{data}': {num_errors} records have no image (the instrument noted errors)")
    return rows


def _channels(folder: Path, detail: Any) -> dict[str, dict[str, str | None]]:
    """Pixel size, name and wavelengths of each channel, by its number, from the files beside it."""
    channels: dict[str, dict[str, str | None]] = {}
    for element in detail.iterfind("{*}MeasurementChannel"):
        about = attributes(element)
        channels[about["Ch"]] = {"pixel_size_um": about.get("HorizontalPixelDimension")}
    settings = folder / attributes(detail).get("MeasurementSettingFileName", "")
    if settings.is_file():
        root = read_xml(settings, "CellVoyager measurement setting")
        for element in root.iterfind("{*}ChannelList/{*}Channel"):
            about = attributes(element)
            light = element.findtext("{*}LightSourceName") or ""
            channels.setdefault(about["Ch"], {}).update(
                channel=about.get("Fluorophore") or about.get("Acquisition") or None,
                excitation_nm=_number(r"(\d+)nm", light),
                emission_nm=_number(r"BP(\d+)", about.get("Acquisition", "")),
            )
    return channels


def _number(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match else None
