"""Small exports of Harmony: planes with known values and an index."""

from collections.abc import Callable
from pathlib import Path

from planes import write_plane

V5 = "http://www.perkinelmer.com/PEHH/HarmonyV5"
V7 = "43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7"
NAMES = {1: "HOECHST 33342", 2: "Alexa 488"}
OPTICS = (
    '<ImageResolutionX Unit="m">5.9338E-07</ImageResolutionX>'
    '<MainExcitationWavelength Unit="nm">{0}75</MainExcitationWavelength>'
    '<MainEmissionWavelength Unit="nm">{0}99</MainEmissionWavelength>'
)
WELLS = ((2, 2), (2, 3))


def about(channel: int) -> str:
    """What an index says of a channel."""
    return f"<ChannelName>{NAMES[channel]}</ChannelName>" + OPTICS.format(channel + 2)


def _image(row: int, column: int, channel: int, url: str, more: str = "") -> str:
    """An image of an index."""
    return (
        f'<Image Version="1"><State>Ok</State>{url}<Row>{row}</Row><Col>{column}</Col>'
        f"<FieldID>1</FieldID><PlaneID>1</PlaneID><TimepointID>0</TimepointID>"
        f'<ChannelID>{channel}</ChannelID><PositionX Unit="m">0.0001</PositionX>{more}</Image>'
    )


def _index(images: list[str], *, maps: str = "", plate: str = "BAR1", space: str = V5) -> str:
    """The text of an index."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><EvaluationInputData xmlns="{space}">'
        f"<Plates><Plate><PlateID>{plate}</PlateID><PlateRows>16</PlateRows><PlateColumns>24</PlateColumns>"
        f"</Plate></Plates>{maps}<Images>{''.join(images)}</Images></EvaluationInputData>"
    )


def name_of(row: int, column: int, channel: int, end: str = "sk1fk1fl1") -> str:
    """The name of a plane."""
    return f"r{row:02d}c{column:02d}f01p01-ch{channel}{end}.tiff"


def write_export(
    folder: Path,
    *,
    index: str = "Index.idx.xml",
    prefix: str = "",
    beside: str = "",
    maps: str = "",
    in_images: bool = True,
    space: str = V5,
    plate: str = "BAR1",
    add: int = 0,
    change: Callable[[str], str] = str,
) -> None:
    """Write an export of two wells and two channels, whose planes have the values 1, 2 and so on.

    index: path of the index in the folder of the images. prefix: of the URLs. beside: folder of the
    images below that of the index. maps, in_images: where the channels are described. add: to the
    values. change: of the index's text.
    """
    images = []
    for number, (row, column, channel) in enumerate(
        (r, c, channel) for r, c in WELLS for channel in NAMES
    ):
        write_plane(folder / beside / f"{prefix}{name_of(row, column, channel)}", number + 1 + add)
        url = f"<URL>{prefix}{name_of(row, column, channel)}</URL>"
        images.append(_image(row, column, channel, url, about(channel) if in_images else ""))
    text = _index(images, maps=maps, space=space, plate=plate)
    (folder / index).parent.mkdir(parents=True, exist_ok=True)
    (folder / index).write_text(change(text), encoding="utf-8")


def map_of(*entries: str) -> str:
    """A map of an index."""
    return "<Map>" + "".join(entries) + "</Map>"


def entry_of(channel: int, content: str) -> str:
    """What a map says of a channel."""
    return f'<Entry ChannelID="{channel}">{content}</Entry>'
