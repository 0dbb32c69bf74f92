"""What an administrator says of a table: a document as it is written in a file, held to the columns that there are."""

import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from ...errors import Refusal
from ...invisible import is_blank, is_invisible
from ...principal import Role
from ..grammar import judge
from ..relations import Relations
from .found import Found

MOST = 400
"""Columns, values of a column, or relationships that a document may tell of."""


def _seen(text: str) -> str:
    """Hold a text to one line of characters that somebody sees."""
    if is_blank(text) or any(is_invisible(char) or "\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("a text of one line, without characters that do not show")
    return text


Said = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(_seen)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=63)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)


class Example(_Part):
    """A question that the table answers, with its query as execute_crm_query takes it."""

    question: Said
    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Document(_Part):
    """S3's hints: everything but the columns' meanings may be left out.

    `masked` maps a column to the roles that do not see it; `relationships` a column to the table whose id it holds.
    """

    description: (
        Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(_seen)] | None
    ) = None
    columns: Annotated[dict[Name, Said], Field(max_length=MOST)] = {}
    relationships: Annotated[
        dict[Name, Annotated[str, StringConstraints(max_length=130)]], Field(max_length=MOST)
    ] = {}
    key_fields: Annotated[list[Name], Field(max_length=20)] = []
    searchable: Annotated[list[Name], Field(max_length=50)] = []
    embedding_fields: Annotated[list[Name], Field(max_length=50)] = []
    polymorphic: Annotated[list[Name], Field(max_length=2)] = []
    values: Annotated[dict[Name, Annotated[dict[Said, Said], Field(max_length=MOST)]], Field(max_length=MOST)] = {}
    examples: Annotated[list[Example], Field(max_length=10)] = []
    masked: Annotated[dict[Name, list[Role]], Field(max_length=MOST)] = {}

    def with_more(self, **more: Any) -> "Document":
        """Return the document with what was said beside it; that goes before what it says itself.

        Raises:
            Refusal: it is not as it should be then.
        """
        given = {name: value for name, value in more.items() if value}
        for name in ("columns", "masked"):
            if name in given:
                given[name] = {**getattr(self, name), **given[name]}
        return _validated({**self.model_dump(), **given})

    def problems(self, columns: Collection[str], found: Found) -> list[str]:
        """Return what it says of columns that are not shown, and what fits none."""
        parts: Mapping[str, Collection[str]] = {
            "columns": self.columns,
            "relationships": self.relationships,
            "keyFields": self.key_fields,
            "searchable": self.searchable,
            "embeddingFields": self.embedding_fields,
            "polymorphic": self.polymorphic,
            "values": self.values,
            "masked": self.masked,
        }
        said = [
            f"{part} names {', '.join(odd)}, which is no column shown"
            for part, named in parts.items()
            if (odd := sorted(set(named) - set(columns)))
        ]
        for column, meant in self.values.items():
            labels = found.columns[column].labels if column in found.columns else ()
            if labels and (odd := sorted(meant.keys() - set(labels))):
                said.append(f"values of {column} names {', '.join(odd)}, which it cannot hold")
        if self.polymorphic and len(self.polymorphic) != 2:
            said.append("polymorphic names two columns: the one of the table's name and the one of its row's id")
        return said

    def hint(self, found: Found, columns: Collection[str], relations: Relations) -> dict[str, Any]:
        """Return what is stored of it; a column is described by the comment on it, else its meaning is empty.

        Raises:
            Refusal: an example's query cannot be run as it stands.
        """
        told = self.model_dump(mode="json", by_alias=True, exclude={"description", "columns", "examples"})
        kept = {name: said for name, said in told.items() if said}
        kept["columns"] = {
            column: self.columns.get(column) or comment(found.columns[column].comment) for column in columns
        }
        kept["examples"] = [
            {"question": one.question, "query": one.query, "reads": _read(one, relations)} for one in self.examples
        ]
        return kept


def comment(text: str | None) -> str:
    """Return a comment of the database as one line of what shows of it, 500 characters at the most."""
    shown = "".join(" " if is_invisible(char) else char for char in text or "")
    return " ".join(shown.split())[:500]


def parse(text: str) -> Document:
    """Read a document as JSON; what stands there empty was not said.

    Raises:
        Refusal: it is none.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal("INVALID_ARGUMENT", "The hints are no JSON document.") from None
    if isinstance(given, dict):
        given = _said(cast("dict[str, Any]", given))
    return _validated(given)


def _validated(given: object) -> Document:
    try:
        return Document.model_validate(given)
    except ValidationError as bad:
        first = bad.errors(include_input=False)[0]
        at = ".".join(str(part) for part in first["loc"])[:100]
        hint = f"What is said of the table is not as it should be at {at or 'its root'}: {first['msg']}."
        raise Refusal("INVALID_ARGUMENT", hint) from None


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty, within objects too."""
    inside = {
        name: _said(cast("dict[str, Any]", value)) if isinstance(value, dict) else value
        for name, value in given.items()
    }
    return {name: value for name, value in inside.items() if value not in ("", None, {}, [])}


def _read(example: Example, relations: Relations) -> list[str]:
    try:
        judged = judge(example.query, relations)
    except Refusal as no:
        raise Refusal(no.error, f"The example {example.question!r} cannot be run. {no.hint}") from None
    if judged.parameters:
        raise Refusal("INVALID_SQL", f"The example {example.question!r} takes parameters: write values out.")
    return sorted(one.label for one in judged.relations)


def skeleton(found: Found, names: Mapping[tuple[str, str], str]) -> Document:
    """Return what the live catalog says of a relation: comments, keys, and enumerations, for somebody to go on from.

    `names` are the registered tables by schema and table.
    """
    shown = [column for column in found.columns.values() if column.is_shown]
    points: dict[str, str] = {}
    for key in found.keys:
        of_row = [here for here, there in zip(key.columns, key.there, strict=False) if there == "id"]
        to = names.get((key.schema or "", key.table or ""))
        if not key.is_primary and to is not None and len(of_row) == 1:
            points[of_row[0]] = to
    names_row = next((key.columns for key in found.keys if key.is_primary), ())
    there = {column.name for column in shown}
    return Document.model_construct(
        description=comment(found.comment),
        columns={column.name: comment(column.comment) for column in shown},
        relationships={column: to for column, to in points.items() if column in there},
        key_fields=[column for column in names_row if column in there],
        values={column.name: dict.fromkeys(column.labels, "") for column in shown if column.labels},
    )
