"""XML documents from elements."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

from claver.terminal import shown

Element = ElementTree.Element


def add(parent: Element, name: str, text: str | None = None, attributes: Mapping[str, object] | None = None) -> Element:
    """A new element in another; text and attributes as XML can hold them, controls shown as escapes."""
    given = {key: shown(str(value)) for key, value in (attributes or {}).items()}
    element = ElementTree.SubElement(parent, name, given)
    element.text = None if text is None else shown(text)
    return element


def document(root: Element) -> str:
    """The whole document, indented."""
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'
