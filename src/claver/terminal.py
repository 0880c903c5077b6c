"""Terminal output. Control characters in untrusted names and texts are shown as escapes."""

from __future__ import annotations

import logging
import re
import sys
from enum import IntEnum
from typing import TextIO

from claver.files import as_bytes
from claver.log import logger

# Controls (C0, DEL, C1), line and paragraph separators, what turns the direction of writing, unpaired surrogates.
_ACTING = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_TEXT, _IN_LINE = re.compile(f"[{_ACTING}]"), re.compile(f"[{_ACTING}\t\n]")

_LONGEST = 1500


class Loudness(IntEnum):
    """Verbosity: how much is printed besides results and errors."""

    quiet = 0
    usual = 1
    verbose = 2


_loudness = Loudness.usual


def loudness() -> Loudness:
    """How much is to be said in this process."""
    return _loudness


def set_loudness(level: Loudness) -> None:
    """Choose how much is said from now on: by us, and by the loggers of the package."""
    global _loudness
    _loudness = level
    logger.setLevel((logging.ERROR, logging.WARNING, logging.DEBUG)[level])


def shown(text: str) -> str:
    r"""A name as one harmless line: `\x1b` stands for an escape, `\n` for an end of line, `\u202e` for turned writing.

    JSON stays the same JSON; what is harmless already stays as it is.
    """
    return _IN_LINE.sub(_escape, text)


def shown_text(text: str) -> str:
    """The same for text of many lines, whose tabs and ends of lines stay."""
    return _IN_TEXT.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    sign = found[0]
    if sign in "\t\n\r":
        return {"\t": r"\t", "\n": r"\n", "\r": r"\r"}[sign]
    return f"\\x{ord(sign):02x}" if sign < " " else f"\\u{ord(sign):04x}"


def say(text: str, *, end: str = "\n") -> None:
    """Print text for people."""
    _print(shown_text(text) + end, sys.stdout)


def tell(sentence: str) -> None:
    """Print a sentence about what is being done to stderr, unless `--quiet` was given."""
    if _loudness > Loudness.quiet:
        complain(sentence)


def complain(sentence: str) -> None:
    """Print a sentence about what is wrong, in one line, to stderr; of what is endless the beginning and the end."""
    _print(f"claver: {_bounded(shown(sentence))}\n", sys.stderr)


def put(text: str) -> None:
    """Print results for programs: the very bytes that a file would hold, made harmless where a terminal reads them."""
    if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
        _print(shown_text(text), sys.stdout)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(as_bytes(text))
    sys.stdout.buffer.flush()


def _bounded(sentence: str) -> str:
    if len(sentence) <= _LONGEST:
        return sentence
    return f"{sentence[: _LONGEST * 2 // 3]} … {sentence[-_LONGEST // 3 :]}"


def _print(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))  # a terminal of few signs shows escapes
    stream.flush()


class Escaping(logging.Formatter):
    """Warnings of the package as the command line says them, those of libraries with their name; each in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; what is only said when asked for begins without `warning`."""
        message = _bounded(shown(record.getMessage()))
        if record.name != "claver":
            return f"{record.name}: {message}"
        return f"claver: warning: {message}" if record.levelno >= logging.WARNING else f"claver: {message}"


def show_warnings() -> None:
    """Let the loggers of this process speak to stderr, with `Escaping`."""
    root = logging.getLogger()
    if not any(isinstance(handler, _ToStderr) for handler in root.handlers):
        handler = _ToStderr()
        handler.setFormatter(Escaping())
        root.addHandler(handler)


class _ToStderr(logging.Handler):
    """Writes to what is stderr by then."""

    def emit(self, record: logging.LogRecord) -> None:
        _print(f"{self.format(record)}\n", sys.stderr)
