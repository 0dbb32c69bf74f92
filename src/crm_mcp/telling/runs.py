"""What a notice says of a run that is over: that it is, what waits, and where; not a word of what was asked or answered."""

from dataclasses import dataclass

from .wording import plain

_HOW = {"finished": "has finished", "failed": "has failed", "cancelled": "was cancelled"}


@dataclass(frozen=True, slots=True)
class RunTelling:
    """One run of the requester's own; `waiting` are drafts that it left for people to decide, `page` is where they do."""

    message: int
    org: int
    org_name: str
    run: int
    state: str
    agent: str | None
    waiting: int
    page: str

    @property
    def identity(self) -> str:
        """The name under which a receiver knows the message again."""
        return f"notice_{self.org}_{self.message}"

    @property
    def url(self) -> str:
        return self.page

    def headline(self) -> str:
        """One line: of an e-mail's subject, of a notification's title."""
        who = f"the {self.agent} agent" if self.agent else "an agent"
        return f"run_{self.run} of {who} {_HOW[self.state]}"

    def line(self) -> str:
        """A few words for a notification beside its title."""
        drafts = "1 draft waits" if self.waiting == 1 else f"{self.waiting} drafts wait"
        return f"{drafts} for approval." if self.waiting else "No draft of it waits."

    def body(self) -> str:
        """The text of an e-mail."""
        said = f"What you asked an agent for at {plain(self.org_name)} {_HOW[self.state]}. {self.line()}"
        how = f"`crm-mcp agents runs show run_{self.run}` shows what came of it; no link here signs anybody in."
        return f"{said}\n\n{self.url}\n\n{how}\n"
