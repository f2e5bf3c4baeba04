"""The page under attack: outsiders, malformed requests, SQL that leaves the lake, heavy load.

Every request is answered by the page as always, or by one line; the log has no traceback, no file
appears, and others are served meanwhile. A run prints how many requests were tried and held. The
environment's UNIDINO_SEED gives other requests.
"""

import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

pytestmark = pytest.mark.slow
SEED = int(os.environ.get("UNIDINO_SEED", "1"))
_LIMIT_S = 3.0
_SERVE = f"""
from unidino.explorer import cached_lake
cached_lake._QUERY_S = cached_lake._EXPRESSION_S = {_LIMIT_S}
from unidino.cli import main
main()
"""
_HEAVY = "(select count(*) from range(100000000000) a where (a.range + {n}) % 7 = 1)"
_LINES = (400, 403, 404, 405, 411, 413, 431, 501, 505)


class Page:
    """The server of the page as a process, and requests to it."""

    def __init__(self, lake: Path, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        self.log = (folder / "log.txt").open("w+")
        words = ["explore", "--lake", str(lake), "--port", "0", "--no-browser", "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, *words], stdout=subprocess.PIPE, stderr=self.log
        )
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.port = urlsplit(self.url).port or 0
        self.token = parse_qs(urlsplit(self.url).query)["token"][0]
        _, headers, _ = self.ask("GET", f"/?token={self.token}", cookie=None)
        self.cookie = headers["Set-Cookie"].partition(";")[0]
        self.callbacks = json.loads(self.ask("GET", "/_dash-dependencies")[2])

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        cookie: str | None = "",
        patience_s: float = 90.0,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience_s)
        sent = {"Cookie": self.cookie if cookie == "" else cookie} if cookie is not None else {}
        try:
            connection.request(method, path, body, sent | (headers or {}))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def body_of(self, output: str, values: dict[str, Any]) -> dict[str, Any]:
        """The request that calls the callback whose outputs begin so."""
        found = next(
            c
            for c in self.callbacks
            if c["output"].strip(".").startswith(output) and not c.get("clientside_function")
        )

        def filled(places: list[dict[str, Any]]) -> list[Any]:
            return [
                []
                if p["id"].startswith("{")
                else {
                    "id": p["id"],
                    "property": p["property"],
                    "value": values.get(f"{p['id']}.{p['property']}"),
                }
                for p in places
            ]

        outputs = [
            {"id": name.rpartition(".")[0], "property": name.rpartition(".")[2].split("@")[0]}
            for name in found["output"].strip(".").split("...")
        ]
        first = found["inputs"][0]
        return {
            "output": found["output"],
            "outputs": outputs if found["output"].startswith("..") else outputs[0],
            "inputs": filled(found["inputs"]),
            "changedPropIds": []
            if first["id"].startswith("{")
            else [f"{first['id']}.{first['property']}"],
            "state": filled(found["state"]),
        }

    def post(self, body: Any, **options: Any) -> tuple[int, dict[str, str], bytes]:
        """The answer to a callback's request."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | options.pop("headers", {})
        return self.ask("POST", "/_dash-update-component", data, headers, **options)

    def sql(self, query: str) -> str:
        """What the page says of a query."""
        values = {"run.n_clicks": 1, "query.value": query, "recent.data": []}
        status, _, text = self.post(self.body_of("rows.rowData", values))
        assert status == 200, text
        return str(json.loads(text)["response"]["query-note"]["children"])

    def raw(self, data: bytes, patience_s: float = 20.0) -> bytes:
        """What the server sends for these bytes, until it closes or says no more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience_s) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            pieces = []
            while piece := connection.recv(1 << 16):
                pieces.append(piece)
            return b"".join(pieces)

    def is_well(self) -> bool:
        """Whether a normal request is answered within two seconds."""
        start = time.monotonic()
        status, _, _ = self.ask("GET", "/_dash-layout")
        return status == 200 and time.monotonic() - start < 2


@pytest.fixture(scope="module")
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


def _held(status: int, body: bytes) -> bool:
    """Whether an answer is that of the page, or one line about a wrong request."""
    if status in (200, 204, 304):
        return True
    return status in _LINES and body.count(b"\n") <= 1 and b"<" not in body[:1]


def _report(kind: str, held: Counter[bool], failed: list[Any]) -> None:
    print(f"{kind}: {held.total()} tried, {held[True]} held")
    assert not failed, failed[:5]


VALUES = {
    "dataset.value": "tiny",
    "model.value": "gaussian",
    "normalization.value": "mad_robustize",
    "plate.value": "tiny_b1_p1",
    "colour.value": "moa",
    "method.value": "umap",
    "chosen.data": {"plate": "tiny_b1_p1", "well": "B02"},
    "field.value": 1,
    "rule.value": "nsc",
    "reading.value": "text",
    "columns.value": "compound,plate",
    "label.value": "moa",
    "among.value": "all",
    "grid.data": {"plate": "tiny_b1_p1", "wells": [["B02", 2, 2]]},
    "one-window.value": [],
    "keep-windows.value": [],
    "windows.data": {"DNA": [0, 500]},
    "url.search": "?plate=tiny_b1_p1&well=B02",
    "address.data": {"field": "1"},
    "map.clickData": {"points": [{"customdata": 3}]},
    "map.hoverData": {"points": [{"customdata": 3, "bbox": {"x0": 1.0}}]},
    "plate-map.hoverData": {"points": [{"x": 2, "y": 2, "bbox": {"x0": 1.0}}]},
    "query.value": "from plate",
    "run.n_clicks": 1,
    "recent.data": [],
}
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
    _report("outsiders", held, failed)


