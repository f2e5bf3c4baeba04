"""The server answers its own page only, and the command starts it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from unidino.explorer.cached_lake import CachedLake
from unidino.explorer.explore import explore
from unidino.explorer.guard import Keys
from unidino.explorer.server import make_app
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


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def stranger(cached: CachedLake, keys: Keys) -> FlaskClient:
    """A client of a server that asks for a token."""
    client: FlaskClient = make_app(cached, keys=keys).server.test_client()
    return client


def test_without_the_token_there_is_no_answer(stranger: FlaskClient, keys: Keys) -> None:
    for address in ("/", "/?token=", f"/?token={keys.token}x", "/?token=%ff", "/_dash-layout"):
        answer = stranger.get(address)
        assert (answer.status_code, answer.text.count("\n")) == (403, 1)
        assert "open the address that `unidino explore` printed" in answer.text
        assert "Set-Cookie" not in answer.headers
    assert stranger.post("/_dash-update-component", json={}).status_code == 403


def test_the_first_visit_keeps_the_token_as_a_cookie(stranger: FlaskClient, keys: Keys) -> None:
    first = stranger.get(f"/?token={keys.token}&plate=tiny_b1_p1")
    assert first.status_code == 200
    assert "HttpOnly" in first.headers["Set-Cookie"]
    assert "SameSite=Strict" in first.headers["Set-Cookie"]
    for address in ("/", "/_dash-layout", "/_favicon.ico", "/?plate=tiny_b1_p1"):
        assert stranger.get(address).status_code == 200


def test_the_address_that_opens_a_browser_is_good_for_one_visit(
    stranger: FlaskClient, keys: Keys
) -> None:
    once = keys.for_one_visit()
    assert once != keys.token
    assert stranger.get(f"/?token={once}").status_code == 200
    stranger.delete_cookie("unidino-80")
    assert stranger.get(f"/?token={once}").status_code == 403
    assert stranger.get(f"/?token={keys.token}").status_code == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"output": "nothing.children"}, "the page has no such callback"),
        ({"output": "recent-list.options"}, "the page has no such callback"),
        ({"outputs": []}, "outputs are not those"),
        ({"inputs": []}, "inputs are not those"),
        ({"inputs": [{"id": "x", "property": "clickData"}]}, "expected a value of map"),
        ({"changedPropIds": ["x.data"]}, "changedPropIds names what is no input"),
        ({"state": [{"id": "dataset", "property": "value", "value": 5}]}, "dataset.value has a"),
        ({"state": [{"id": "dataset", "property": "value", "value": "a\0"}]}, "NUL"),
        ({"more": [[[[]]] * 3] * 3}, None),
    ],
)
def test_a_request_of_another_form_is_one_line(
    client: FlaskClient, change: dict[str, object], reason: str | None
) -> None:
    clicked = next(c for c in client.get("/_dash-dependencies").json or [] if _is_click(c))
    body = {
        "output": clicked["output"],
        "outputs": {"id": "chosen", "property": "data"},
        "inputs": [{"id": "map", "property": "clickData", "value": {"points": []}}],
        "changedPropIds": ["map.clickData"],
        "state": [{"id": "dataset", "property": "value", "value": "tiny"}],
    }
    answer = client.post("/_dash-update-component", json=body | change)
    if reason is None:
        assert answer.status_code == 204
    else:
        assert answer.status_code == 400
        assert reason in answer.text
        assert answer.text.count("\n") == 1


def _is_click(callback: dict[str, Any]) -> bool:
    return str(callback["inputs"][0]["property"]) == "clickData"


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
