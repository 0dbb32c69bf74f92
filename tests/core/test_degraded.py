"""What a process works without is said as long as it is so."""

from crm_mcp.degraded import Degraded


def test_what_is_away_is_told_until_it_is_back() -> None:
    degraded = Degraded()
    assert degraded.meta() == {}
    degraded.lost("embedder", "found by words alone")
    degraded.lost("redis", "kept in Postgres")
    degraded.back("redis")
    assert degraded.meta() == {"degraded": {"embedder": "found by words alone"}}
    degraded.back("embedder")
    degraded.back("embedder")
    assert degraded.meta() == {}
