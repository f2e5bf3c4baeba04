"""What is wrong with a figure as it is drawn: texts that overlap, leave the page, are small."""

from unittest.mock import patch

from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

_TOUCH_PX = 1.0


def drawn_texts(figure: Figure) -> list[tuple[str, float, Bbox]]:
    """Every text that is drawn, its size in pt, and its box in pixels."""
    canvas = FigureCanvasAgg(figure)
    seen: list[tuple[str, float, Bbox]] = []
    original = Text.draw

    def draw(self: Text, renderer: object, *args: object, **kwargs: object) -> None:
        if self.get_visible() and self.get_text().strip():
            box = self.get_window_extent(renderer)  # type: ignore[arg-type]
            seen.append((self.get_text(), self.get_fontsize(), box))
        original(self, renderer, *args, **kwargs)  # type: ignore[arg-type]

    with patch.object(Text, "draw", draw):
        canvas.draw()
    return seen


def problems(figure: Figure) -> list[str]:
    """A line for each pair of texts that overlap, text off the page or under 7 pt, empty axes."""
    texts = drawn_texts(figure)
    page = figure.bbox
    found = [f"'{t}' has {size} pt" for t, size, _ in texts if size < 7]
    found += [
        f"'{t}' leaves the page: {box.extents.round(1)} of {page.extents}"
        for t, _, box in texts
        if box.x0 < -_TOUCH_PX
        or box.y0 < -_TOUCH_PX
        or box.x1 > page.x1 + _TOUCH_PX
        or box.y1 > page.y1 + _TOUCH_PX
    ]
    for i, (a, _, one) in enumerate(texts):
        for b, _, other in texts[i + 1 :]:
            shared = Bbox.intersection(one, other)
            if shared and shared.width > _TOUCH_PX and shared.height > _TOUCH_PX:
                found.append(f"'{a}' overlaps '{b}'")
    for axes in figure.findobj(lambda a: isinstance(getattr(a, "xaxis", None), Axis)):
        if axes.get_visible() and axes.axison and not axes.has_data():
            found.append(f"axes '{axes.get_title(loc='left')}' is empty")
    return found
