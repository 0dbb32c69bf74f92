"""The expected no, and how a database's no becomes one."""

from collections.abc import Mapping


class Refusal(Exception):
    """An expected no, written for a model: a code, a hint how to go on, and facts that help.

    Nothing a driver said ever goes in here.
    """

    def __init__(self, error: str, hint: str, **context: object) -> None:
        super().__init__(error)
        self.error, self.hint, self.context = error, hint, context

    def body(self) -> dict[str, object]:
        """Return the wire form of S0 §5.2."""
        return {"error": self.error, "context": {**self.context, "hint": self.hint}}


class UnknownTool(Refusal):
    """No such tool for this principal; a hidden one answers exactly like one that does not exist."""

    def __init__(self, name: str) -> None:
        super().__init__("UNKNOWN_TOOL", "Call one of the tools that tools/list shows.", tool=name[:100])


class SignInFailed(Refusal):
    """Nobody is signed in, so nothing can be shown."""

    def __init__(self, hint: str) -> None:
        super().__init__("SIGN_IN_FAILED", hint)


class NobodyThere(SignInFailed):
    """The database answered that the proof proves nobody: not that it could not be asked."""


class DatabaseUnavailable(Refusal):
    """The database could not be reached; nothing was changed by this call."""

    def __init__(self) -> None:
        super().__init__("DATABASE_UNAVAILABLE", "Nothing was changed. Try again in a few seconds.")


class DatabaseFull(Refusal):
    """There is no space left where the database is; nothing was changed by this call."""

    def __init__(self) -> None:
        super().__init__("DATABASE_FULL", "The database's disk is full. Nothing was changed. Tell the administrator.")


CONFLICTS = frozenset({"40001", "40P01"})
_BUSY = CONFLICTS | {"55P03"}
_SAID: Mapping[str, tuple[str, str]] = {
    "57014": ("TOO_SLOW", "The call took too long and was stopped. Narrow it and try again."),
    "22003": ("OUT_OF_RANGE", "A number is larger than can be stored. Use a smaller one."),
    "22008": ("OUT_OF_RANGE", "A date lies outside what can be stored. Use a nearer one."),
    "54000": ("OUT_OF_RANGE", "A value is larger than can be stored. Use a smaller one."),
    "CRM01": ("BOOKS_CLOSED", "The books are closed through that day; date it later."),
    "CRM11": ("EXPORT_TOO_LARGE", "The file would be larger than 25 MB. Narrow it by filters, period or columns."),
    "CRM12": (
        "EXPORTS_FULL",
        "The org's exports take 1 GB. Delete some on the approvals page, or wait: they go within a day.",
    ),
    "CRM08": (
        "PASSKEY_NEEDED",
        "Your org wants this approved with a passkey, on the approvals page. Nothing was done.",
    ),
    "CRM09": (
        "PASSKEY_CLONED",
        "This passkey's counter went backwards: somebody may hold a copy of it. Nothing was done. Revoke it, and add another.",
    ),
    "28000": ("SIGN_IN_FAILED", "You are no longer signed in: the key or the membership has ended. Connect again."),
    "53300": ("BUSY", "Too many clients are connected. Try again in a moment."),
}


def sqlstate(problem: BaseException) -> str | None:
    """Return the SQLSTATE of a database error, wrapped by SQLAlchemy or not."""
    return getattr(getattr(problem, "orig", problem), "sqlstate", None)


def refusal_for(problem: BaseException) -> Refusal | None:
    """Return what may be said of a problem; None for a crash, of which only the call id is said."""
    if isinstance(problem, Refusal):
        return problem
    state = sqlstate(problem) or ""
    if state in _BUSY:
        return Refusal("BUSY", "Somebody is changing the same record. Try again in a moment.")
    if state == "53100":
        return DatabaseFull()
    if state in _SAID:
        return Refusal(*_SAID[state])
    return DatabaseUnavailable() if is_lost(problem) else None


def is_lost(problem: BaseException) -> bool:
    """Say whether the connection to the database broke, rather than a statement."""
    cause = getattr(problem, "orig", problem)
    if type(cause).__module__.split(".")[0] not in ("psycopg", "psycopg_pool"):
        return False
    state = sqlstate(problem) or ""
    # the whole server ends with a panic, and a commit in its last instant may have arrived
    is_panic = getattr(getattr(cause, "diag", None), "severity_nonlocalized", None) == "PANIC"
    if is_panic or state.startswith(("08", "57P")) or type(cause).__name__ in ("PoolTimeout", "PoolClosed"):
        return True
    return not state and type(cause).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
