"""The data of a lake that the page keeps in memory between requests.

The catalog is opened only for short reads, so that other commands can write to it. SQL that users
wrote runs in processes of its own, on a copy of the catalog.
"""

import contextlib
from collections import OrderedDict
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from uuid import uuid4

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, UnidinoError, choose
from unidino.core.processes import processes
from unidino.explorer.apart import Apart
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
from unidino.explorer.query import Result, run_query, write_file
from unidino.explorer.wells import Wells, evaluated, read_wells
from unidino.lake.copied import Copies
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection
from unidino.scores.question import Question

Groups = dict[tuple[str, ...], pl.DataFrame]
FIRST_RULE = "nscp"
_FIRST_PAGE_S = 3.0  # the two cores of a small machine are then for the first page alone
_MOST_QUERIES = 200
_QUERY_S, _EXPRESSION_S = 60.0, 20.0  # then the process that runs it is ended


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
        self._apart: Apart | None = None
        self._copies: Copies | None = None
        self._starting = Lock()
        self._is_closed = Event()
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
        key = (dataset, expression, version(self.lake))
        if expression in wells.table.columns or key in self._colours:
            return self._colours.get(key, lambda: colours_of(wells.values(expression)))
        with self.apart.asked():
            return self._colours.get(
                key, lambda: colours_of(wells.values(expression, self._evaluate))
            )

    def fits(self, dataset: str, condition: str) -> NDArray[np.bool_]:
        """Whether each well of a dataset (N,) fits an SQL condition."""
        wells = self.wells(dataset)
        key = ("fits", dataset, condition, version(self.lake))
        if not condition.strip() or key in self._colours:
            return self._colours.get(key, lambda: wells.fits(condition))
        with self.apart.asked():
            return self._colours.get(key, lambda: wells.fits(condition, self._evaluate))

    def _evaluate(self, table: pl.DataFrame, query: str) -> pl.DataFrame:
        return self.apart.run(evaluated, table, query, patience_s=_EXPRESSION_S)

    @property
    def apart(self) -> Apart:
        """The processes that run SQL of users."""
        with self._starting:
            if self._apart is None:
                self._apart = Apart()
            return self._apart

    def _copied(self) -> Lake:
        """The lake behind a copy of its catalog, which queries may read for long."""
        folder = self.apart.folder
        with self._starting:
            if self._copies is None:
                self._copies = Copies(self.lake, folder)
        return self._copies.latest()

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
            self._pool = processes(1)
        key = (file.model, file.normalization, file.dataset)
        if key not in self._maps or self._maps[key].done():
            self._maps[key] = self._pool.submit(_project, self.lake.address, method, *key)

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
        result = self._run(query)
        self._queries[result.token] = query
        while len(self._queries) > _MOST_QUERIES:
            self._queries.popitem(last=False)
        self._results.put((result.token, version(self.lake)), result)
        return result

    def _run(self, query: str) -> Result:
        with self.apart.asked():
            return self.apart.run(run_query, self._copied(), query, patience_s=_QUERY_S)

    def result(self, token: str) -> Result:
        """The result of the query with this token."""
        return self._results.get((token, version(self.lake)), lambda: self._run(self.query(token)))

    def rows_file(self, token: str, kind: str) -> Path:
        """A new file with all rows of the query with this token, in one of `query.FORMATS`."""
        query, path = self.query(token), self.apart.folder / f"{uuid4().hex}.{kind}"
        with self.apart.asked():
            self.apart.run(write_file, self._copied(), query, kind, path, patience_s=_QUERY_S)
        return path

    def query(self, token: str) -> str:
        """The query with this token.

        Raises InputError if it was not run since the start of the server.
        """
        if token not in self._queries:
            raise InputError("the server does not know this query; run it again")
        return self._queries[token]

    def warm(self, model: str | None) -> None:
        """Start to read in the background what the page shows: the wells first.

        What costs more waits until the first page had time to appear, or is asked for.
        """
        plates = self.plates()
        if plates.is_empty():
            return
        dataset = plates["dataset"][0]

        def read() -> None:
            try:
                wells = self.wells(dataset)
                if self._is_closed.wait(_FIRST_PAGE_S):
                    return
                files = [f for f in self.files() if f.dataset == dataset]
                chosen = [f for f in files if f.model == model] or files
                if chosen and len(wells.table):
                    self.map(chosen[0], None, "umap")
                    first = next(iter(self.sets(chosen[0])[0].row))
                    question = Question(FIRST_RULE, label="moa")
                    self.sets(chosen[0])[0].neighbours(*first, question)
            except UnidinoError:
                return  # the page shows the error when it asks for the same data

        def start() -> None:
            if not self._is_closed.wait(_FIRST_PAGE_S):
                with contextlib.suppress(UnidinoError):
                    self.apart.start()

        for work in (read, start):
            Thread(target=work, daemon=True).start()

    def close(self) -> None:
        """Stop the processes in the background."""
        self._is_closed.set()
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        with self._starting:
            if self._apart is not None:
                self._apart.close()


def _mapped(groups: Groups, channels: tuple[str, ...], method: str, wells: Wells) -> Mapped:
    points = groups[channels]
    keys = list(zip(points["plate"].to_list(), points["well"].to_list(), strict=True))
    position = pl.Series([wells.position.get(key) for key in keys], dtype=pl.Int64)
    xy = zip(points["x"].to_list(), points["y"].to_list(), strict=True)
    coordinates = dict(zip(keys, xy, strict=True))
    of_wells = points.with_columns(position=position).drop_nulls("position")
    return Mapped(of_wells, method, coordinates, len(groups))


def _project(address: str, method: str, model: str, normalization: str, dataset: str) -> None:
    from unidino.insight.projection import project

    selection = Selection([model], [dataset], normalize=normalization)
    project(Lake.open(address), selection, method=method)
