"""Untrusted YAML: plain data of bounded depth, size and time; every mistake is reported in one sentence."""

from __future__ import annotations

from typing import Any

import yaml

from claver.errors import ClaverError
from claver.json_text import reason_of_number

MOST_VALUES = 20_000
"""In a document, those that aliases and merge keys repeat counted as often as they are repeated."""
MOST_CHARACTERS = 2**20
_DEEPEST = 50
_UNREADABLE = (
    ValueError,
    OverflowError,
    LookupError,
    AttributeError,
    TypeError,
)  # a tag that does not fit


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Raises:
        ClaverError: it is not YAML, too large or too deep, says a key twice, or holds a value that cannot be read.
    """
    if len(text) > MOST_CHARACTERS:
        raise ClaverError(f"{where} has more than {MOST_CHARACTERS:,} characters, too many for YAML")
    try:
        loader = _Bounded(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _Sizes().of(node)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ClaverError(f"{where}{line}: not valid YAML ({error.problem or error.context})") from error
    except yaml.YAMLError as error:
        raise ClaverError(f"{where}: not valid YAML ({' '.join(str(error).split())})") from error


class _Bounded(yaml.SafeLoader):
    """PyYAML's safe loader, which stops at a depth and a number of values."""

    _depth = _values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth, self._values = self._depth + 1, self._values + 1
        if self._depth > _DEEPEST or self._values > MOST_VALUES:
            what = "nested too deeply" if self._depth > _DEEPEST else f"more than {MOST_VALUES:,} values"
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=what, problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except _UNREADABLE as error:
            reason = reason_of_number(error) if isinstance(error, ValueError) else "its value does not fit its tag"
            raise yaml.MarkedYAMLError(problem=reason, problem_mark=node.start_mark) from error


class _Sizes:
    """The number of values in a node and below, as if every alias were written out; keys are looked at on the way."""

    def __init__(self) -> None:
        self.known: dict[int, int] = {}

    def of(self, node: Any) -> int:
        if not isinstance(node.value, list):
            return 1
        if id(node) not in self.known:
            self.known[id(node)] = MOST_VALUES + 1  # what contains itself meets this
            if isinstance(node, yaml.MappingNode):
                _require_own_keys(node)
            inner = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
            self.known[id(node)] = 1 + sum(map(self.of, inner))
        if self.known[id(node)] > MOST_VALUES:
            problem = f"aliases that stand for more than {MOST_VALUES:,} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return self.known[id(node)]


def _require_own_keys(node: Any) -> None:
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key.value, str) and (own := (key.tag, key.value)) not in seen:
            seen.add(own)
        elif isinstance(key.value, str):
            raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
