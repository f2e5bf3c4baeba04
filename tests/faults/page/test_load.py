"""Heavy, hungry and half-open requests do not stop the page for others."""

import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from attacked_page import LIMIT_S, VALUES, Page, report

pytestmark = pytest.mark.slow
_HEAVY = "(select count(*) from range(100000000000) a where (a.range + {n}) % 7 = 1)"


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
    assert max(seconds for _, seconds in statuses) < 8 * LIMIT_S
    report("beside heavy requests", held, [] if held[False] == 0 else statuses)
