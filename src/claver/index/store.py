"""The windows of an index: one row each, in a LanceDB table, with the id of its file in place of the path."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from claver.errors import ClaverError
from claver.index.vectors import config, name_of, partitions_in, partitions_of, probes_of

Halves = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
TABLE = "windows"
_KEPT_FOR = timedelta(minutes=10)
"""Replaced data stays so long for whoever is reading it."""
_FRAGMENTS = 32
"""Appends before files are merged: each adds one, and a search opens all."""
_UNINDEXED, _SMALL = 100_000, 64
"""Windows, or small files, that gather before an index of vectors takes them in: each time it is written anew."""


@dataclass(frozen=True)
class Rows:
    """Windows of an index.

    Attributes:
        files: the id of each one's file [W].
        starts: seconds at which each begins [W].
        stops: seconds at which it ends [W].
        vectors: of length 1 [W, E]; none [W, 0] where they were not read.
    """

    files: Ints
    starts: Floats
    stops: Floats
    vectors: Halves = field(repr=False)

    def __len__(self) -> int:
        return len(self.files)

    @classmethod
    def joined(cls, parts: Sequence[Rows], width: int = 0) -> Rows:
        """All windows of some parts; none of such a width if there is no part."""
        empty = cls(np.empty(0, np.int32), *(np.empty(0, np.float32),) * 2, np.empty((0, width), np.float16))
        given = list(parts) or [empty]
        names = ("files", "starts", "stops", "vectors")
        return cls(*(np.concatenate([getattr(part, name) for part in given]) for name in names))

    def select(self, index: Any) -> Rows:
        """Those at an index, as of NumPy."""
        return Rows(self.files[index], self.starts[index], self.stops[index], self.vectors[index])


class WindowStore:
    """The LanceDB table of an index."""

    def __init__(self, folder: Path, width: int, *, write: bool = False) -> None:
        """Open or, to write, make it.

        Raises:
            ClaverError: LanceDB is not installed, or there is no such table.
        """
        lancedb = _lancedb()
        self.width = width
        self._appended = 0
        try:
            database = lancedb.connect(str(folder))
            if write:
                self._table = database.create_table(TABLE, schema=self._schema(), exist_ok=True)
            else:
                self._table = database.open_table(TABLE)
        except Exception as error:  # of Rust, of no common kind
            raise ClaverError(f"{folder} cannot be read as an index: {_in_short(error)}") from error

    def _schema(self) -> Any:
        import pyarrow as pa

        numbers = [("start", pa.float32()), ("stop", pa.float32())]
        return pa.schema([("file", pa.int32()), *numbers, ("vector", pa.list_(pa.float16(), self.width))])

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def append(self, rows: Rows) -> None:
        """Add windows; on disk when this returns. Now and then small files of the table are merged."""
        import pyarrow as pa

        vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.vectors.reshape(-1)), self.width)
        columns = [pa.array(rows.files), pa.array(rows.starts), pa.array(rows.stops), vectors]
        self._table.add(pa.Table.from_arrays(columns, schema=self._schema()))
        self._appended += 1
        if self._appended % _FRAGMENTS == 0:
            self.compact()

    def compact(self) -> None:
        """Merge small files, take new windows into the index of vectors, and drop what was replaced some time ago.

        Where vectors are indexed this waits until much has gathered: LanceDB does all of it or nothing, which takes
        minutes for a million. Until then new windows are compared one by one.
        """
        if self.partitions is None or self.unindexed() >= _UNINDEXED or self._small_files() >= _SMALL:
            self._table.optimize(cleanup_older_than=_KEPT_FOR)

    def _small_files(self) -> int:
        return int(self._table.stats()["fragment_stats"]["num_small_fragments"])

    def build(self) -> int:
        """Index all vectors; one that is there is replaced, and stays in use until the new one is complete.

        Returns:
            How many windows were indexed.

        Raises:
            ClaverError: there are no windows, or LanceDB cannot index them.
        """
        windows = len(self)
        if not windows:
            raise ClaverError("the index has no windows yet, whose vectors could be indexed; add videos first")
        name = name_of(partitions_of(windows))
        old = [one for one in self._indexes() if one != name]
        try:
            with _quiet():
                self._table.create_index("vector", config=config(partitions_of(windows)), name=name, replace=True)
                for one in old:
                    self._table.drop_index(one)
        except Exception as error:  # of Rust, of no common kind
            raise ClaverError(f"the vectors cannot be indexed: {_in_short(error)}") from error
        return windows

    @property
    def partitions(self) -> int | None:
        """Partitions of the index of vectors; None if none was built."""
        return partitions_in(self._indexes())

    def unindexed(self) -> int:
        """Windows that the index of vectors does not have; all if there is none. They are found all the same."""
        partitions = self.partitions
        if partitions is None:
            return len(self)
        return int(self._table.index_stats(name_of(partitions)).num_unindexed_rows)

    def _indexes(self) -> list[str]:
        return [str(one.name) for one in self._table.list_indices()]

    def delete(self, ids: Sequence[int]) -> None:
        """Remove the windows of files."""
        for part in _parts(ids):
            self._table.delete(where_files(part))

    def counts(self) -> dict[int, int]:
        """How many windows each file has."""
        files, counts = np.unique(self.spans().files, return_counts=True)
        return dict(zip(files.tolist(), counts.tolist(), strict=True))

    def spans(self) -> Rows:
        """All windows without vectors."""
        return self._read(self._table.search().select(["file", "start", "stop"]))

    def of_files(self, ids: Sequence[int]) -> Rows:
        """The windows of some files with their vectors, in order of file and time."""
        parts = [self._read(self._table.search().where(where_files(part))) for part in _parts(ids)]
        rows = Rows.joined(parts, self.width)
        return rows.select(np.lexsort((rows.starts, rows.files)))

    def sample(self, count: int) -> Halves:
        """Vectors of windows drawn at random, the same each time for the same windows [at most count, E]."""
        total = len(self)
        if not total:
            return np.empty((0, self.width), np.float16)
        chosen = np.random.default_rng(0).choice(total, min(count, total), replace=False)
        found = self._table.take_offsets(sorted(chosen.tolist())).select(["vector"]).to_arrow()
        return _vectors(found.column("vector").combine_chunks(), self.width)

    def _read(self, query: Any) -> Rows:
        with _quiet():
            found = query.to_arrow().combine_chunks()
        files, starts, stops = (_column(found, name) for name in ("file", "start", "stop"))
        if "vector" not in found.column_names:
            return Rows(files, starts, stops, np.empty((len(files), 0), np.float16))
        vectors = [_vectors(chunk, self.width) for chunk in found.column("vector").chunks]
        return Rows(files, starts, stops, np.concatenate(vectors or [np.empty((0, self.width), np.float16)]))

    def nearest(
        self,
        query_E: npt.NDArray[np.float32],
        count: int,
        *,
        files: Sequence[int] | None = None,
        exact: bool = False,
    ) -> Rows:
        """The windows that are most like a vector, most alike first, without vectors.

        Where an index of vectors was built it says which are compared; else, and of windows it does not have, all are.

        Args:
            query_E: the vector.
            count: how many.
            files: ids of the files they may be of; all if None.
            exact: compare all windows in any case.
        """
        search = self._table.search(query_E.astype(np.float16)).limit(count)
        search = search.select(["file", "start", "stop", "_distance"])
        partitions = None if exact else self.partitions
        if partitions is None:
            search = search.distance_type("dot").bypass_vector_index()
        else:
            search = search.distance_type("cosine").nprobes(probes_of(partitions, len(self))).refine_factor(1)
        if files is not None:
            search = search.where(where_files(files), prefilter=True)
            if partitions is not None:  # up to all of them, for these files may lie in a few
                search = search.maximum_nprobes(0)
        return self._read(search)


def where_files(ids: Sequence[int]) -> str:
    """A condition that rows of these files meet, as ranges: files of a folder mostly have ids one after the other."""
    order = np.unique(np.asarray(ids, dtype=np.int64))
    if not len(order):
        return "false"
    runs = np.split(order, np.flatnonzero(np.diff(order) != 1) + 1)
    single = [str(run[0]) for run in runs if len(run) == 1]
    ranges = [f"(file >= {run[0]} AND file <= {run[-1]})" for run in runs if len(run) > 1]
    return " OR ".join([*ranges, *([f"file IN ({', '.join(single)})"] if single else [])])


def _parts(ids: Sequence[int], most: int = 1000) -> list[Sequence[int]]:
    """Conditions of bounded length."""
    order = sorted(ids)
    return [order[at : at + most] for at in range(0, len(order), most)]


def _column(table: Any, name: str) -> Any:
    return table.column(name).to_numpy()


def _vectors(column: Any, width: int) -> Halves:
    values = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float16).reshape(-1, width)


def _quiet() -> Any:
    return warnings.catch_warnings(action="ignore")


def _lancedb() -> Any:
    os.environ.setdefault("LANCE_LOG", "error")  # its other remarks are for its developers
    try:
        import lancedb
    except ImportError:
        raise ClaverError("an index needs lancedb; pip install 'claver[search]'") from None
    return lancedb


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
