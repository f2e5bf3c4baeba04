"""A file comes whole over connections that break, or one line tells why it does not."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import FileServer

from unidino.core.download import check_address, download
from unidino.core.errors import InputError

FILE = bytes(range(256)) * 400
SHA256 = hashlib.sha256(FILE).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer.running() as server:
        server.files["/file"] = FILE
        yield server


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a download would have waited."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_continued(
    server: FileServer, tmp_path: Path, pauses: list[float], ranges: bool, chunked: bool
) -> None:
    server.breaks, server.ranges, server.chunked = 2, ranges, chunked
    download(f"{server.root}/file", tmp_path / "f", sha256=SHA256)
    assert (tmp_path / "f").read_bytes() == FILE
    assert [asked for _, asked in server.asked][:2] == [None, f"bytes={len(FILE) // 2}-"]
    assert pauses == [1, 2]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_connection_that_always_breaks_is_given_up(
    server: FileServer, tmp_path: Path, pauses: list[float], chunked: bool
) -> None:
    server.breaks, server.chunked = 9, chunked
    with pytest.raises(InputError, match=r"broke off 4 times, after [0-9,]+( of 102,400)? bytes"):
        download(f"{server.root}/file", tmp_path / "f", sha256=SHA256)
    assert pauses == [1, 2, 4]


def test_a_failed_reconnection_counts_as_one_try(
    server: FileServer,
    tmp_path: Path,
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.breaks, server.statuses = 1, [200, 503, 0]
    with caplog.at_level(logging.INFO, "unidino"):
        download(f"{server.root}/file", tmp_path / "f", sha256=SHA256)
    assert (tmp_path / "f").read_bytes() == FILE
    assert pauses == [1, 2, 4]
    broke, busy, silent = caplog.messages
    assert "after 51,200 of 102,400 bytes (the server closed the connection)" in broke
    assert "answers 503 Service Unavailable" in busy
    assert f"cannot reach {server.root[7:]}: " in silent


def test_the_first_connection_and_other_refusals_are_not_tried_again(
    server: FileServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.breaks, server.statuses = 1, [503, 200, 403]
    for message in ("answers 503 Service Unavailable", "answers 403 Forbidden"):
        with pytest.raises(InputError, match=message):
            download(f"{server.root}/file", tmp_path / "f", sha256=SHA256)
    assert pauses == [1]


def test_redirects_on_this_machine_are_followed(server: FileServer, tmp_path: Path) -> None:
    server.redirects["/moved"] = "/file"
    download(f"{server.root}/moved", tmp_path / "f", sha256=SHA256.upper())
    assert (tmp_path / "f").stat().st_size == len(FILE)


@pytest.mark.parametrize("to", ["https://[x", "http://[::1", "http://127.0.0.1:port/file"])
def test_malformed_addresses_are_refused(server: FileServer, tmp_path: Path, to: str) -> None:
    with pytest.raises(InputError, match=r"is not an address: "):
        check_address(to)
    server.redirects["/moved"] = to
    with pytest.raises(InputError) as caught:
        download(f"{server.root}/moved", tmp_path / "f", sha256=SHA256)
    assert to in str(caught.value)
    assert "\n" not in str(caught.value)


def test_letters_that_addresses_lack_are_refused(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be asked for"):
        download(f"{server.root}/fäil", tmp_path / "f", sha256=SHA256)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_in_one_line(server: FileServer) -> None:
    with pytest.raises(
        InputError, match=r"cannot write .*/file to '/dev': No space left"
    ) as caught:
        download(f"{server.root}/file", Path("/dev/full"), sha256=SHA256)
    assert "\n" not in str(caught.value)
