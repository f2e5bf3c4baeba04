"""Commands that explain what profiles say."""

from pathlib import Path
from typing import Annotated

import typer

from unidino.catalog import Lake
from unidino.cli.output import DEFAULT_LAKE, JsonOption, LakeOption, emit


def attribute(
    model: Annotated[str, typer.Option(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    label: Annotated[str, typer.Option(help="moa, compound, target ...")] = "moa",
    level: Annotated[str, typer.Option(help="See `unidino profile`.")] = "well",
    normalize: Annotated[str, typer.Option(help="See `unidino profile`.")] = "mad_robustize",
    top: Annotated[int, typer.Option(help="Most important features to count.")] = 50,
    seed: Annotated[int, typer.Option()] = 0,
    where: Annotated[str | None, typer.Option(help="SQL condition over profile.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which channels tell the classes of a label apart."""
    from unidino import attribution

    found = attribution.attribute(
        Lake.open(lake), model, label=label, level=level, normalize=normalize, top=top, seed=seed,
        where=where,
    )  # fmt: skip
    wide = found.shares.pivot("channel", index=["dataset", "class", "num_profiles"], values="share")
    emit(as_json, found.shares.to_dicts(), wide)


def report(
    lake: LakeOption = DEFAULT_LAKE,
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("report.html"),
    model: Annotated[str | None, typer.Option(help="For the channels; default: the best.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one self-contained page about the lake."""
    from unidino import report as module

    path = module.report(Lake.open(lake), output, model=model)
    emit(as_json, {"report": str(path), "bytes": path.stat().st_size})


def explore(
    lake: LakeOption = DEFAULT_LAKE,
    model: Annotated[
        str | None, typer.Option(help="Shown first; default: one with profiles.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of 127.0.0.1; 0: a free one.")
    ] = 8050,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Serve a page over the lake on this machine until Ctrl C."""
    import webbrowser

    from unidino import explore as module

    server = module.explore(Lake.open(lake), model=model, port=port)
    emit(as_json, {"url": server.url, "lake": str(lake)})
    if browser:
        webbrowser.open(server.url)
    server.run()
