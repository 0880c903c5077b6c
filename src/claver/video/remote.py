"""Videos at addresses: of web servers, and of object stores through fsspec. They are read by ranges, with retries.

Only an address that the user gives as a video is opened, and where its web server sends on to another one, that one;
what a list of clips, a playlist or a file names never is.
"""

from __future__ import annotations

import http.client
import io
import os
import random
import re
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, TypeVar, cast

from claver.errors import VideoError, in_short, without_secrets

T = TypeVar("T")
Fetch = Callable[[int, int], bytes]

BLOCK = 2**18
"""Bytes that are read at least; what is asked for one after the other is read in doubling numbers of blocks."""
_MOST_BLOCKS = 16
_CACHED_BLOCKS = 32
ATTEMPTS = 7
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds; doubled after each attempt that brought nothing
_TIMEOUT = 30.0  # seconds in which a server is silent
_SCHEMES = ("http", "https", "s3", "gs", "gcs", "hf")
_ADDRESS = re.compile(rf"({'|'.join(_SCHEMES)})://[^/]", re.IGNORECASE)
_HINTS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
_VERSIONS = ("ETag", "etag", "generation", "blob_id")  # what S3, Google and the Hub tell a content apart by
_PASSING = {408, 425, 429, 500, 502, 503, 504}


def is_remote(source: Any) -> bool:
    """Whether a source of a video is an address that can be read from."""
    return isinstance(source, str) and _ADDRESS.match(source) is not None


def reachable(source: T) -> T | BinaryIO:
    """The source, or the file at the address that it is.

    Raises:
        VideoError: nothing can be read there.
    """
    return cast(BinaryIO, RemoteFile(source)) if isinstance(source, str) and is_remote(source) else source


class RemoteError(OSError):
    """A file at an address cannot be read; `passing` where another attempt may do."""

    def __init__(self, cause: str, *, passing: bool = False) -> None:
        super().__init__(cause)
        self.strerror, self.passing = cause, passing


class _Store(Protocol):
    """Where ranges of one file come from."""

    def size(self) -> int:
        """Bytes of the file."""

    def range(self, start: int, stop: int) -> bytes:
        """Some of these bytes from `start` on, at least one; `RemoteError` if they cannot be had."""


