"""Examples in docstrings, shown as code in the reference (an extension of griffe)."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).*)*", re.MULTILINE)


class Examples(griffe.Extension):
    """Puts every example into a block of code."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Change the docstring of an object once it is read."""
        if obj.docstring:
            obj.docstring.value = _EXAMPLE.sub(r"```python\n\g<0>\n```", obj.docstring.value)
