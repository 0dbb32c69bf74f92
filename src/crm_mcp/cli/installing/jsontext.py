"""JSON as it stands in a file: every value with its place, so that an edit touches nothing else.

Comments and trailing commas are read where the client reads them, as VS Code does.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_SPACE = re.compile(r"[ \t\r\n]*")


class BadJson(ValueError):
    """The text is not JSON: what is wrong, and in which line and column (both from 1)."""

    def __init__(self, text: str, at: int, wrong: str) -> None:
        self.line = text.count("\n", 0, at) + 1
        self.column = at - text.rfind("\n", 0, at)
        super().__init__(f"line {self.line}, column {self.column}: {wrong}")


@dataclass(slots=True)
class Member:
    """A name with its value in an object; `start` is where the name begins."""

    name: str
    start: int
    value: "Node"


@dataclass(slots=True)
class Node:
    """A value from `start` up to `end`; `members` of an object alone, `trailing` where a comma follows its last one."""

    start: int
    end: int
    plain: Any
    members: list[Member] | None = None
    items: list["Node"] = field(default_factory=list["Node"])
    trailing: int | None = None

    def member(self, name: str) -> Member | None:
        """Find a member; of two with one name the last counts, as for every client."""
        return next((one for one in reversed(self.members or ()) if one.name == name), None)


def parse(text: str, *, comments: bool = False) -> Node:
    """Read a whole text.

    Raises:
        BadJson: it is no JSON, or has comments or trailing commas where those are not read.
    """
    reader = _Reader(text, comments)
    try:
        node = reader.value(reader.skip(0))
    except RecursionError:
        raise BadJson(text, 0, "it is nested too deeply") from None
    after = reader.skip(node.end)
    if after < len(text):
        raise BadJson(text, after, "something follows the end of the JSON")
    return node


class _Reader:
    def __init__(self, text: str, comments: bool) -> None:
        self._text, self._comments = text, comments

    def skip(self, at: int) -> int:
        """Pass white space and comments."""
        text = self._text
        while True:
            found = _SPACE.match(text, at)
            at = found.end() if found else at
            mark = text[at : at + 2]
            if mark not in ("//", "/*"):
                return at
            if not self._comments:
                raise BadJson(text, at, "a comment, which this client does not read")
            end = text.find("\n" if mark == "//" else "*/", at + 2)
            if end < 0 and mark == "/*":
                raise BadJson(text, at, "a comment that does not end")
            at = len(text) if end < 0 else end + (0 if mark == "//" else 2)

    def value(self, at: int) -> Node:
        match self._text[at : at + 1]:
            case "{":
                return self._object(at)
            case "[":
                return self._array(at)
            case '"':
                return self._string(at)
            case _:
                found = _SCALAR.match(self._text, at)
                if found is None:
                    raise BadJson(self._text, at, "a value is expected here")
                return Node(at, found.end(), json.loads(found[0]))

    def _string(self, at: int) -> Node:
        found = _STRING.match(self._text, at)
        try:
            if found is not None:
                return Node(at, found.end(), json.loads(found[0]))
        except ValueError:
            pass
        raise BadJson(self._text, at, "a text that does not end, or has an escape that JSON does not know")

    def _object(self, start: int) -> Node:
        members: list[Member] = []
        at, comma = self.skip(start + 1), None
        while self._text[at : at + 1] != "}":
            if members and comma is None:
                raise BadJson(self._text, at, "a comma or } is expected here")
            if self._text[at : at + 1] != '"':
                raise BadJson(self._text, at, "a name in double quotes or } is expected here")
            name = self._string(at)
            colon = self.skip(name.end)
            if self._text[colon : colon + 1] != ":":
                raise BadJson(self._text, colon, "a colon is expected here")
            value = self.value(self.skip(colon + 1))
            members.append(Member(name.plain, at, value))
            at, comma = self._past_comma(value.end)
        plain = {one.name: one.value.plain for one in members}
        return Node(start, at + 1, plain, members, trailing=self._trailing(comma))

    def _array(self, start: int) -> Node:
        items: list[Node] = []
        at, comma = self.skip(start + 1), None
        while self._text[at : at + 1] != "]":
            if items and comma is None:
                raise BadJson(self._text, at, "a comma or ] is expected here")
            items.append(self.value(at))
            at, comma = self._past_comma(items[-1].end)
        return Node(start, at + 1, [one.plain for one in items], items=items, trailing=self._trailing(comma))

    def _past_comma(self, at: int) -> tuple[int, int | None]:
        at = self.skip(at)
        return (self.skip(at + 1), at) if self._text[at : at + 1] == "," else (at, None)

    def _trailing(self, comma: int | None) -> int | None:
        if comma is not None and not self._comments:
            raise BadJson(self._text, comma, "a comma before the end, which this client does not read")
        return comma
