"""The card and the pages in the chat as one document each: page, style and scripts put together, and nothing else allowed to run or load."""

import base64
import hashlib
from functools import cache
from pathlib import Path

from . import card
from .pages import PAGES

HERE = Path(__file__).parent
SHARED = ("host.js", "text.js", "frame.js")
SCRIPTS = (*SHARED, "show.js", "edit.js", "card.js")
"""Of the card, in the order in which they lean on each other."""
VIEW_SCRIPTS = (
    *SHARED,
    "vendor/charts.js",
    "figures.js",
    "chart.js",
    "parts.js",
    "customer.js",
    "order.js",
    "pipeline.js",
    "report.js",
    "view.js",
)
"""Of the pages, which all have the same: one leads on to another without leaving its frame."""


@cache
def document(uri: str = card.URI) -> str:
    """Return the HTML of the card, or of a page by its address.

    Its own Content-Security-Policy names the one style and the one script by their hashes, so that neither a host
    that is lax nor a text that slipped through could run, load or send anything.
    """
    if uri == card.URI:
        title, page, styles, scripts = "Draft", "draft.html", ("page.css",), SCRIPTS
    else:
        title, page, styles, scripts = PAGES[uri].name, "view.html", ("page.css", "view.css"), VIEW_SCRIPTS
    style = "\n".join(_read(name) for name in styles)
    script = "(() => {\n'use strict';\n" + "\n".join(_read(name) for name in scripts) + "})();\n"
    assert "</" not in style and "</script" not in script and "<!--" not in script
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    made = _read(page)
    marks = {"policy": policy, "title": title, "kind": title.lower(), "style": style, "script": script}
    for mark, part in marks.items():
        made = made.replace(f"{{{{{mark}}}}}", part)
    return made


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
