"""The counters of the limits, with a clock of their own."""

from starlette.datastructures import Headers

from crm_mcp.remote.bearer import key_in, peer_of
from crm_mcp.remote.limits import Bucket, Failures


def test_a_bucket_gives_so_many_at_once_and_fills_over_a_minute():
    bucket = Bucket(60, 0)
    assert [bucket.take(0) for _ in range(61)] == [0] * 60 + [1]
    assert (bucket.take(1), bucket.take(1)) == (0, 1)
    assert [bucket.take(1000) for _ in range(61)] == [0] * 60 + [1]


def test_a_wait_is_never_zero_seconds_while_there_is_nothing_to_take():
    slow = Bucket(1, 0)
    assert (slow.take(0), slow.take(0), slow.take(59.9), slow.take(60)) == (0, 60, 1, 0)


def test_peers_that_fail_are_counted_apart_and_forgotten_when_there_are_too_many():
    failures = Failures(per_minute=2, peers=2)
    for peer in ("a", "a", "b"):
        failures.count(peer, 0)
    assert (failures.wait("a", 0) > 0, failures.wait("b", 0), failures.wait("c", 0)) == (True, 0, 0)
    failures.count("c", 0)
    assert failures.wait("a", 0) == 0


def test_a_key_is_read_from_one_bearer_header_alone():
    key = "crm_" + "k" * 43
    assert key_in(Headers({"authorization": f"bearer {key}"})) == key
    for bad in (f"Bearer  {key}", f"Bearer {key} ", f"Basic {key}", "Bearer crm_short", f"Bearer {key},{key}", key):
        assert key_in(Headers({"authorization": bad})) is None, bad
    twice = Headers(raw=[(b"authorization", f"Bearer {key}".encode())] * 2)
    assert key_in(twice) is None


def test_a_peer_is_what_the_proxy_saw_and_a_network_of_ipv6_is_one():
    def peer(address, forwarded=None, proxied=False):
        headers = Headers({"x-forwarded-for": forwarded} if forwarded else {})
        return peer_of({"client": (address, 1)}, headers, proxied)

    assert peer("10.0.0.1", "6.6.6.6") == "10.0.0.1"
    assert peer("10.0.0.1", "6.6.6.6, 9.9.9.9", True) == "9.9.9.9"
    assert peer("10.0.0.1", "garbage", True) == "unknown"
    assert peer("2001:db8:1:2:3::4") == peer("2001:db8:1:2::9") != peer("2001:db8:1:3::9")
    assert peer("::ffff:10.0.0.1") == "10.0.0.1"
