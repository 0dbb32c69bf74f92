"""Small edits of JSON text: what is not edited stays as it was, to the character."""

import json
import re
from collections.abc import Sequence
from typing import Any

from ...jsonvalue import is_array
from .jsontext import BadJson, Node, parse

_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)


def put(text: str, path: Sequence[str], value: Any, *, comments: bool) -> str:
    """Return the text with the value at the path of names; the objects on the way are made.

    Raises:
        BadJson: the text is no JSON, or something on the way is no object.
    """
    if not text.strip():
        text = "{}" + _eol(text)
    node = parse(text, comments=comments)
    for depth, name in enumerate(path):
        if node.members is None:
            raise BadJson(text, node.start, "an object is expected here: {…}")
        found = node.member(name)
        if found is None:
            for outer in reversed(path[depth + 1 :]):
                value = {outer: value}
            return _insert(text, node, name, value)
        node = found.value
    if node.plain == value:
        return text
    written = _written(text, value, _indent_at(text, node.start))
    return text[: node.start] + written + text[node.end :]


def append(text: str, path: Sequence[str], value: Any, *, comments: bool) -> str:
    """Return the text with the value added to the array at the path, which is made."""
    node = _at(parse(text, comments=comments), path)
    if node is not None and not is_array(node.plain):
        raise BadJson(text, node.start, "an array is expected here: […]")
    if node is None or not node.items:
        return put(text, path, [value], comments=comments)
    last, before = node.items[-1], _indent_at(text, node.items[-1].start)
    eol = _eol(text)
    new_line = "\n" in text[node.start : node.items[0].start]
    gap = eol + before if new_line else " "
    written = gap + _written(text, value, before)
    if node.trailing is None:
        return text[: last.end] + "," + written + text[last.end :]
    return text[: node.trailing + 1] + written + "," + text[node.trailing + 1 :]


def drop(text: str, path: Sequence[str | int], *, comments: bool) -> str:
    """Return the text without what is at the path (names, and a number in an array); harmless where there is none."""
    parent = _at(parse(text, comments=comments), path[:-1])
    last = path[-1]
    if parent is None:
        return text
    if isinstance(last, int):
        spans, gone = [(one.start, one.end) for one in parent.items], last
    else:
        members = parent.members or []
        names = [one.name for one in members]
        if last not in names:
            return text
        spans = [(one.start, one.value.end) for one in members]
        gone = len(names) - 1 - names[::-1].index(last)
    return _without(text, parent, spans, gone, comments)


def _without(text: str, parent: Node, spans: list[tuple[int, int]], gone: int, comments: bool) -> str:
    start, end = spans[gone]
    if len(spans) == 1:
        after = end if parent.trailing is None else parent.trailing + 1
        kept = (text[parent.start + 1 : start] + text[after : parent.end - 1]).rstrip()  # a comment, if anything
        closing = _eol(text) + _indent_at(text, parent.start) if kept else ""
        return text[: parent.start + 1] + kept + closing + text[parent.end - 1 :]
    comma_after = _comma(text, end, parent.end, comments)
    if comma_after is not None:
        end = comma_after + 1
        tail = re.compile(r"[ \t]*(\r?\n)?").match(text, end)
        line = text.rfind("\n", 0, start) + 1
        if not text[line:start].strip() and tail and tail[1]:
            return text[:line] + text[tail.end() :]
        return text[:start] + text[end:].lstrip(" \t")
    # The last one: the comma before it goes as well, with the white space between them.
    comma = _comma(text, spans[gone - 1][1], start, comments)
    assert comma is not None
    between = text[comma + 1 : start]
    return text[:comma] + (between.rstrip() if between.strip() else "") + text[end:]


def _comma(text: str, at: int, until: int, comments: bool) -> int | None:
    """Find the comma that follows a value, past white space and comments."""
    while at < until:
        if comments and text.startswith("//", at):
            at = text.find("\n", at) + 1 or until
        elif comments and text.startswith("/*", at):
            at = text.find("*/", at) + 2
        elif text[at] == ",":
            return at
        elif text[at] in " \t\r\n":
            at += 1
        else:
            return None
    return None


def _at(node: Node, path: Sequence[str | int]) -> Node | None:
    for step in path:
        if isinstance(step, int):
            node = node.items[step]
            continue
        found = node.member(step)
        if found is None:
            return None
        node = found.value
    return node


def _insert(text: str, parent: Node, name: str, value: Any) -> str:
    key = json.dumps(name, ensure_ascii=False)
    members = parent.members or []
    if members and "\n" not in text[parent.start : members[0].start]:
        written = f"{key}: {json.dumps(value, ensure_ascii=False)}"
        last = members[-1].value.end
        if parent.trailing is None:
            return f"{text[:last]}, {written}{text[last:]}"
        return f"{text[: parent.trailing + 1]} {written},{text[parent.trailing + 1 :]}"
    eol, outer = _eol(text), _indent_at(text, parent.start)
    inner = _indent_at(text, members[0].start) if members else outer + _unit(text)
    written = f"{eol}{inner}{key}: {_written(text, value, inner)}"
    if not members:
        kept = text[parent.start + 1 : parent.end - 1].rstrip()  # a comment, if anything
        return f"{text[: parent.start + 1]}{kept}{written}{eol}{outer}{text[parent.end - 1 :]}"
    if parent.trailing is None:
        last = members[-1].value.end
        rest = _rest_of_line(text, last, parent.end - 1)
        return f"{text[:last]},{text[last:rest]}{written}{text[rest:]}"
    rest = _rest_of_line(text, parent.trailing + 1, parent.end - 1)
    return f"{text[:rest]}{written},{text[rest:]}"


def _rest_of_line(text: str, at: int, until: int) -> int:
    """Pass a comment that stands behind a value in its line, so that it stays there."""
    end = text.find("\n", at, until)
    if end < 0:
        return at
    rest = text[at:end].strip()
    one_line = rest.startswith("//") or (rest.startswith("/*") and rest.find("*/") == len(rest) - 2)
    return at + len(text[at:end].rstrip()) if one_line else at


def _written(text: str, value: Any, indent: str) -> str:
    eol = _eol(text)
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return (eol + indent).join(lines)


def _eol(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """Return what one level is indented by: as the first indented line, else two spaces."""
    found = _INDENT.search(text)
    return found[1] if found else "  "


def _indent_at(text: str, at: int) -> str:
    """Return the white space with which the line of a place begins."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]
