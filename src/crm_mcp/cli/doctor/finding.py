"""What a check says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "attention", "problem", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How something is, what the person should do about it, and what `--fix` may do: it returns what it did.

    Only a problem makes the command fail; attention is for what a person should know in time.
    """

    state: State
    said: str
    fix: str | None = None
    mend: Callable[[], str] | None = None


Check = Callable[[], Finding]


def ok(said: str) -> Finding:
    return Finding("ok", said)


def problem(said: str, fix: str, mend: Callable[[], str] | None = None) -> Finding:
    return Finding("problem", said, fix, mend)


def skipped(said: str) -> Finding:
    return Finding("skipped", said)
