"""Callbacks, addresses and bytes that no page sends get one line, and the page goes on."""

import json
import random
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import pytest
from attacked_page import SEED, VALUES, Page, is_held, report

pytestmark = pytest.mark.slow
_WRONG = [
    None,
    True,
    0,
    -1,
    2**31,
    10**30,
    1.5,
    1e308,
    "",
    "x",
    "\x00",
    "\ud800",
    "../..",
    "é" * 1000,
    [],
    [[]],
    [None],
    {},
    {"plate": 1},
    {"points": []},
    {"points": [{}]},
    {"points": [None]},
    {"points": [{"customdata": 10**6}]},
    {"points": [{"customdata": -1}]},
    {"points": [{"x": 10.5, "y": 1e9}]},
    {"plate": "tiny_b1_p1", "well": "\N{BULLET}9"},
    {"plate": "x", "well": ""},
    {"DNA": [1]},
    {"DNA": ["a", "b"]},
    {"field": "²"},
    {"field": "9" * 5000},
    "'; drop table well; --",
    "a.sql",
    "/etc/passwd",
    ["a"] * 10_000,
]


def test_malformed_callbacks_get_400(page: Page) -> None:
    draw = random.Random(SEED)
    names = [c["output"].strip(".") for c in page.callbacks if not c.get("clientside_function")]
    held, failed = Counter[bool](), []

    def send(body: Any, only_400: bool = False, **options: Any) -> None:
        status, _, text = page.post(body, **options)
        good = is_held(status, text) and not (only_400 and status != 400)
        held[good] += 1
        failed.extend([] if good else [(status, text[:300], str(body)[:300])])

    for data in [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"{}",
        b"\xff\xfe",
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"output": NaN}',
        b"1" * 10_000,
        b"1e999",
        b'{"output": {}}',
        b'{"output": []}',
        b'{"output": "x.y"}',
        b'{"output": "\\ud800"}',
    ]:
        send(data, only_400=True)
    good = page.body_of("plate-map.figure", VALUES)
    send(good, only_400=True, headers={"Content-Type": "text/plain"})
    send(good, only_400=True, headers={"Content-Type": "multipart/form-data; boundary=x"})
    for key in ("output", "outputs", "inputs", "changedPropIds", "state"):
        for wrong in [None, 1, "x", {}, [1], [None], [[]], [{}], [{"id": "x", "property": "y"}]]:
            send(good | {key: wrong}, only_400=key != "changedPropIds" or wrong is not None)
    for _ in range(250):
        body = page.body_of(draw.choice(names), VALUES)
        place = draw.choice(body["inputs"] + body["state"])
        if isinstance(place, list):
            place.append(draw.choice([1, {}, {"id": {"kind": "go"}, "property": "n_clicks"}]))
        elif draw.random() < 0.8:
            place["value"] = draw.choice(_WRONG)
        else:
            place[draw.choice(["id", "property"])] = draw.choice(_WRONG)
        send(body)
    for _ in range(100):
        data = bytearray(json.dumps(page.body_of(draw.choice(names), VALUES)).encode())
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(data))
            data[at : at + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
        send(bytes(data))
    report("malformed callbacks", held, failed)


def test_malformed_addresses_get_one_line(page: Page) -> None:
    draw = random.Random(SEED)
    held, failed = Counter[bool](), []
    image = {"plate": "tiny_b1_p1", "well": "B02", "field": "1", "channel": "DNA"}
    odd = [
        "",
        "%",
        "%zz",
        "%00",
        "%ff%fe",
        "%C0%AE",
        "..%2f..%2f",
        "../../etc/passwd",
        "-1",
        "1e400",
        "nan",
        "inf",
        "9" * 400,
        "9" * 5000,
        "1.5",
        "0x10",
        "%F0%9F%92%A9",
        "'",
        "a%0d%0aX-A: b",
        "%u0041",
        "[::1",
        "{}",
        "%25%30%30",
    ]
    paths = [
        f"/{start}{text}"
        for start in (
            "",
            "assets/",
            "_dash-component-suites/",
            "image/",
            "_dash-component-suites/dash/",
            "_dash-",
        )
        for text in odd
    ]
    for _ in range(120):
        given = urlencode(image | {"size": "160"}).split("&")
        at = draw.randrange(len(given))
        given[at] = f"{given[at].partition('=')[0]}={draw.choice(odd)}"
        if draw.random() < 0.3:
            given.append(
                f"{draw.choice(['low', 'high', 'v', 'token', 'x' * 3000])}={draw.choice(odd)}"
            )
        paths.append(f"/image?{'&'.join(given)}")
    for text in odd:
        paths += [
            f"/download?query={text}&format=csv",
            f"/download?query=x&format={text}",
            f"/?plate={text}&expression={text}&well={text}",
        ]
    for path in paths:
        target = path.replace(" ", "%20").encode("latin-1")
        answer = page.raw(
            b"GET "
            + target
            + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: "
            + page.cookie.encode()
            + b"\r\n\r\n"
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        good = is_held(int(head.split()[1]), body)
        held[good] += 1
        failed += [] if good else [(path, answer[:400])]
    report("malformed addresses", held, failed)


def test_odd_bytes_do_not_stop_it(page: Page) -> None:
    draw = random.Random(SEED)
    host = f"Host: 127.0.0.1:{page.port}\r\nCookie: {page.cookie}\r\n".encode()
    call = b"POST /_dash-update-component HTTP/1.1\r\n" + host
    sent = [
        b"",
        b"\r\n\r\n",
        b"\x00" * 100,
        b"GET",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"get / HTTP/1.1\r\n" + host + b"\r\n",
        b"G\xc3\x89T / HTTP/1.1\r\n" + host + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        *(
            m + b" / HTTP/1.1\r\n" + host + b"\r\n"
            for m in (b"TRACE", b"CONNECT", b"PATCH", b"X" * 9000)
        ),
        b"GET http://evil.example/ HTTP/1.1\r\n" + host + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"Host: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"Origin: http://[\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"Origin: \xff\xfe\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"Cookie: " + b"a=b; " * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"no colon\r\n\r\n",
        b"GET /image?plate=" + b"x" * 100_000 + b" HTTP/1.1\r\n" + host + b"\r\n",
        call + b"Content-Length: 99999999999\r\n\r\n{}",
        call + b"Content-Length: -1\r\n\r\n{}",
        call + b"Content-Length: x\r\n\r\n{}",
        call + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        call + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        call + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        call + b"Transfer-Encoding: gzip\r\n\r\n{}",
        call + b"Content-Encoding: gzip\r\n\r\n",
        call + b"Content-Type: application/json; charset=utf-99\r\nContent-Length: 2\r\n\r\n{}",
        call
        + b"Content-Type: application/json\r\nContent-Length: 8388700\r\n\r\n"
        + b"x" * 8388700,
        b"GET /download HTTP/1.1\r\n" + host + b"Range: bytes=5-1\r\n\r\n",
        b"GET /assets/explore.js HTTP/1.1\r\n" + host + b'Range: bytes=zz\r\nIf-None-Match: "\r\n'
        b"If-Modified-Since: never\r\n\r\n",
    ]
    whole = b"GET /_dash-layout HTTP/1.1\r\n" + host + b"Accept: */*\r\n\r\n"
    for _ in range(60):
        data = bytearray(whole)
        at = draw.randrange(len(data))
        data[at : at + draw.randint(0, 5)] = draw.randbytes(draw.randint(0, 5))
        sent.append(bytes(data))
    held, failed = Counter[bool](), []
    for data in sent:
        try:
            answer = page.raw(data)
        except ConnectionError:  # it closed before all was sent
            answer = b""
        status = int(answer.split()[1]) if answer else 0
        good = not answer or status < 500 or status in (501, 505)
        held[good] += 1
        failed += [] if good else [(data[:100], answer[:300])]
    report("odd bytes", held, failed)
