"""The card as one document: its page, style and scripts put together, and nothing else allowed to run or load."""

import base64
import hashlib
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = ("host.js", "text.js", "show.js", "edit.js", "card.js")
"""In the order in which they lean on each other."""


@cache
def document() -> str:
    """Return the card's HTML.

    Its own Content-Security-Policy names the one style and the one script by their hashes, so that neither a host
    that is lax nor a text that slipped through could run, load or send anything.
    """
    style = _read("draft.css")
    script = "(() => {\n'use strict';\n" + "\n".join(_read(name) for name in SCRIPTS) + "})();\n"
    assert "</" not in style and "</script" not in script and "<!--" not in script
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    page = _read("draft.html")
    for mark, part in (("{{policy}}", policy), ("{{style}}", style), ("{{script}}", script)):
        assert page.count(mark) == 1
        page = page.replace(mark, part)
    return page


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
