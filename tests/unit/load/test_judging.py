"""What reads prove about keys, and what records add up to."""

from __future__ import annotations

from e2e.load.keytable import KeyTable, Verdict, value_of
from e2e.load.records import Record, percentile, timeline_of, totals_of


def written(*versions: int) -> KeyTable:
    table = KeyTable()
    for version in versions:
        assert table.next_version("k") == version
        table.acknowledge("k", version)
    return table


def test_an_acknowledged_key_that_is_gone_is_lost() -> None:
    table = written(1)
    assert table.judge("k", table.floor("k"), None) is Verdict.LOST
    assert table.lost == {"k"}


def test_a_lost_key_that_comes_back_is_not_missing_any_more() -> None:
    table = written(1)
    table.judge("k", table.floor("k"), None)
    assert table.missing == {"k"}
    table.judge("k", table.floor("k"), (1, value_of("k", 1)))
    assert (table.missing, table.lost) == (set(), {"k"})


def test_less_than_was_acknowledged_before_the_read_is_stale() -> None:
    table = written(1, 2)
    assert table.judge("k", table.floor("k"), (1, value_of("k", 1))) is Verdict.STALE
    assert table.stale == {"k"}


def test_what_is_acknowledged_while_a_read_is_under_way_is_not_expected_of_it() -> None:
    table = written(1)
    floor = table.floor("k")
    table.acknowledge("k", table.next_version("k"))
    assert table.judge("k", floor, (1, value_of("k", 1))) is Verdict.OK


def test_a_write_of_unknown_outcome_leaves_both_values_right() -> None:
    table = written(1)
    table.next_version("k")
    for version in (1, 2):
        assert table.judge("k", table.floor("k"), (version, value_of("k", version))) is Verdict.OK


def test_an_acknowledgement_that_comes_late_lowers_nothing() -> None:
    table = written(1, 2)
    table.acknowledge("k", 1)
    assert table.floor("k") == 2
    assert table.keys == ["k"]


def test_a_value_under_another_version_is_wrong() -> None:
    table = written(1, 2)
    assert table.judge("k", table.floor("k"), (2, value_of("k", 1))) is Verdict.WRONG


def test_a_key_never_acknowledged_may_be_missing() -> None:
    assert KeyTable().judge("k", 0, None) is Verdict.OK


def record(outcome: str, ms: float = 1.0, at: float = 0.0, source: str = "client") -> Record:
    return Record(at, source, "read", "k", outcome, ms)


def test_a_lost_key_was_answered_and_a_missing_answer_has_failed() -> None:
    records = [record(outcome) for outcome in ("ok", "missing", "stale", "wrong-value", "timeout", "status-503")]
    totals = totals_of([*records, record("closed", source="watcher")], "client")
    assert (totals["requests"], totals["failed"]) == (6, 3)
    assert totals["errors"] == {"missing": 1, "stale": 1, "wrong-value": 1, "timeout": 1, "status-503": 1}


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentile(range(1, 101), 50) == 51
    assert percentile(range(1, 101), 99) == 100
    assert percentile([], 99) == 0


def test_the_timeline_counts_by_when_a_request_was_due() -> None:
    records = [record("ok", at=10.0), record("closed", at=10.2, ms=9), record("ok", at=10.3)]
    assert timeline_of(records, "client", bucket_ms=250) == [
        {"at": 10000, "requests": 2, "failed": 1, "p99Ms": 9},
        {"at": 10250, "requests": 1, "failed": 0, "p99Ms": 1.0},
    ]
