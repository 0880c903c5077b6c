"""`Index`: folders of videos that can be searched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from claver.errors import ClaverError
from claver.files import only_writer
from claver.index.building import AddReport, Builder, Encode, Progress, checked_inputs
from claver.index.files import digest_of, is_below
from claver.index.moments import moments
from claver.index.query import Query, clip_query, text_query
from claver.index.registry import FileRecord, Registry
from claver.index.result import Hit, SearchResult
from claver.index.settings import FPS, IndexSettings, fingerprint_of
from claver.index.store import WindowStore
from claver.index.vectors import grown
from claver.inference.encoder import VideoEncoder
from claver.inference.many_videos import encode_videos
from claver.inference.recognizer import Recognizer
from claver.inference.windows import WindowEncoder
from claver.log import warn_once
from claver.text.encoding import Progress as TextProgress
from claver.video.damage import OnDamage, checked_on_damage
from claver.video.prefetch import DECODE_TIMEOUT

if TYPE_CHECKING:
    from claver.models import Claver

_FILES = "files.sqlite"
_SAMPLE = 4096  # windows that a clip is compared with for what is usual
_CANDIDATES = 50  # windows that are looked at for each moment that is wanted
_FEWEST_CANDIDATES = 2000
_FILES_AT_LEAST, _ROUNDS = 100, 5
_MANY = 1_000_000  # windows; comparing all takes more than a second
_AT_ONCE = 200_000  # windows that are scored at once: days of film are not held in memory together


@dataclass(frozen=True)
class IndexInfo:
    """What an index holds.

    Attributes:
        files: videos that can be found.
        windows: of all of them.
        hours: of video.
        failed: videos that cannot be found, each with the reason.
        settings: what it was made with.
        indexed: windows that the index of vectors has; None if none was built.
        outgrown: whether the index of vectors was built for far fewer windows, and should be built again.
    """

    files: int
    windows: int
    hours: float
    failed: tuple[tuple[str, str], ...]
    settings: IndexSettings
    indexed: int | None = None
    outgrown: bool = False


class Index:
    """Videos of folders, as vectors of their windows in a folder of its own; the videos stay where they are.

        >>> index = claver.Index.open("my.index")
        >>> index.add("videos/", model)
        >>> print(index.search("someone enters a room", model))

    Attributes:
        path: the folder of the index.
    """

    def __init__(self, path: str | Path) -> None:
        """Name its folder; nothing is opened, and nothing made until something is added."""
        self.path = Path(path)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An index that is there, or is to be made by `add`."""
        return cls(path)

    @property
    def exists(self) -> bool:
        """Whether anything was added."""
        return (self.path / _FILES).is_file()

    def add(
        self,
        folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        model: Claver | Recognizer,
        *,
        fps: float | None = None,
        stride: int | None = None,
        frames: int | None = None,
        batch_size: int = 8,
        damaged: OnDamage = "answer",
        retry: bool = False,
        forget: bool = False,
        workers: int = 0,
        decode_timeout: float | None = DECODE_TIMEOUT,
        encode: Callable[[WindowEncoder], Encode] | None = None,
        origin: dict[str, Any] | None = None,
        progress: Progress = lambda done: None,
    ) -> AddReport:
        """Bring the index up to date with folders: only what is new or changed is decoded, and a killed run resumes.

        Args:
            folders: of videos, or files; what lies in none of them stays as it is.
            model: which encodes, always the same.
            fps: frames looked at in a second; 2 for a new index if None.
            stride: frames from one window to the next; half a window for a new index if None.
            frames: T, frames of a window; the model's own for a new index if None.
            batch_size: windows computed at once.
            damaged: what is done with damaged videos: `answer` indexes them, `skip` and `fail` do not.
            retry: try files again that failed before and have not changed.
            forget: remove files, too, whose whole folder is gone or empty, as when a disk is not mounted.
            workers: processes that decode, so that a file on which a decoder crashes costs itself alone and is not
                tried again; spawned, so a script that asks for them needs `if __name__ == "__main__":`. With 0 a thread
                of this process decodes.
            decode_timeout: seconds without a frame after which a worker gives a file up, None for never.
            encode: given the encoder, what encodes files elsewhere, as in actors of Ray; None for here.
            origin: how a command opens the model.
            progress: called as files come and go.

        Raises:
            ClaverError: LanceDB is missing, another process is writing, the index was made with another model or other
                settings, its folder holds something else, or a folder is not there.
        """
        inputs = checked_inputs(folders)
        checked_on_damage(damaged)
        self.path.absolute().parent.mkdir(parents=True, exist_ok=True)  # for the lock
        with only_writer(self.path):
            self._require_own_folder()
            encoder = self._encoder(model, fps, stride, frames, batch_size)
            settings = IndexSettings.of(encoder, origin)
            self.path.mkdir(exist_ok=True)
            with closing(Registry(self.path / _FILES, write=True)) as registry:
                if registry.meta("settings") is None:
                    registry.set_meta("settings", settings.to_dict())
                store = WindowStore(self.path, settings.width, write=True)
                made = _encode(encoder, workers, decode_timeout) if encode is None else encode(encoder)
                report = Builder(registry, store, damaged, retry, forget, made, progress).run(inputs)
                store.compact()
                return report

    def build(self) -> int:
        """Index the vectors, so that a search of more than about a million windows need not compare them all.

        Windows that are added later are found, too: they are compared one by one until `add` takes many of them into
        it. Interrupted, it leaves everything as it was; searching goes on meanwhile.

        Returns:
            How many windows were indexed.

        Raises:
            ClaverError: there is no index or it has no windows, LanceDB is missing, or another process is writing.
        """
        settings = self.settings()
        with only_writer(self.path):
            return WindowStore(self.path, settings.width, write=True).build()

    def _require_own_folder(self) -> None:
        """Raise `ClaverError` if something else is at the path."""
        if self.path.exists() and not self.exists and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ClaverError(f"{self.path} is no index of claver; name a folder that does not exist yet")

    def _encoder(
        self, model: Claver | Recognizer, fps: float | None, stride: int | None, frames: int | None, batch_size: int
    ) -> WindowEncoder:
        """That of the index, if what is given agrees with it; else a new one."""
        given = VideoEncoder(_model_of(model), frames=frames)
        if not self.exists:
            return WindowEncoder(given, fps=FPS if fps is None else fps, stride=stride, batch_size=batch_size)
        own = self.settings()
        rate, step = own.fps if fps is None else fps, own.stride if stride is None else stride
        inner = VideoEncoder(given.model, frames=own.frames if frames is None else frames)
        encoder = WindowEncoder(inner, fps=rate, stride=step, batch_size=batch_size)
        own.require(IndexSettings.of(encoder), str(self.path))
        return encoder

    def settings(self) -> IndexSettings:
        """What it was made with.

        Raises:
            ClaverError: there is no index.
        """
        with self._reading() as registry:
            return IndexSettings.from_dict(registry.meta("settings"))

    def info(self) -> IndexInfo:
        """What it holds.

        Raises:
            ClaverError: there is no index, or LanceDB is missing.
        """
        with self._reading() as registry:
            records, settings = registry.records(), IndexSettings.from_dict(registry.meta("settings"))
        done = [record for record in records if record.state == "done"]
        failed = tuple((record.path, record.reason) for record in records if record.state != "done")
        hours = sum(record.seconds for record in done) / 3600
        windows, (indexed, outgrown) = sum(record.windows for record in done), self._indexed(settings.width)
        return IndexInfo(len(done), windows, hours, failed, settings, indexed, outgrown)

    def _indexed(self, width: int) -> tuple[int | None, bool]:
        """Windows that the index of vectors has, and whether it was built for far fewer."""
        store = WindowStore(self.path, width)
        if store.partitions is None:
            return None, False
        left = store.unindexed()
        return len(store) - left, left > _MANY or grown(len(store), store.partitions)

    @contextmanager
    def _reading(self) -> Iterator[Registry]:
        if not self.exists:
            raise ClaverError(f"there is no index at {self.path}; make one: claver index FOLDER --index {self.path}")
        with closing(Registry(self.path / _FILES)) as registry:
            if registry.meta("settings") is None:
                raise ClaverError(f"the index at {self.path} was never finished; add a folder to it")
            yield registry

    def search(
        self,
        query: str | Sequence[str] | None,
        model: Claver | Recognizer,
        *,
        top: int = 20,
        folder: str | os.PathLike[str] | None = None,
        like: str | os.PathLike[str] | None = None,
        negative: str | Sequence[str] = (),
        exact: bool = False,
        cache: Path | bool | None = True,
        progress: TextProgress = lambda done, total: None,
    ) -> SearchResult:
        """Find moments; how they are scored is in `claver.index.query`.

        Args:
            query: a text, several of one meaning, or None where a clip is given.
            model: the one that the index was made with.
            top: how many moments at most.
            folder: look only at videos below it.
            like: look for what a clip shows; that clip itself is left out.
            negative: texts that are not meant.
            exact: compare all windows, though an index of vectors was built.
            cache: where vectors of texts are cached, as in `TextBank.encode`.
            progress: called as texts are encoded.

        Raises:
            ClaverError: there is no index, it was made with another model, or neither or both of text and clip.
            VideoError: the clip cannot be read.
        """
        if top < 1:
            raise ClaverError(f"top is a number of moments, at least 1, not {top}")
        if (query is None) == (like is None):
            raise ClaverError("a search takes either a text or a clip")
        if like is not None and negative:
            raise ClaverError("texts that are not meant go with a text, not with a clip")
        inner = _model_of(model)
        with self._reading() as registry:
            settings = IndexSettings.from_dict(registry.meta("settings"))
            settings.require_model(fingerprint_of(inner), str(self.path))
            records = _below(registry.records(), folder, like)
        store = WindowStore(self.path, settings.width)
        asked: Query
        if like is not None:
            asked = clip_query(Path(like), settings.encoder(inner), store.sample(_SAMPLE), len(store))
        else:
            assert query is not None
            given: dict[str, Any] = {"negative": negative, "cache": cache, "progress": progress}
            asked = text_query(query, inner, files=len(records), **given)
        if not exact and len(store) > _MANY and store.partitions is None:
            warn_once(f"a search is faster after `claver index --index {self.path} --build`: all windows are compared")
        hits = _hits(asked, store, records, top, exact)
        windows = sum(record.windows for record in records.values())
        return SearchResult(asked.words, hits, windows, exact or store.partitions is None)

    def __repr__(self) -> str:
        return f"Index({str(self.path)!r})"


