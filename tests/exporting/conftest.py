"""The import changes what it finds, so it has a home of its own."""

from collections.abc import Generator

import pytest

from crm_mcp.embedded import Home
from homes import temporary_home


@pytest.fixture(scope="session")
def home() -> Generator[Home]:
    with temporary_home() as made:
        yield made
