"""Visitors and their files: few, bounded, each in a private folder, deleted when replaced, left or forgotten."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from threading import RLock
from typing import Any

from claver.app.decoding import Facts
from claver.app.job import Job
from claver.app.limits import Limits
from claver.errors import ClaverError
from claver.terminal import shown

_LONGEST_NAME = 80
_MOST_SERVED = 200
"""Addresses of a visitor: each moment of a search has two."""


@dataclass(frozen=True)
class Served:
    """What a visitor's browser may fetch: a file, or a text made for a download.

    Attributes:
        media_type: that it is sent as.
        path: of the file.
        text: makes the text, if there is no file.
        make: makes the file when it is first asked for, and gives its path.
        download: the name under which a browser is to save it; None for what is shown.
    """

    media_type: str
    path: str | None = None
    text: Callable[[], str] | None = None
    make: Callable[[], str] | None = None
    download: str | None = None


@dataclass(frozen=True)
class Clip:
    """A video of a visitor.

    Attributes:
        key: by which pages name it; nobody can guess it.
        path: where it lies.
        name: what its owner calls it, as one harmless line.
        facts: what is known of it.
        address: where a browser plays it.
        note: what differs in what the browser plays; empty if nothing does.
    """

    key: str
    path: str
    name: str
    facts: Facts
    address: str
    note: str = ""


@dataclass(eq=False)
class Visitor:
    """One open page, or one client of the API.

    Attributes:
        folder: private, of this visitor alone.
        clips: by key, the oldest first.
        kept: whatever a tab remembers of the visitor, by the tab's name.
    """

    folder: Path
    clips: OrderedDict[str, Clip] = field(default_factory=OrderedDict)
    kept: dict[str, Any] = field(default_factory=dict)
    served: OrderedDict[str, Served] = field(default_factory=OrderedDict)
    seen: float = field(default_factory=time.monotonic)
    job: Job | None = None

    def stop(self) -> bool:
        """Stop the work that goes on, if any; whether there was some."""
        job = self.job
        if job is not None:
            job.stop()
        return job is not None


def display_name(path: str) -> str:
    """The name of a file as one harmless line, not too long."""
    name = shown(PurePath(path).name)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 20]}…{name[-19:]}"


class Visitors:
    """All visitors, by the name that Gradio gives to a session.

    Args:
        folder: private to this process; gone with it.
        limits: how many there may be, and how much they may store.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._lock = RLock()
        self._visitors: OrderedDict[str, Visitor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._visitors)

    def of(self, session: str) -> Visitor:
        """The visitor of a session, a new one if there is none; the one not seen for longest makes room."""
        with self._lock:
            self.forget_idle()
            if session not in self._visitors:
                while len(self._visitors) >= self.limits.visitors:
                    self.leave(next(iter(self._visitors)))
                folder = self.folder / secrets.token_hex(16)
                folder.mkdir(mode=0o700)
                self._visitors[session] = Visitor(folder)
            visitor = self._visitors[session]
            visitor.seen = time.monotonic()
            self._visitors.move_to_end(session)
            return visitor

    def leave(self, session: str) -> None:
        """A visitor leaves: work stops, files are deleted."""
        with self._lock:
            visitor = self._visitors.pop(session, None)
        if visitor is not None:
            visitor.stop()
            visitor.clips.clear()
            visitor.served.clear()
            visitor.kept.clear()
            shutil.rmtree(visitor.folder, ignore_errors=True)

    def forget_idle(self) -> None:
        """Those who showed no sign of life for long leave."""
        before = time.monotonic() - self.limits.idle_seconds
        for session, visitor in list(self._visitors.items()):
            if visitor.seen < before and visitor.job is None:
                self.leave(session)

    @contextmanager
    def working(self, visitor: Visitor, job: Job) -> Iterator[Job]:
        """Within this context the visitor has work that goes on.

        Raises:
            ClaverError: there is some already.
        """
        with self._lock:
            if visitor.job is not None:
                raise ClaverError("your last request is still being worked on; wait for it, or stop it")
            visitor.job = job
        try:
            yield job
        finally:
            visitor.job, visitor.seen = None, time.monotonic()

    def keep(self, visitor: Visitor, clip: Clip) -> None:
        """Remember a clip; the oldest ones beyond the limit are deleted."""
        with self._lock:
            visitor.clips[clip.key] = clip
            while len(visitor.clips) > self.limits.clips:
                self._delete(visitor, next(iter(visitor.clips)))

    def _delete(self, visitor: Visitor, key: str) -> None:
        clip = visitor.clips.pop(key)
        visitor.served.pop(clip.address.rpartition("/")[2], None)
        shutil.rmtree(visitor.folder / clip.key, ignore_errors=True)

    def clip(self, visitor: Visitor, key: str) -> Clip:
        """The clip of that key.

        Raises:
            ClaverError: the visitor has no such clip, or no longer.
        """
        found = visitor.clips.get(key)
        if found is None:
            raise ClaverError("choose a video first" if not key else "that video was deleted here; choose it again")
        return found

    def serve(self, visitor: Visitor, served: Served) -> str:
        """The address, relative to the page, under which the visitor's browser fetches something from now on."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            visitor.served[key] = served
            while len(visitor.served) > _MOST_SERVED:
                visitor.served.popitem(last=False)
        return f"media/{key}"

    def withdraw(self, visitor: Visitor, addresses: Iterable[str]) -> None:
        """Nothing lies at addresses any more that `serve` gave out."""
        with self._lock:
            for address in addresses:
                visitor.served.pop(address.removeprefix("media/"), None)

    def served(self, key: str) -> Served | None:
        """What lies under a key that `serve` gave out, if its visitor is still there."""
        with self._lock:
            for visitor in self._visitors.values():
                if key in visitor.served:
                    visitor.seen = time.monotonic()
                    return visitor.served[key]
        return None

    def require_room(self, more: int) -> None:
        """Raise `ClaverError` if so many bytes more were too many for all visitors together."""
        if stored_bytes(self.folder) + more > self.limits.stored_bytes:
            raise ClaverError("too many files are stored here at the moment; try again later")

    def close(self) -> None:
        """Everybody leaves."""
        for session in list(self._visitors):
            self.leave(session)


def sweep(folder: Path, *, taken: float = 60.0, unfinished: float = 1800.0) -> None:
    """Delete what Gradio stored of uploads, once whoever uploaded had the time to take it over.

    Args:
        folder: where Gradio stores them, each in a folder named by its contents; what still arrives lies beside these.
        taken: seconds that a whole file stays.
        unfinished: seconds that one stays which stopped arriving.
    """
    now = time.time()
    for place, _, names in os.walk(folder):
        most = unfinished if Path(place) == folder else taken
        for name in names:
            with suppress(OSError):
                path = os.path.join(place, name)
                if now - os.lstat(path).st_mtime > most:
                    os.unlink(path)
        if Path(place) != folder:
            with suppress(OSError):
                os.rmdir(place)  # succeeds if it is empty


def stored_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