class RemoteFile(io.RawIOBase):
    """A file at an address as a binary stream that can be rewound, of which only what is asked for is fetched.

    Answers that are cut short are continued where they ended; servers that are busy or silent are asked again, a few
    times with growing pauses.

    Attributes:
        name: the address.
        fetched: bytes so far.
    """

    def __init__(self, address: str) -> None:
        """Ask for the size.

        Raises:
            VideoError: nothing can be read there.
        """
        super().__init__()
        self.name, self.fetched, self._at, self._next, self._run = address, 0, 0, -1, 1
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        try:
            self._store = _store(address)
            self._size = self._patiently(lambda: self._store.size())
        except OSError as error:
            raise VideoError(f"{in_short(address)}: it cannot be read ({error.strerror or error}).") from error

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; nothing is fetched."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Bytes, as many as asked for unless the file ends.

        Raises:
            RemoteError: they cannot be had.
        """
        stop = self._size if size < 0 else min(self._at + size, self._size)
        parts = []
        while self._at < stop:
            number = self._at // BLOCK
            block = self._block(number)
            part = block[self._at - number * BLOCK : stop - number * BLOCK]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._run = min(2 * self._run, _MOST_BLOCKS) if number == self._next else 1
            self._next = number + self._run
            content = self._range(number * BLOCK, min(self._next * BLOCK, self._size))
            for at in range(0, len(content), BLOCK):
                self._blocks[number + at // BLOCK] = content[at : at + BLOCK]
            while len(self._blocks) > _CACHED_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _range(self, start: int, stop: int) -> bytes:
        parts: list[bytes] = []
        while start < stop:
            part = self._patiently(lambda at=start: self._store.range(at, stop))  # type: ignore[misc]
            parts.append(part)
            start += len(part)
            self.fetched += len(part)
        return b"".join(parts)

    def _patiently(self, ask: Callable[[], T]) -> T:
        pause = _FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return ask()
            except RemoteError as error:
                if not error.passing or attempt == ATTEMPTS:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError


def _store(address: str) -> _Store:
    return _Web(address) if address.lower().startswith("http") else _ObjectStore(address)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server that sends on to a web server, and to nothing else."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.HTTPError(newurl, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_Redirects)


class _Web:
    """A web server, asked for ranges."""

    def __init__(self, address: str) -> None:
        if "@" in re.split("[/?#]", address.partition("://")[2])[0]:
            raise RemoteError("a name and a password in an address are not supported; use a signed address")
        self._address = address
        self._version: tuple[str | None, int] | None = None

    def size(self) -> int:
        with self._answer(0, 1) as answer:
            self._check(answer, 0)
        assert self._version is not None
        return self._version[1]

    def range(self, start: int, stop: int) -> bytes:
        with self._answer(start, stop) as answer:
            self._check(answer, start)
            try:
                content = bytes(answer.read(stop - start))
            except http.client.IncompleteRead as error:
                content = error.partial
            except (OSError, http.client.HTTPException) as error:
                raise RemoteError(f"the connection broke: {error}", passing=True) from error
        if not content:
            raise RemoteError("the connection broke", passing=True)
        return content

    def _answer(self, start: int, stop: int) -> Any:
        try:
            request = urllib.request.Request(self._address, headers={"Range": f"bytes={start}-{stop - 1}"})
            return _OPENER.open(request, timeout=_TIMEOUT)
        except (ValueError, http.client.InvalidURL) as error:
            raise RemoteError("it is no address that a web server could have") from error
        except urllib.error.HTTPError as error:
            if error.code == 416:
                raise RemoteError("the file is empty") from error
            if 300 <= error.code < 400:
                raise RemoteError("the server sends on in a circle, or to what is not http or https") from error
            reason = f"the server answers {error.code} {error.reason}"
            raise RemoteError(reason, passing=error.code in _PASSING) from error
        except (OSError, http.client.HTTPException) as error:
            raise RemoteError(str(getattr(error, "reason", error)) or type(error).__name__, passing=True) from error

    def _check(self, answer: Any, start: int) -> None:
        """The answer is a range from `start` on, and of the file that it was before."""
        given = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if answer.status != 206 or given is None:
            raise RemoteError("the server gives no parts of files, which needs ranges of bytes; download it")
        if int(given[1]) != start:
            raise RemoteError(f"the server gives bytes from {given[1]} on where {start} was asked for; download it")
        version = (answer.headers.get("ETag"), int(given[2]))
        self._version = self._version or version
        if version != self._version:
            raise RemoteError("it changed while it was read")


class _ObjectStore:
    """An object store, through the library that fsspec has for it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._file: Any = None
        self._version: dict[str, Any] | None = None

    def size(self) -> int:
        return int(self._done(lambda file: file.size))

    def range(self, start: int, stop: int) -> bytes:
        def read(file: Any) -> bytes:
            file.seek(start)
            return bytes(file.read(stop - start))

        content: bytes = self._done(read)
        if not content:
            raise RemoteError("it changed while it was read")
        return content

    def _done(self, work: Callable[[Any], T]) -> T:
        try:
            if self._file is None:
                self._file = self._opened()
            return work(self._file)
        except RemoteError:
            raise
        except (FileNotFoundError, IsADirectoryError) as error:
            raise RemoteError("there is no such file") from error
        except PermissionError as error:
            raise RemoteError(f"access is denied: {_in_short(error)}") from error
        except Exception as error:  # of the store's own library, of no common kind
            self._file = None
            raise RemoteError(_in_short(error), passing=True) from error

    def _opened(self) -> Any:
        """Open it, anew after an error: then it may have been replaced since."""
        file = _opened(self._address)
        details = getattr(file, "details", None) or {}
        version = {"size": file.size} | {key: details[key] for key in _VERSIONS if key in details}
        self._version = self._version or version
        if version != self._version:
            raise RemoteError("it changed while it was read")
        return file


def _opened(address: str) -> Any:
    try:
        import fsspec

        return fsspec.open(address, "rb", cache_type="none").open()
    except ImportError as error:
        scheme = address.partition("://")[0].lower()
        needed = _HINTS.get(scheme, "huggingface_hub")
        raise RemoteError(f"{scheme}:// needs {needed}; pip install {needed}") from error


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(without_secrets(str(error)).split())[:200]}".rstrip(".: ")
