"""A title: one record's name in a line, as somebody wrote it."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

from ..tool import Text

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs", "Mn", "Me"})


def _legible(text: str) -> str:
    if all(unicodedata.category(c) in _UNSEEN for c in text):
        raise ValueError("holds nothing that can be read; write a title")
    return text


Title = Annotated[Text, Field(max_length=400), AfterValidator(_legible)]
"""Kept as it was written, hidden characters too; where it is shown to whoever decides, they are shown."""
