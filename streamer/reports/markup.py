"""XML trees: elements with inert text, and their stable bytes."""

from __future__ import annotations

from pathlib import Path
from posixpath import normpath
from urllib.parse import quote
from xml.etree import ElementTree

from streamer.reports.atomic import text
from streamer.reports.escape import one_line

Element = ElementTree.Element


def child(parent: Element, tag: str, content: object = None, **attributes: object) -> Element:
    """A new last child; content and attributes as one line of text."""
    made = ElementTree.SubElement(parent, tag, {k: one_line(str(v)) for k, v in attributes.items()})
    if content is not None:
        made.text = one_line(str(content))
    return made


def root(tag: str, **attributes: object) -> Element:
    return ElementTree.Element(tag, {k: one_line(str(v)) for k, v in attributes.items()})


def source_of(tree: Element) -> str:
    """The element as indented XML."""
    ElementTree.indent(tree, " ")
    return ElementTree.tostring(tree, encoding="unicode")


def save(path: Path, tree: Element, doctype: str = "") -> None:
    """The file, indented, with an XML declaration."""
    with text(path) as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n' + (doctype + "\n" if doctype else ""))
        out.write(source_of(tree) + "\n")


def address(path: str, host: str = "") -> str:
    """The file's URL; a relative path stays relative."""
    place = normpath(one_line(path)) if path else ""
    return f"file://{host}{quote(place)}" if place.startswith("/") else quote(place)
