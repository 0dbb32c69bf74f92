"""A principal that no database knows, for what asks the catalog alone."""

from decimal import Decimal

from crm_mcp.principal import Agent, Principal, Role


def acting(role: Role, agent: Agent) -> Principal:
    """Return an agent that acts for somebody of a role."""
    return Principal(
        1, "org", "Org", "EUR", "UTC", 1, "Some Body", "some@body.example", role, False, Decimal(0), False, 1, agent
    )