def test_malformed_callbacks_get_400(page: Page) -> None:
    draw = random.Random(SEED)
    names = [c["output"].strip(".") for c in page.callbacks if not c.get("clientside_function")]
    held, failed = Counter[bool](), []

    def send(body: Any, only_400: bool = False, **options: Any) -> None:
        status, _, text = page.post(body, **options)
        good = _held(status, text) and not (only_400 and status != 400)
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
    _report("malformed callbacks", held, failed)


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
        good = _held(int(head.split()[1]), body)
        held[good] += 1
        failed += [] if good else [(path, answer[:400])]
    _report("malformed addresses", held, failed)


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
    _report("odd bytes", held, failed)


def test_no_statement_leaves_the_lake(page: Page) -> None:
    (page.folder / "secret.csv").write_text("a\n1\n")
    secret, stolen = page.folder / "secret.csv", page.lake / "profiles" / "stolen.csv"
    sources = [
        f"read_text('{secret}')",
        f"read_csv('{secret}')",
        f"'{secret}'",
        f"glob('{secret}')",
        f"read_blob('{page.lake}/../secret.csv')",
        "read_text('/proc/self/environ')",
        "read_csv('https://127.0.0.1/x.csv')",
        f"sniff_csv('{secret}')",
        f"query('select * from read_text(''{secret}'')')",
    ]
    actions = [
        f"copy (select 1) to '{stolen}'",
        "drop table well",
        "update well set moa = 'x'",
        f"attach '{stolen}' as x",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "pragma memory_limit = '1TB'",
        "reset memory_limit",
        "checkpoint",
        "vacuum",
        f"export database '{stolen}'",
        "create table t as select 1",
        "call enable_logging()",
        "select getenv('HOME') as h",
        "use memory",
        "begin; drop table well; commit",
        f"with a as (copy well to '{stolen}') from a",
        "select 1; select 2",
        "",
        ";",
        "/*",
        "select " + "(" * 500,
        "from pragma_database_list()" * 2,
    ]
    held, failed = Counter[bool](), []
    said = {text: page.sql(text) for text in [*(f"from {s}" for s in sources), *actions]}
    for text, note in said.items():
        good = (
            "row" not in note.split()[-1:]
            and not note.endswith(("rows.", "row."))
            and "\n" not in note
        )
        held[good] += 1
        failed += [] if good else [(text, note)]
    for source in sources:
        for box in ("expression.value", "condition.value"):
            body = page.body_of(
                "plate-map.figure", VALUES | {box: f"(select count(*) from {source})"}
            )
            note = json.loads(page.post(body)[2])["response"]["plate-note"]["children"]
            good = bool(note) and "\n" not in note
            held[good] += 1
            failed += [] if good else [(source, note)]
    evil = page.folder / "evil.sql"
    evil.write_text(
        "select profile_id, 'a' as reason, compound as key from candidate;"
        f" copy (select 1) to '{stolen}'"
    )
    for rule in [
        str(evil),
        "../evil.sql",
        "nsc; drop",
        "not same compound",
        "not same x",
        "x" * 9999,
    ]:
        for extra in ({}, {"rule.value": "columns", "columns.value": rule}):
            body = page.body_of("neighbours.children", VALUES | {"rule.value": rule} | extra)
            answer = json.loads(page.post(body)[2])["response"]
            note = answer["neighbours-note"]["children"]
            good = answer["neighbours"]["children"] == [] and "unknown" in note
            held[good] += 1
            failed += [] if good else [(rule, extra, note)]
    for path in (secret, evil):
        path.unlink()
    _report("statements", held, failed)


@pytest.mark.parametrize(
    "query",
    [
        "select len(range(3000000000))",
        "select length(repeat('x', 3000000000))",
        "select sum(list_sum(range(1000000 + i))) from range(5000) t(i)",
        "select repeat('x', 10000000) from range(9000)",
    ],
)
def test_a_query_that_wants_all_memory_gets_one_line(page: Page, query: str) -> None:
    note = page.sql(query)
    assert "\n" not in note
    assert not note.endswith(("row.", "rows."))
    assert page.sql("select 1") == "1 row.", "the next query has a process of its own"


def test_others_are_served_beside_heavy_and_half_open_requests(page: Page) -> None:
    sockets = []
    for number in range(50):
        connection = socket.create_connection(("127.0.0.1", page.port))
        if number % 3:
            connection.sendall(b"POST /_dash-update-component HTTP/1.1\r\nContent-Le"[: number * 2])
        sockets.append(connection)

    def heavy(number: int) -> tuple[int, float]:
        values = VALUES | {"expression.value": _HEAVY.format(n=number % 5)}
        body = page.body_of("plate-map.figure", values)
        start = time.monotonic()
        return page.post(body)[0], time.monotonic() - start

    held = Counter[bool]()
    try:
        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(heavy, number) for number in range(8)]
            time.sleep(1.0)
            for _ in range(5):
                held[page.is_well()] += 1
                start = time.monotonic()
                image = "/image?plate=tiny_b1_p1&well=B02&field=1&channel=DNA&size=160"
                status, _, _ = page.ask("GET", image)
                status_of_plate, _, _ = page.post(page.body_of("plate-map.figure", VALUES))
                held[status == status_of_plate == 200 and time.monotonic() - start < 2] += 1
            statuses = [answer.result() for answer in answers]
    finally:
        for connection in sockets:
            connection.close()
    assert {status for status, _ in statuses} == {200}
    assert max(seconds for _, seconds in statuses) < 8 * _LIMIT_S
    _report("beside heavy requests", held, [] if held[False] == 0 else statuses)
