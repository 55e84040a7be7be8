from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ordering import Claim, Known, Order, Position, Verdict, iso_utc, judge

NOW = 1_000_000
hexadecimal = st.text("0123456789ABCDEF", min_size=1, max_size=20)


def at(
    sequencer: str | None, time: str = "2026-01-01T00:00:00.000Z", etag: str = "a", version: str | None = None
) -> Position:
    return Position(sequencer, time, etag, version)


def padded(first: str, second: str) -> Order:
    """The comparison as S3's documents word it."""
    width = max(len(first), len(second))
    one, two = first.ljust(width, "0"), second.ljust(width, "0")
    return Order.SAME if one == two else Order.NEWER if one > two else Order.OLDER


@given(hexadecimal, hexadecimal)
def test_sequencers_compare_as_s3_documents(first: str, second: str) -> None:
    assert at(first).compared_to(at(second)) is padded(first, second)


def test_a_shorter_sequencer_is_padded_on_the_right() -> None:
    assert at("0055AED6DCD9").compared_to(at("0055AED6DCD90281E5")) is Order.OLDER
    assert at("0056").compared_to(at("0055AED6DCD90281E5")) is Order.NEWER
    assert at("0055A").compared_to(at("0055A000")) is Order.SAME


def test_the_sequencer_outweighs_the_time() -> None:
    assert (
        at("02", "2026-01-01T00:00:00.000Z").compared_to(at("01", "2026-06-01T00:00:00.000Z")) is Order.NEWER
    )


@pytest.mark.parametrize(("mine", "theirs"), [("05", "05"), (None, "05"), ("05", None), (None, None)])
def test_without_a_telling_sequencer_the_upload_time_decides(mine: str | None, theirs: str | None) -> None:
    early, late = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z"
    assert at(mine, late, "b").compared_to(at(theirs, early, "a")) is Order.NEWER
    assert at(mine, early, "b").compared_to(at(theirs, late, "a")) is Order.OLDER


def test_the_same_bytes_without_a_telling_sequencer_are_the_same_upload() -> None:
    assert at(None).compared_to(at("05")) is Order.SAME
    assert at(None).compared_to(at(None, version="v1")) is Order.SAME


def test_other_bytes_in_the_same_second_count_as_newer() -> None:
    assert at(None, etag="b").compared_to(at(None, etag="a")) is Order.NEWER


def test_two_versions_with_the_same_bytes_are_two_uploads() -> None:
    assert at(None, version="v2").compared_to(at(None, version="v1")) is Order.NEWER


def known(record: Position | None = None, claim: Claim | None = None, settings: str = "s") -> Known:
    return Known(record, settings, "r", claim)


def claim(position: Position, *, owner: str = "other", until_ms: int = NOW + 1) -> Claim:
    return Claim(owner, "token", until_ms, position)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (known(), Verdict.PROCEED),
        (known(at("05")), Verdict.DUPLICATE),
        (known(at("05"), settings="other"), Verdict.PROCEED),
        (known(at("04", etag="old")), Verdict.PROCEED),
        (
            known(at("04")),
            Verdict.DUPLICATE,
        ),  # the same bytes once more, without versions: nothing new to pay for
        (known(at("06")), Verdict.OUTDATED),
        (known(at("06"), settings="other"), Verdict.OUTDATED),
        (known(claim=claim(at("05"))), Verdict.BUSY),
        (known(claim=claim(at("05"), until_ms=NOW)), Verdict.PROCEED),
        (known(claim=claim(at("05"), owner="me")), Verdict.PROCEED),
        (known(claim=claim(at("04"))), Verdict.PROCEED),
        (known(claim=claim(at("06"))), Verdict.OUTDATED),
        (known(at("05"), claim(at("04"))), Verdict.DUPLICATE),
        (known(at("04", etag="old"), claim(at("05"))), Verdict.BUSY),
    ],
)
def test_what_an_invocation_may_do(state: Known, verdict: Verdict) -> None:
    assert judge(state, at("05"), settings="s", owner="me", now_ms=NOW) is verdict


def test_times_are_written_in_utc() -> None:
    summer = timezone(timedelta(hours=2))
    assert iso_utc(datetime(2026, 7, 1, 14, 0, 0, 5_000, tzinfo=summer)) == "2026-07-01T12:00:00.005Z"
