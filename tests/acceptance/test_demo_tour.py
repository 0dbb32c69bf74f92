"""What `crm-mcp demo` shows: a day that the reports confirm."""

import re
from decimal import Decimal

import pytest

from crm_mcp.config import Settings
from crm_mcp.db import Database
from crm_mcp.demo import tour
from crm_mcp.embedded import Home


async def test_the_tour_ends_with_the_report_changed_by_the_order_that_was_approved(
    home: Home, approver: Database, origin: str
) -> None:
    said: list[str] = []
    await tour.tour(approver, origin, Settings(home=home.root), said.append)
    told = "\n".join(said)
    assert "create_order_draft is not for support: Unknown tool: create_order_draft" in told
    assert "approval_required" in told and "approved by Mia Moreau" in told

    def amount(words: str) -> Decimal:
        (found,) = re.findall(rf"{words}EUR ([\d,]+\.\d\d)", told)
        return Decimal(found.replace(",", ""))

    assert amount("The report now says ") - amount("The report still says ") == amount("the order's net is ") > 0
    assert all(prompt in told for prompt in tour.PROMPTS)


async def test_a_tour_that_fails_says_why_and_no_more(
    home: Home, approver: Database, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tour, "SELLER", tour.SUPPORTER)
    with pytest.raises(tour.DemoFailed) as failed:
        await tour.tour(approver, origin, Settings(home=home.root), [].append)
    assert failed.value.hint == "create_order_draft answered Unknown tool: create_order_draft"
