"""Files are whole or absent, and locks hold across processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from unidino.core.files import digest, file_sha256, locked, text_hash, written_beside


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.txt"

    def half_way() -> None:
        with written_beside(path) as temporary:
            temporary.write_text("half")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        half_way()
    assert list(path.parent.iterdir()) == []
    with written_beside(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == ["table.txt"]
    assert file_sha256(path) == text_hash("whole")


def test_equal_values_have_equal_digests() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": (2,), "a": 1})
    assert digest("ab", "c") != digest("a", "bc")


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom unidino.core.files import locked\n"
        "with locked(Path(sys.argv[1]), 'name'):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with locked(tmp_path, "name", wait=False) as is_held:
            assert not is_held
        with locked(tmp_path, "other", wait=False) as is_held:
            assert is_held
        holder.kill()
        with locked(tmp_path, "name") as is_held:
            assert is_held
