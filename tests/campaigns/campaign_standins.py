"""What is no part of the product and may be away, in a process that can be killed: campaign_standins.py NAME PORT [hold].

`embedder` speaks OpenAI's embeddings, `model` the Messages API, `fallback` chat completions. The model notes what it is asked
to and then says so; told to hold, it says `holding` instead and answers no more.
"""

import json
import re
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1] / name) for name in ("agents", "vectors")]

from chat_standin import ChatStandIn
from served import serving
from standin import Call, StandIn, Turn

NOTED, NOTED_INSTEAD = "The note is there.", "The other model says that the note is there."
ASKED = re.compile(r"Write down on (cust_\d+): (\w+)")


class Noting(StandIn):
    """Writes one note for a request and says so; knows by the request alone how far it is."""

    holds = False

    def _next(self, body: dict[str, Any]) -> Turn:
        said = json.dumps(body["messages"])
        asked = ASKED.search(said)
        if asked is None or not body.get("tools"):
            return "ok"
        if '"tool_result"' not in said:
            about, text = asked.groups()
            return Call("add_note", {"about": about, "body": text, "reason": "They asked."})
        if self.holds:
            print("holding", flush=True)
            threading.Event().wait()
        return NOTED


def standing(name: str, port: int, holds: bool) -> AbstractContextManager[Any]:
    if name == "embedder":
        return serving(port)
    if name == "fallback":
        return ChatStandIn(*[NOTED_INSTEAD] * 1000, port=port)
    made = Noting({}, port)
    made.holds = holds
    return made


if __name__ == "__main__":
    with standing(sys.argv[1], int(sys.argv[2]), "hold" in sys.argv[3:]):
        print("ready", flush=True)
        sys.stdin.read()
