"""Published weights come from their address whole and as expected, or not at all."""

import hashlib
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from file_server import FileServer
from safetensors.torch import save

from unidino.core.download import check_address
from unidino.core.errors import InputError, ModelError, UnidinoError
from unidino.lake.lake import Lake
from unidino.models.fetch import TABLE, fetch_model, published_models
from unidino.models.registry import load_encoder
from unidino.models.weights import PUBLISHED, import_model

VALID = dict.fromkeys(("name", "address", "licence", "terms", "architecture"), "x")
TINY = "vit_tiny_patch16_224"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr("unidino.core.download._PAUSES_S", (0.0, 0.0))
    with FileServer.running() as server:
        yield server


@pytest.fixture(scope="module")
def weights() -> bytes:
    torch.manual_seed(0)
    return save(timm.create_model(TINY, num_classes=0, in_chans=1, depth=1).state_dict())


@pytest.fixture
def row(server: FileServer, weights: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A row of a table whose file the server has; its network has one layer."""
    monkeypatch.setattr("timm.create_model", _with_one_layer(timm.create_model))
    server.files["/tiny.safetensors"] = weights
    return {
        "name": "tiny",
        "address": f"{server.root}/tiny.safetensors",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "size_bytes": len(weights),
        "licence": "CC BY-NC 4.0",
        "terms": "https://example.org/terms",
        "architecture": TINY,
    }


def _with_one_layer(create: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **options: create(*given, **{"depth": 1, **options})


@pytest.fixture
def table(tmp_path: Path, row: dict[str, Any]) -> Callable[..., Path]:
    """A function that writes the table with changes to its row."""

    def write(**changes: object) -> Path:
        path = tmp_path / "table.json"
        changed = {k: v for k, v in (row | changes).items() if v is not None}
        path.write_text(json.dumps([changed]))
        return path

    return write


def _is_untouched(lake: Lake) -> bool:
    num_models = lake.query("select count(*) from model").item()
    folder = lake.path / "models"
    return num_models == 0 and not (folder.is_dir() and any(folder.iterdir()))


def test_weights_are_downloaded_and_imported(
    lake: Lake, table: Callable[..., Path], row: dict[str, Any], run_cli: Run
) -> None:
    at = ("--lake", lake.path, "--table", table(), "--json")
    status, out, err = run_cli("models", "fetch", "tiny", "--accept-licence", *at)
    assert status == 0, err
    assert json.loads(out) == {"model": "tiny", "dims": 192, "crop_px": 224, "intensity": "dtype"}
    names = "licence, parent, arguments ->> 'sha256', arguments ->> 'model'"
    got = lake.query(f"select {names} from model join run using (run_id)").row(0)
    assert got == (row["licence"], row["address"], row["sha256"], "tiny")
    assert [p.name for p in (lake.path / "models").iterdir()] == ["tiny"]
    encoder = load_encoder(lake, "tiny", torch.device("cpu"))
    assert encoder(torch.rand(1, 1, 224, 224)).shape == (1, 192)


def test_an_address_may_have_a_query(
    lake: Lake, server: FileServer, row: dict[str, Any], table: Callable[..., Path]
) -> None:
    address = f"{row['address']}?download=true"
    server.files["/tiny.safetensors?download=true"] = server.files["/tiny.safetensors"]
    fetch_model(lake, "tiny", accept_licence=True, table=table(address=address))
    assert lake.query("select parent from model").item() == address


@pytest.mark.parametrize("content", [b"no weights", pickle.dumps({"x": 1})])
def test_errors_name_the_address(
    lake: Lake, server: FileServer, table: Callable[..., Path], content: bytes
) -> None:
    server.files["/w.pth"] = content
    address, sha256 = f"{server.root}/w.pth", hashlib.sha256(content).hexdigest()
    changed = table(address=address, sha256=sha256, size_bytes=None)
    with pytest.raises(ModelError, match=f"^'{address}' ") as caught:
        fetch_model(lake, "tiny", accept_licence=True, table=changed)
    assert ".download" not in str(caught.value)


def test_nothing_is_fetched_before_the_licence_is_accepted(
    lake: Lake, table: Callable[..., Path], server: FileServer, run_cli: Run
) -> None:
    status, out, err = run_cli("models", "fetch", "tiny", "--lake", lake.path, "--table", table())
    assert (status, out) == (1, "")
    *shown, last = err.splitlines()
    assert shown == [
        "licence: CC BY-NC 4.0",
        "terms: https://example.org/terms",
        f"address: {server.root}/tiny.safetensors",
    ]
    assert last.startswith("error: tiny is under a licence of its own")
    assert "--accept-licence" in last
    assert server.asked == []
    assert _is_untouched(lake)


def _swap(server: FileServer, path: str) -> None:
    server.files[path] = server.files[path][::-1]


@pytest.mark.parametrize(
    ("act", "changes", "message"),
    [
        (_swap, {}, "is another file than expected: its SHA-256 is [0-9a-f]{64}, not"),
        (lambda s, p: s.files.update({p: b"x" * 10}), {}, "has 10 bytes, not"),
        (lambda s, p: s.files.clear(), {}, "answers 404 Not Found"),
        (lambda s, p: s.redirects.update({p: "https://example.org/w"}), {}, "to another scheme"),
        (lambda s, p: s.redirects.update({p: "http://example.org/w"}), {}, "not an https address"),
        (lambda s, p: s.redirects.update({p: "file:///etc/passwd"}), {}, "answers 302"),
        (lambda s, p: setattr(s, "breaks", 9), {}, "broke off 3 times, after"),
        (None, {"address": "http://127.0.0.1:9/w"}, "cannot reach 127.0.0.1:9: "),
        (None, {"address": "http://example.org/w"}, "not an https address"),
        (None, {"address": "ftp://127.0.0.1/w"}, "not an https address"),
        (None, {"address": "/etc/passwd"}, "not an https address"),
        (None, {"architecture": "vit_small_patch16_224"}, "does not fit the network"),
        (None, {"sha256": None}, "the table has no hash of tiny; state .* with --sha256"),
    ],
)
def test_what_is_not_as_expected_does_not_land(
    lake: Lake,
    server: FileServer,
    table: Callable[..., Path],
    act: Callable[[FileServer, str], object] | None,
    changes: dict[str, Any],
    message: str,
) -> None:
    if act:
        act(server, "/tiny.safetensors")
    with pytest.raises(UnidinoError, match=message) as caught:
        fetch_model(lake, "tiny", accept_licence=True, table=table(**changes))
    assert "\n" not in str(caught.value)
    assert _is_untouched(lake)


def test_a_taken_name_is_told_before_the_download(
    lake: Lake, server: FileServer, table: Callable[..., Path], tmp_path: Path, weights: bytes
) -> None:
    (tmp_path / "w.safetensors").write_bytes(weights)
    import_model(lake, tmp_path / "w.safetensors", "mine", architecture=TINY)
    with pytest.raises(ModelError, match="'mine' already; choose another name"):
        fetch_model(lake, "tiny", "mine", accept_licence=True, table=table())
    with pytest.raises(UnidinoError, match="unknown published model 'huge'; choose one of tiny"):
        fetch_model(lake, "huge", accept_licence=True, table=table())
    with pytest.raises(ModelError, match=r"sees 2 channels at once \(a, b\).*--input-channels"):
        fetch_model(lake, "tiny", accept_licence=True, table=table(channels=["a", "b"]))
    assert server.asked == []


def test_a_hash_may_be_stated_where_the_table_has_none(
    lake: Lake, row: dict[str, Any], table: Callable[..., Path]
) -> None:
    given: dict[str, Any] = {"accept_licence": True, "table": table(sha256=None)}
    with pytest.raises(InputError, match="--sha256 is 'abc'; it must be 64 hexadecimal digits"):
        fetch_model(lake, "tiny", sha256="abc", **given)
    with pytest.raises(InputError, match=f"its SHA-256 is {row['sha256']}, not {'0' * 64}"):
        fetch_model(lake, "tiny", sha256="0" * 64, **given)
    with pytest.raises(InputError, match="--sha256 is not the hash that the table has of tiny"):
        fetch_model(lake, "tiny", accept_licence=True, sha256="0" * 64, table=table())
    table(sha256=None)
    assert fetch_model(lake, "tiny", sha256=row["sha256"], **given).num_dims == 192


def test_the_table_is_listed(
    table: Callable[..., Path], run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIDINO_MODEL_TABLE", str(table()))
    status, out, _ = run_cli("models", "fetch", "--json")
    assert status == 0
    assert json.loads(out)["name"] == "tiny"
    status, out, _ = run_cli("models", "fetch")
    assert status == 0
    assert "CC BY-NC 4.0" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "cannot read the table"),
        ("3", "cannot read the table"),
        ('[{"name": "x"}]', r"table.json: row 1 \('x'\): address: Field required"),
        (json.dumps([VALID, VALID | {"shape": 3}]), r"row 2 \('x'\): shape: Extra inputs"),
        (json.dumps([VALID, 3]), "row 2: Input should be"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(InputError, match=message):
        published_models(tmp_path / "table.json")
    with pytest.raises(InputError, match=r"cannot read the table .*absent.json"):
        published_models(tmp_path / "absent.json")


def test_a_table_has_one_row_of_a_name(table: Callable[..., Path]) -> None:
    path = table()
    path.write_text(json.dumps(2 * json.loads(path.read_text())))
    with pytest.raises(InputError, match="two rows of one name"):
        published_models(path)


def test_the_packages_table_can_be_imported_by() -> None:
    assert TABLE.is_file()
    for model in published_models():
        check_address(model.address)
        check_address(model.terms)
        assert timm.is_model(model.architecture) or model.architecture in PUBLISHED
        assert bool(model.channels) == (model.architecture == "subcell")
