"""Modules of this room are cheap to import; heavy libraries load when they are used."""

import subprocess
import sys

CODE = """
import sys
from unidino.insight import attribution, importance, points, projection
from unidino.insight import readout_scores, readout_tables, readouts, regression
from unidino.scores import precision, replicates
print(*(name for name in ("sklearn", "scipy", "umap", "joblib", "torch") if name in sys.modules))
"""


def test_heavy_libraries_are_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
