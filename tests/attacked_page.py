"""The server of the page as a process, and the requests of those who attack it.

Every request is answered by the page as always, or by one line. A run prints how many requests
were tried and held. The environment's UNIDINO_SEED gives other requests.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

SEED = int(os.environ.get("UNIDINO_SEED", "1"))
LIMIT_S = 3.0
_SERVE = f"""
from unidino.explorer import cached_lake
cached_lake._QUERY_S = cached_lake._EXPRESSION_S = {LIMIT_S}
from unidino.cli import main
main()
"""
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


def is_held(status: int, body: bytes) -> bool:
    """Whether an answer is that of the page, or one line about a wrong request."""
    if status in (200, 204, 304):
        return True
    return status in _LINES and body.count(b"\n") <= 1 and b"<" not in body[:1]


def report(kind: str, held: Counter[bool], failed: list[Any]) -> None:
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
