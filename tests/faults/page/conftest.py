"""One server of the page for all attacks; each leaves it unharmed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacked_page import Page


@pytest.fixture(scope="package")
def page(profiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(profiled, folder / "lake")
    page = Page(folder / "lake", folder)
    try:
        yield page
    finally:
        page.process.kill()
        page.process.communicate()
        page.log.close()


@pytest.fixture(autouse=True)
def unharmed(page: Page) -> Iterator[None]:
    """The page is as before a test: it answers, its log has no traceback, no file was added."""

    def files() -> set[Path]:
        return {path for path in page.folder.rglob("*") if path.is_file()}

    before = files()
    yield
    assert page.process.poll() is None
    assert page.is_well()
    assert files() == before
    page.log.seek(0)
    said = page.log.read()
    assert "Traceback" not in said, said[-3000:]
