"""Reading files in bounded memory, and writing them whole or not at all, by one command at a time."""

from __future__ import annotations

import codecs
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from claver.errors import ClaverError

MOST_TEXT = 2**28
"""Bytes of a list, bank or manifest that are read: the largest known lists take a tenth of it."""
MOST_DOCUMENT = 2**24
"""Bytes of a single JSON or YAML document, such as a config, that are read."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as editors on Windows write "Unicode text"


def read_bytes(path: Path, most: int = MOST_TEXT) -> bytes:
    """The contents of a file.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        ClaverError: it cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise ClaverError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most:
        raise ClaverError(f"{path} has more than {most:,} bytes, too many for a file of its kind")
    return content


def is_file(name: str) -> bool:
    """Whether a name is that of a file; no when it is longer than names may be, or none at all."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path, most: int = MOST_TEXT, *, keep_bytes: bool = False) -> str:
    """The contents of a UTF-8 file, perhaps with a mark at its beginning, or of one whose mark says UTF-16.

    Args:
        path: the file.
        most: bytes that it may have.
        keep_bytes: whether bytes that are no UTF-8 are kept as Python keeps those of file names, else they are an
            error.

    Raises:
        ClaverError: it cannot be read, is larger, or is not UTF-8.
    """
    content = read_bytes(path, most)
    encoding, lenient = ("utf-16", False) if content.startswith(_UTF16) and content[2:] else ("utf-8-sig", keep_bytes)
    try:
        return content.decode(encoding, "surrogateescape" if lenient else "strict")
    except UnicodeDecodeError as error:
        raise ClaverError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file that appears complete or not at all; text as UTF-8, with the bytes that file names brought along.

    Raises:
        ClaverError: it cannot be written.
    """
    content = as_bytes(content) if isinstance(content, str) else content
    try:
        with replacing(path) as beside:
            beside.write_bytes(content)
    except OSError as error:
        raise ClaverError(f"cannot write {path}: {error.strerror or error}") from error


_SPECIAL = {stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def refuse_special(path: Path, instead: str = "name another file") -> None:
    """Refuse what is no place for results, itself or through a link: putting them there would replace it by a file.

    Args:
        path: where something is to be written.
        instead: what would be right, for the message.

    Raises:
        ClaverError: it is a named pipe, a device (such as /dev/null, and through a link /dev/stdout) or a socket.
    """
    try:
        kind = _SPECIAL.get(stat.S_IFMT(os.stat(path).st_mode))
    except (OSError, ValueError):  # nothing there, or nothing that can be: told by whoever writes
        return
    if kind is not None:
        raise ClaverError(f"cannot write {path}: it is {kind}, which a file would replace; {instead}")


def as_bytes(text: str) -> bytes:
    """Text as UTF-8, with the bytes that names of files brought along; any other unpaired surrogate as it is."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file beside `path`, to be filled by its name; then it is brought onto the disk and put into place.

    Its name is one that nobody can foresee, and it is never opened through a link. If the filling fails, it is removed
    and what was at `path` stays.

    Raises:
        OSError: it cannot be written.
        ClaverError: a pipe, a device or a socket is there.
    """
    refuse_special(path)
    beside = path.with_name(f".{path.name[:40]}.{os.urandom(6).hex()}.writing")
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666))
    mode = beside.stat().st_mode & 0o777
    try:
        yield beside
        os.chmod(beside, mode)  # whoever filled it may have put a file of its own there, as safetensors does
        sync(beside)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new, empty folder beside `path`, to be filled; then it is brought onto the disk and put into place.

    It is called `NAME.new`, and what was at `path` for the blink between two renames `NAME.old`. What an interrupted
    command left under these names is removed, and so is a link that somebody planted there; it is not followed. If the
    filling fails, the new folder is removed and what was at `path` stays. One command at a time: see `only_writer`.

    Raises:
        OSError: it cannot be written.
        ClaverError: a pipe, a device or a socket is there.
    """
    refuse_special(path, "name another folder")
    new, old = (path.with_name(f"{path.name}.{word}") for word in ("new", "old"))
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(new)
    new.mkdir()
    moved = False
    try:
        yield new
        for part in (*new.rglob("*"), new):
            sync(part)
        if os.path.lexists(path):
            _remove(old)
            os.rename(path, old)
            moved = True
        os.rename(new, path)
    except BaseException:
        with suppress(OSError):
            if moved and not os.path.lexists(path):
                os.rename(old, path)
            _remove(new)
        raise
    sync(path.parent)
    with suppress(OSError):
        _remove(old)


def _remove(path: Path) -> None:
    """A file, a link or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, onto the disk, so that not even a power cut loses them.

    Raises:
        OSError: a file cannot be. Of folders that is let pass: not every file system can.
    """
    folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if folder:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError:
        if not folder:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """As long as this lasts no other command of ours writes `path`, a file or a folder.

    The lock is a file beside it, `.NAME.lock`, which the operating system frees when its holder ends in whatever way.

    Raises:
        ClaverError: another command is at it, or a pipe, a device or a socket is there.
    """
    from filelock import FileLock, Timeout

    refuse_special(path)
    place = path.absolute()
    if not place.parent.is_dir():  # which is told, or made, by whoever writes there
        yield
        return
    lock = FileLock(place.with_name(f".{place.name[:80]}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ClaverError(f"another claver command is writing {path}; let it end, or choose another place") from None
    except (OSError, NotImplementedError):  # a file system without locks, or a folder that takes no file: told later
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # removed while it is held: whoever comes now makes a new one
            os.unlink(lock.lock_file)
        lock.release()
