"""No statement, rule or condition that is sent to the page leaves the lake."""

import json
from collections import Counter

import pytest
from attacked_page import VALUES, Page, report

pytestmark = pytest.mark.slow


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
    report("statements", held, failed)
