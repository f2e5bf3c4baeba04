"""The reference, made of the code when the site is built.

A page asks for it by a line `<!-- generated: NAME -->`; NAME is a function of this module.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_startup(**_: Any) -> None:
    """Let the code of this checkout be imported (called by MkDocs)."""
    sys.path.insert(0, str(ROOT))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The text of a page with its generated parts (called by MkDocs)."""
    return _MARK.sub(lambda found: MADE[found[1]](), markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """A page whose search works without network (called by MkDocs)."""
    here = "../" * page.url.count("/")
    return output.replace("https://unpkg.com/iframe-worker/shim", f"{here}worker.js")


def commands() -> str:
    """Each command: what it does, its arguments and options with their defaults."""
    import typer

    from unidino import cli

    def sections(command: Any, name: str, depth: int) -> Iterator[str]:
        text = inspect.cleandoc(command.help or "")
        yield f"{'#' * depth} unidino {name}\n\n{_escaped(text)}\n"
        rows = [_parameter(p) for p in command.params if not getattr(p, "hidden", False)]
        if rows:
            yield _table(("option", "default", "meaning"), rows)
        for sub, each in getattr(command, "commands", {}).items():
            yield from sections(each, f"{name} {sub}".strip(), depth + bool(name))

    group = typer.main.get_command(cli.app)
    parts = [text for n, c in group.commands.items() for text in sections(c, n, 2)]  # type: ignore[attr-defined]
    return "\n\n".join(parts)


def _parameter(parameter: Any) -> tuple[str, str, str]:
    is_argument = parameter.param_type_name == "argument"
    names = parameter.name.upper() if is_argument else ", ".join(parameter.opts)
    if not is_argument and parameter.secondary_opts:
        names += f" / {', '.join(parameter.secondary_opts)}"
    # typer 0.2x holds the choices in either place.
    kind = getattr(parameter, "type_descriptor", None) or getattr(parameter, "type", None)
    choices = getattr(kind, "choices", None)
    meaning = _escaped(parameter.help or "")
    if choices:
        meaning += f" One of {', '.join(f'`{c}`' for c in choices)}."
    default = parameter.default
    if callable(default) or default is None or default is False or default in ((), [], ""):
        default = "required" if parameter.required else ""
    elif not parameter.required:
        default = f"`{default}`"
    return f"`{names}`", str(default), meaning.strip()


def python() -> str:
    """The public names: nouns, then verbs."""
    import unidino

    names = [n for n in unidino.__all__ if not n.startswith("__")]
    names.sort(key=lambda n: (not n[0].isupper(), n))
    return "\n\n".join(f"::: unidino.{unidino._HOMES[n]}.{n}" for n in names)


def tables() -> str:
    """Each table of the catalog and each view over files, with its columns."""
    import duckdb

    from unidino.core import assets

    con = duckdb.connect()
    for statement in assets.ddl():
        con.execute(statement)
    said = dict(con.execute("select table_name, comment from duckdb_tables()").fetchall())
    parts = []
    for table, comment in sorted(said.items()):
        columns = con.execute(
            "select column_name, data_type, comment from duckdb_columns()"
            " where table_name = $t order by column_index",
            {"t": table},
        ).fetchall()
        rows = [(f"`{n}`", _kind(k), _escaped(c or "")) for n, k, c in columns]
        parts.append((table, f"{_escaped(comment or '')}\n\n{_table(_COLUMNS, rows)}"))
    con.close()
    for path in sorted((ROOT / "schemas").glob("*.arrow.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        if path.name.startswith("measured"):  # on its way into the catalog
            continue
        rows = [
            (f"`{f['name']}`", _kind(f["type"]), _escaped(f.get("description", "")))
            for f in schema["fields"]
        ]
        text = f"{_escaped(schema['description'])}\n\n{_table(_COLUMNS, rows)}"
        parts.append((path.name.split(".")[0], text))
    for name in ("latest", "latest_quality", "located_image", "training_sample", "labelled_sample"):
        query = (ROOT / "sql" / "views" / f"{name}.sql").read_text(encoding="utf-8")
        parts.append((name, f"A view.\n\n{_prose(_header(query))}"))
    return "\n\n".join(f"## {name}\n\n{text}" for name, text in sorted(parts))


_COLUMNS = ("column", "type", "meaning")


def _kind(kind: str) -> str:
    values = re.fullmatch(r"ENUM\((.*)\)", kind)
    return f"`{'enum' if values else kind.lower()}`"


def rules() -> str:
    """Each rule: its comment and its query."""
    return "\n\n".join(_files("exclude", "*.sql")) + (
        "\n\n## Published reading\n\nThe same rules as the authors' program reads them"
        " (`--reading published`).\n\n" + "\n\n".join(_files("exclude/published", "*.sql", 3))
    )


def normalizations() -> str:
    """Each normalization: its comment and its query."""
    return "\n\n".join(_files("normalize", "*.sql"))


def _files(room: str, pattern: str, depth: int = 2) -> Iterator[str]:
    for path in sorted((ROOT / "sql" / room).glob(pattern)):
        text = path.read_text(encoding="utf-8")
        header = _header(text)
        body = text[len(header) :].strip()
        link = path.relative_to(ROOT).as_posix()
        yield (f"{'#' * depth} {path.stem}\n\n{_prose(header)}\n\n`{link}`:\n\n```sql\n{body}\n```")


def training() -> str:
    """Each choice of a training: its type, its limits, and its value in every recipe."""
    from typing import get_args

    from unidino.core.choices import RecipeName
    from unidino.training import recipe

    names = get_args(RecipeName)
    configs = {name: _config(recipe, name) for name in names}
    text = _prose(inspect.getdoc(recipe.TrainConfig).partition(">>>")[0])  # type: ignore[union-attr]
    keys = "|".join(recipe.TrainConfig.model_fields)
    text = re.sub(rf"(?<![\w`])({keys})(?=:)", r"`\1`", text)
    text = re.sub(r"(?<=\.) (?=`\w+`:)", "\n\n", text)
    rows = []
    for key in recipe.TrainConfig.model_fields:
        told = [f"`{_short(getattr(config, key))}`" for config in configs.values()]
        schema = recipe.TrainConfig.model_json_schema()["properties"][key]
        rows.append((f"`{key}`", _allowed(schema), *told))
    return f"{text}\n\n{_table(('key', 'allowed', *names), rows)}"


def _config(recipe: Any, name: str) -> Any:
    return recipe.config_of(name, {})


def _short(value: Any) -> str:
    return json.dumps(value, default=str) if not isinstance(value, str) else value


def _allowed(schema: dict[str, Any]) -> str:
    """What a key may be, of its JSON Schema."""
    if "anyOf" in schema:
        return " or ".join(_allowed(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{v}`" for v in schema["enum"])
    kind = {"number": "number", "integer": "whole number", "boolean": "true or false"}
    text = kind.get(schema.get("type", ""), schema.get("type", "object"))
    limits = [
        f"{sign} {schema[key]:g}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in schema
    ]
    return " ".join([text, ", ".join(limits)]).strip()


def manifest() -> str:
    """The columns of a manifest, of its JSON Schema."""
    from unidino.core import assets

    schema = assets.manifest_schema()
    required = schema.get("required", [])
    rows = [
        (
            f"`{name}`",
            column.get("type", ""),
            "yes" if name in required else "",
            _escaped(column.get("description", "")),
            ", ".join(f"`{alias}`" for alias in column.get("aliases", column.get("x-aliases", []))),
        )
        for name, column in schema["properties"].items()
    ]
    return _table(("column", "type", "required", "meaning", "also read as"), rows)


def _header(text: str) -> str:
    """The comment that opens an SQL file."""
    lines = []
    for line in text.splitlines(keepends=True):
        if not line.startswith("--"):
            break
        lines.append(line)
    return "".join(lines)


def _prose(comment: str) -> str:
    """A comment as paragraphs; what it names with a colon begins a line."""
    text = re.sub(r"^-- ?", "", comment, flags=re.MULTILINE)
    text = re.sub(r"\n(?=(Grain|Reads|Source|\$\w+):)", "\n\n", text)
    return _escaped(text.strip())


def _escaped(text: str) -> str:
    """Text whose signs Markdown would take for its own."""
    text = re.sub(r"(?<![`\w])(\$\w+)", r"`\1`", text)
    return re.sub(r"([<>*|])(?=[^`]*(?:`[^`]*`[^`]*)*$)", r"\\\1", text)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(" ".join(c.split()) for c in line) + " |" for line in lines)


MADE: dict[str, Callable[[], str]] = {
    made.__name__: made
    for made in (commands, python, tables, rules, normalizations, training, manifest)
}
