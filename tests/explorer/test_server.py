"""The server answers its own page only, and the command starts it."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from unidino.explorer.explore import explore
from unidino.lake.lake import Lake


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/assets/../server.py", "/assets/..%2f..%2fcatalog.py", "/image/x"],
)
def test_no_path_leads_out_of_the_page(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8050"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8050"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Host": "localhost:8050", "Origin": "http://localhost:9000"}, 403),
        ({"Host": "localhost:8050", "Origin": "http://localhost:8050"}, 200),
        ({"Host": "localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": "localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
def test_only_this_machines_own_page_is_answered(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    answer = client.get("/", headers=headers)
    assert answer.status_code == status
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["X-Frame-Options"] == "DENY"
    if status == 403:
        assert answer.text.count("\n") == 1


def test_other_sites_get_neither_images_nor_files(client: FlaskClient) -> None:
    for path in ("/image", "/download", "/_dash-layout"):
        answer = client.get(
            path, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        )
        assert answer.status_code == 403


def test_the_page_needs_no_other_host(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "https://" not in page
    assert "http://" not in page
    for name in ("explore.css", "explore.js"):
        assert f"assets/{name}" in page


def test_the_command_says_what_is_wrong(
    profiled: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    status, _, error = run_cli("explore", "--lake", profiled, "--model", "none", "--no-browser")
    assert status == 1
    assert "unknown model 'none'; choose one of gaussian" in error
    server = explore(Lake.open(profiled), port=0)
    try:
        port = str(urlsplit(server.url).port)
        status, _, error = run_cli("explore", "--lake", profiled, "--port", port, "--no-browser")
        assert status == 1
        assert f"port {port} cannot be served" in error
        assert server.url.startswith("http://127.0.0.1:")
    finally:
        server.close()
