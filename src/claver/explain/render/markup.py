"""HTML elements as text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_EMPTY = frozenset({"img", "input", "meta"})


def tag(name: str, content: str | Iterable[str] = "", /, **attributes: object) -> str:
    """An element; attributes are escaped here, text in the content is to be escaped by whoever puts it there.

    Args:
        name: of the element.
        content: markup.
        attributes: `cls` is `class`, an underscore a hyphen; what is None or False is left out, True has no value.
    """
    given = "".join(
        f" {'class' if key == 'cls' else key.replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _EMPTY:
        return f"<{name}{given}>"
    return f"<{name}{given}>{content if isinstance(content, str) else ''.join(content)}</{name}>"


def text(name: str, content: str, /, **attributes: object) -> str:
    """An element that holds plain text, which is escaped."""
    return tag(name, escape(content), **attributes)


def bar(name: str, share: float, role: str, number: str = "", *, scale: float = 1.0) -> str:
    """A row of a list of bars: a name, a bar that fills the width at a share of `scale`, a number."""
    fill = tag("span", cls="fill", style=f"width:{100 * share / scale:.1f}%")
    parts = text("span", name, cls="name"), tag("span", fill, cls="track", aria_hidden="true")
    return tag("li", [*parts, text("span", number or f"{share:.1%}", cls="number")], cls=role or None)