def _encode(encoder: WindowEncoder, workers: int, decode_timeout: float | None) -> Encode:
    settings: dict[str, Any] = {"workers": workers, "decode_timeout": decode_timeout, "note": digest_of}
    return lambda paths, glance: encode_videos(encoder, paths, glance=glance, **settings)


def _model_of(model: Claver | Recognizer) -> Claver:
    return model.model if isinstance(model, Recognizer) else model


def _below(
    records: Sequence[FileRecord], folder: str | os.PathLike[str] | None, without: str | os.PathLike[str] | None
) -> dict[int, FileRecord]:
    """Videos by id: those of a folder, if one is given, and without one."""
    done = {record.id: record for record in records if record.state == "done"}
    if without is not None:
        left_out = os.path.realpath(without)
        done = {number: record for number, record in done.items() if record.path != left_out}
    if folder is None:
        return done
    top = os.path.realpath(folder)
    below = {number: record for number, record in done.items() if is_below(record.path, top)}
    if not below:
        raise ClaverError(f"the index has no video below {os.fspath(folder)}; leave --folder out, or index that folder")
    return below


def _hits(query: Query, store: WindowStore, records: dict[int, FileRecord], top: int, exact: bool) -> tuple[Hit, ...]:
    """The best moments: windows that are most like the query, and all windows of their videos scored."""
    if not records:
        return ()
    count = max(_FEWEST_CANDIDATES, _CANDIDATES * top)
    whole = sum(record.windows for record in records.values()) == len(store)
    closest: dict[int, None] = {}
    for vector in query.directions:
        left, best_first = dict.fromkeys(records), dict[int, None]()
        for _ in range(_ROUNDS):  # windows of one long video may be all of the first
            files = None if whole and len(left) == len(records) else list(left)
            near = store.nearest(vector.numpy(), count, files=files, exact=exact)
            found = dict.fromkeys(number for number in near.files.tolist() if number in left)
            best_first |= found
            left = {number: None for number in left if number not in found}
            if not left or not found or len(best_first) >= top:
                break
        closest |= dict.fromkeys(list(best_first)[: _FILES_AT_LEAST + 8 * top])
    hits: list[Hit] = []
    for group in _groups(list(closest), records):
        rows = store.of_files(group)
        scores = query.scores(rows.vectors)
        for number in group:
            own = rows.files == number
            for one in moments(rows.starts[own], rows.stops[own], scores[own], top):
                hits.append(Hit(records[number].path, one.start, one.stop, one.score, one.best))
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.path, hit.start))[:top])


def _groups(numbers: Sequence[int], records: dict[int, FileRecord]) -> Iterator[list[int]]:
    """Videos in groups of a bounded number of windows, or one alone."""
    group: list[int] = []
    windows = 0
    for number in numbers:
        windows += records[number].windows
        if group and windows > _AT_ONCE:
            yield group
            group, windows = [], records[number].windows
        group.append(number)
    if group:
        yield group
