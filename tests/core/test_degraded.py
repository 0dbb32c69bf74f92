"""What a process works without is said as long as it is so."""

from crm_mcp.degraded import SAID, Degraded


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


def test_a_part_that_nobody_missed_for_a_minute_is_not_said_until_somebody_misses_it_again() -> None:
    now = [100.0]
    degraded = Degraded(lambda: now[0])
    degraded.lost("embedder", "found by words alone")
    now[0] += SAID - 1
    assert degraded.meta()["degraded"].keys() == {"embedder"}
    degraded.lost("embedder", "found by words alone")
    now[0] += SAID - 1
    assert degraded.meta()["degraded"].keys() == {"embedder"}
    now[0] += 1
    assert degraded.meta() == {}
    degraded.lost("embedder", "found by words alone")
    assert degraded.meta()["degraded"].keys() == {"embedder"}
