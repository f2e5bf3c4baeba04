"""Requests without the token, or of another site, get one line."""

import random
from collections import Counter

import pytest
from attacked_page import SEED, Page, report

pytestmark = pytest.mark.slow


def test_outsiders_get_one_line(page: Page) -> None:
    draw = random.Random(SEED)
    paths = [
        "/",
        "/?plate=tiny_b1_p1",
        "/image",
        "/download?query=x&format=csv",
        "/assets/explore.js",
        "/_dash-layout",
        "/_dash-dependencies",
        "/_dash-update-component",
        "/_favicon.ico",
        "/_dash-component-suites/plotly/package_data/plotly.min.js",
        "/x",
        "/assets/../x",
    ]
    mine = {"Cookie": page.cookie}
    strangers: list[dict[str, str]] = [
        {},
        {"Cookie": f"unidino-{page.port}="},
        {"Cookie": f"unidino-{page.port}={page.token[:-1]}"},
        {"Cookie": f"unidino={page.token}"},
        {"Cookie": "\xff\xfe; unidino-; ;;=,"},
        {"Authorization": f"token {page.token}x"},
        mine | {"Host": "evil.example"},
        mine | {"Host": "127.0.0.1.evil.example"},
        mine | {"Host": "169.254.169.254"},
        mine | {"Origin": "http://evil.example"},
        mine | {"Origin": "null"},
        mine | {"Origin": f"http://127.0.0.1:{page.port + 1}"},
        mine | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        mine | {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ]
    held, failed = Counter[bool](), []
    for path in paths:
        for headers in strangers:
            method = draw.choice(["GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"])
            status, _, body = page.ask(method, path, headers=headers, cookie=None)
            good = status == 403 and body.count(b"\n") <= 1
            held[good] += 1
            failed += [] if good else [(method, path, headers, status, body[:200])]
    for guess in ["", "x", page.token[:-1], page.token + "x", page.token.lower(), "é", "%00"]:
        status, headers, _ = (
            page.ask("GET", f"/?token={guess}".encode().decode("latin-1"), cookie=None)
            if guess.isascii()
            else page.ask("GET", "/?token=%C3%A9", cookie=None)
        )
        held[status == 403 and "Set-Cookie" not in headers] += 1
    _, headers, _ = page.ask("GET", f"/?token={page.token}", cookie=None)
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    report("outsiders", held, failed)
