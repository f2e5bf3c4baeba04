"""The data of a lake that the page keeps in memory between requests.

The catalog is opened only for short reads, so that other commands can write to it.
"""

from collections import OrderedDict
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import Thread

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, UnidinoError, choose
from unidino.explorer.cache import Cache, version
from unidino.explorer.colours import Colours, colours_of
from unidino.explorer.images import Images
from unidino.explorer.profile_sets import (
    ProfileFile,
    ProfileSet,
    files_of_wells,
    principal_points,
    read_sets,
    stored_points,
)
from unidino.explorer.query import Result, run_query
from unidino.explorer.wells import Wells, read_wells
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection
from unidino.scores.question import Question

Groups = dict[tuple[str, ...], pl.DataFrame]
FIRST_RULE = "nscp"
_MOST_QUERIES = 200


@dataclass(frozen=True)
class Mapped:
    """Points of a set of profiles: columns position (of the well), plate, well, x, y.

    method: that projected them; `pca` where the lake has no points of the wanted method.
    coordinates: x and y by plate and well. num_groups: number of sets of channels, which are
    projected separately.
    """

    points: pl.DataFrame
    method: str
    coordinates: dict[tuple[str, str], tuple[float, float]]
    num_groups: int


class CachedLake:
    """A lake with a cache of what was read last; it is read again after a command wrote to it."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.images = Images(lake)
        self._tables = Cache(30)
        self._colours = Cache(60)
        self._sets = Cache(2)
        self._points = Cache(12)
        self._results = Cache(4)
        self._queries: OrderedDict[str, str] = OrderedDict()
        self._pool: ProcessPoolExecutor | None = None
        self._maps: dict[tuple[str, str, str], Future[None]] = {}

    def plates(self) -> pl.DataFrame:
        """Every plate: plate_id, dataset, num_rows, num_columns, uri."""
        query = "select plate_id, dataset, num_rows, num_columns, uri from plate order by 2, 1"
        return self._tables.get(("plates", version(self.lake)), lambda: self.lake.look_up(query))

    def models(self) -> list[str]:
        """Names of the models."""
        rows = self._tables.get(
            ("models", version(self.lake)),
            lambda: self.lake.look_up("select model from model order by created, model"),
        )
        return rows["model"].to_list()

    def wells(self, dataset: str) -> Wells:
        """The wells of a dataset."""
        choose("dataset", dataset, self.plates()["dataset"].unique().sort().to_list())
        return self._tables.get(
            ("wells", dataset, version(self.lake)), lambda: read_wells(self.lake, dataset)
        )

    def colours(self, dataset: str, expression: str) -> Colours:
        """Colours of all wells of a dataset by a column or an SQL expression."""
        wells = self.wells(dataset)
        return self._colours.get(
            (dataset, expression, version(self.lake)),
            lambda: colours_of(wells.values(expression)),
        )

    def fits(self, dataset: str, condition: str) -> NDArray[np.bool_]:
        """Whether each well of a dataset (N,) fits an SQL condition."""
        wells = self.wells(dataset)
        return self._colours.get(
            ("fits", dataset, condition, version(self.lake)), lambda: wells.fits(condition)
        )

    def files(self) -> list[ProfileFile]:
        """Every file of well profiles."""
        return self._tables.get(("files", version(self.lake)), lambda: files_of_wells(self.lake))

    def file(self, model: str | None, normalization: str | None, dataset: str) -> ProfileFile:
        """The well profiles of a model and dataset.

        Raises InputError that names the command which makes them if there are none.
        """
        for file in self.files():
            if (file.model, file.normalization, file.dataset) == (model, normalization, dataset):
                return file
        if not self.models():
            raise InputError(
                "the lake has no model; make one with `unidino train` or `unidino models create`,"
                " then run `unidino embed` and `unidino profile`, or `unidino import-profiles`"
            )
        embedded = self._tables.get(
            ("embedded", version(self.lake)),
            lambda: self.lake.look_up(assets.sql("queries", "embedded_dataset")),
        ).filter(model=model, dataset=dataset)
        if len(embedded) and embedded["level"][0]:
            raise InputError(
                f"{model} was imported as {embedded['level'][0]} profiles of {dataset} and has no"
                " profiles of wells"
            )
        embeds = "" if len(embedded) else f"`unidino embed --model {model} --all`, then "
        raise InputError(
            f"{model} has no well profiles of {dataset}; make them with {embeds}`unidino profile"
            f" --model {model}`"
        )

    def sets(self, file: ProfileFile) -> list[ProfileSet]:
        """Profiles of a file, one set for each set of channels."""
        return self._sets.get((file.uri, file.sha256), lambda: read_sets(self.lake, file))

    def set_of(self, file: ProfileFile, plate: str | None, well: str | None = None) -> ProfileSet:
        """The set of profiles that has the well or the plate, else the largest set."""
        sets = self.sets(file)
        for profiles in sets if len(sets) > 1 else ():
            if (plate, well) in profiles.row or (
                well is None and plate in profiles.metadata["plate"].unique().to_pylist()
            ):
                return profiles
        return sets[0]

    def map(self, file: ProfileFile, plate: str | None, method: str) -> Mapped:
        """Points of the set of profiles that has the plate, else of the largest set."""
        used, groups = self._groups(file, method)
        channels = max(groups, key=lambda c: len(groups[c]))
        if len(groups) > 1:
            channels = next((c for c, g in groups.items() if plate in g["plate"]), channels)
        return self._points.get(
            (file.sha256, used, channels, version(self.lake)),
            lambda: _mapped(groups, channels, used, self.wells(file.dataset)),
        )

    def _groups(self, file: ProfileFile, method: str) -> tuple[str, Groups]:
        """The method that projected the profiles of a file, and their points by channels."""
        for stored_method in dict.fromkeys((method, "pca")):
            stored = self._points.get(
                (file.sha256, stored_method, version(self.lake)),
                partial(stored_points, self.lake, file, stored_method),
            )
            if stored is not None:
                return stored_method, stored
        points = self._points.get(
            (file.sha256, "not stored"),
            lambda: {p.channels: principal_points(p) for p in self.sets(file)},
        )
        return "pca", points

    def make_map(self, file: ProfileFile, method: str) -> None:
        """Start to project profiles in another process, which writes the points to the lake."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        key = (file.model, file.normalization, file.dataset)
        if key not in self._maps or self._maps[key].done():
            self._maps[key] = self._pool.submit(_project, self.lake.path, method, *key)

    def map_state(self, file: ProfileFile) -> str | None:
        """`making` while a map is projected, the message if it failed, else None."""
        future = self._maps.get((file.model, file.normalization, file.dataset))
        if future is None:
            return None
        if not future.done():
            return "making"
        error = future.exception()
        return f"the map failed: {error}" if error else None

    def run(self, query: str) -> Result:
        """The first rows of a query, which is kept under its token."""
        result = run_query(self.lake, query)
        self._queries[result.token] = query
        while len(self._queries) > _MOST_QUERIES:
            self._queries.popitem(last=False)
        self._results.put((result.token, version(self.lake)), result)
        return result

    def result(self, token: str) -> Result:
        """The result of the query with this token."""
        return self._results.get(
            (token, version(self.lake)), lambda: run_query(self.lake, self.query(token))
        )

    def query(self, token: str) -> str:
        """The query with this token.

        Raises InputError if it was not run since the start of the server.
        """
        if token not in self._queries:
            raise InputError("the server does not know this query; run it again")
        return self._queries[token]

    def warm(self, model: str | None) -> None:
        """Start to read in the background what the first page shows."""
        plates = self.plates()
        if plates.is_empty():
            return
        dataset = plates["dataset"][0]

        def read() -> None:
            try:
                wells = self.wells(dataset)
                files = [f for f in self.files() if f.dataset == dataset]
                chosen = [f for f in files if f.model == model] or files
                if chosen and len(wells.table):
                    self.map(chosen[0], None, "umap")
                    first = next(iter(self.sets(chosen[0])[0].row))
                    question = Question(FIRST_RULE, label="moa")
                    self.sets(chosen[0])[0].neighbours(*first, question)
            except UnidinoError:
                return  # the page shows the error when it asks for the same data

        Thread(target=read, daemon=True).start()

    def close(self) -> None:
        """Stop the processes in the background."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _mapped(groups: Groups, channels: tuple[str, ...], method: str, wells: Wells) -> Mapped:
    points = groups[channels]
    keys = list(zip(points["plate"].to_list(), points["well"].to_list(), strict=True))
    position = pl.Series([wells.position.get(key) for key in keys], dtype=pl.Int64)
    xy = zip(points["x"].to_list(), points["y"].to_list(), strict=True)
    coordinates = dict(zip(keys, xy, strict=True))
    of_wells = points.with_columns(position=position).drop_nulls("position")
    return Mapped(of_wells, method, coordinates, len(groups))


def _project(path: Path, method: str, model: str, normalization: str, dataset: str) -> None:
    from unidino.insight.projection import project

    selection = Selection([model], [dataset], normalize=normalization)
    project(Lake.open(path), selection, method=method)
