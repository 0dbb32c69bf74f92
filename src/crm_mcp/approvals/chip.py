"""A word or two in a coloured frame."""

from dataclasses import dataclass
from typing import Literal

Tone = Literal["quiet", "warn", "danger", "good"]


@dataclass(frozen=True, slots=True)
class Chip:
    text: str
    tone: Tone = "quiet"
