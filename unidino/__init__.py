"""From fluorescence plates on disk to features that can be trusted and queried.

A lake is a folder of plates, vectors and models with a DuckDB catalog over them, and data moves
through it one way:

    ingest -> train -> embed -> profile -> score -> attribute, report

Each step is one function of the name that the command line uses.
Source of the method: Morelli et al. 2025, "uniDINO", doi 10.1016/j.csbj.2025.02.020.
"""

from importlib.metadata import version

from unidino.core.errors import UnidinoError
from unidino.lake.lake import Lake

__version__ = version("unidino")
__all__ = ["Lake", "UnidinoError", "__version__"]
