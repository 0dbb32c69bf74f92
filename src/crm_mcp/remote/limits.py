"""How much one key and one peer may ask of the server: every figure, and what counts them."""

import math
from collections import OrderedDict

from .. import rates

BODY = 1 << 20
"""Bytes of one request."""
WASTE = 32 << 20
"""Bytes of a request that is too large which are read, and thrown away, so that its client hears why."""
HEADERS = 32 << 10
"""Bytes of a request's headers."""
HEADER_SECONDS = 10
"""From the first byte of a connection or a request to the end of its headers."""
BODY_SECONDS = 15
IDLE_SECONDS = 65
"""Without a request, until a connection is closed."""
CONNECTIONS = 1000
PER_MINUTE = 600
"""Requests of one key, unless --requests-per-minute says otherwise."""
AT_ONCE = 16
"""Requests of one key that are being answered."""
WAITS = AT_ONCE // 2
"""Of these, calls that wait for a decision; the next is answered as things are."""
SESSIONS = 50
"""Sessions of one key, and streams that it listens on."""
SESSION_IDLE = 30 * 60
KEYS = 500
"""Keys whose clients are remembered; the longest unused one goes."""
KEY_IDLE = 24 * 3600
"""A day, for as long as a draft usually waits: its decision is then still told with the next call."""
FAILURES = 20
"""Attempts a minute of one peer with keys that sign nobody in."""
PEERS = 10_000
DRAIN = 20
"""Seconds that calls in flight have to end once the server was told to stop."""
STATED = (
    f"Limits: {BODY >> 20} MB a request; {PER_MINUTE} requests a minute and {AT_ONCE} at once per key, of "
    f"which {WAITS} may wait for a decision (429 with "
    f"Retry-After); {SESSIONS} sessions per key, each closed after {SESSION_IDLE // 60} idle minutes; {FAILURES} failed "
    f"keys a minute per peer; {HEADER_SECONDS} s for headers, {BODY_SECONDS} s for a body, {IDLE_SECONDS} s idle; "
    f"{CONNECTIONS} connections. Calls over every transport: {rates.PER_MINUTE} a minute per person and "
    f"{rates.PER_MINUTE_OF_AGENTS} per agent of theirs, unless CRM_CALLS_PER_MINUTE and CRM_AGENT_CALLS_PER_MINUTE say "
    "otherwise. Health without a key: /healthz, /readyz."
)


class Bucket:
    """So many in a minute, at once or spread over it."""

    def __init__(self, per_minute: int, now: float) -> None:
        self._full, self._left, self._at = per_minute, float(per_minute), now

    def wait(self, now: float) -> int:
        """Return the whole seconds until there is one to take; 0 where there is."""
        self._left = min(self._full, self._left + (now - self._at) * self._full / 60)
        self._at = now
        return 0 if self._left >= 1 else max(1, math.ceil((1 - self._left) * 60 / self._full))

    def take(self, now: float) -> int:
        """Take one; return the whole seconds to wait where there is none."""
        wait = self.wait(now)
        if wait == 0:
            self._left -= 1
        return wait


class Failures:
    """Who tried keys that sign nobody in; the longest quiet peers are forgotten first."""

    def __init__(self, per_minute: int = FAILURES, peers: int = PEERS) -> None:
        self._per_minute, self._peers = per_minute, peers
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait(self, peer: str, now: float) -> int:
        """Return the seconds that a peer has to wait before it may try another key."""
        bucket = self._buckets.get(peer)
        return 0 if bucket is None else bucket.wait(now)

    def count(self, peer: str, now: float) -> None:
        bucket = self._buckets.setdefault(peer, Bucket(self._per_minute, now))
        self._buckets.move_to_end(peer)
        bucket.take(now)
        if len(self._buckets) > self._peers:
            self._buckets.popitem(last=False)
