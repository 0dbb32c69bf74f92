"""Where the figures are taken: a temporary home with the demo orgs, and the environment of a process it serves."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from crm_mcp.embedded import Home
from homes import load_demo, temporary_home


@contextlib.contextmanager
def demo_home(parent: Path | None = None) -> Generator[Home]:
    """Yield a home whose database runs, as durable as a real one, and holds the demo orgs."""
    with temporary_home(parent=parent, settings={}) as home:
        load_demo(home)
        yield home


def environment(home: Home, source: Path | None = None) -> dict[str, str]:
    """Return the environment of a served process: this home, no browser, calls without a limit that is felt.

    Another checkout is served where `source` is given.
    """
    env = {**os.environ, "CRM_HOME": str(home.root), "CRM_OPEN_BROWSER": "never", "CRM_CALLS_PER_MINUTE": "1000000"}
    return env | ({"PYTHONPATH": str(source)} if source else {})
