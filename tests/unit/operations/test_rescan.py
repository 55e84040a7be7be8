"""Going through a bucket from the command line: pace, place, errors."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from darkroom.errors import FunctionFailedError, NotFoundError
from darkroom.operations.rescan import Place, Rescan
from darkroom.operations.target import Target
from darkroom.stack import StackOutputs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Function:
    """The rescan function over a bucket of so many objects, all of them due."""

    def __init__(self, objects: int) -> None:
        self.objects = objects
        self.events: list[dict[str, Any]] = []
        self.fails_at: int | None = None

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "darkroom-rescan"
        event = json.loads(Payload)
        self.events.append(event)
        if self.fails_at == len(self.events):
            return self._answer(
                {"errorType": "ClientError", "errorMessage": "Rate exceeded"}, FunctionError="Unhandled"
            )
        at = int(event["cursor"] or 0)
        sent = min(event["most"], self.objects - at)
        end = at + sent == self.objects
        return self._answer({"looked_at": sent, "sent": sent, "cursor": None if end else str(at + sent)})

    def _answer(self, payload: dict[str, Any], **more: str) -> dict[str, Any]:
        return {"Payload": io.BytesIO(json.dumps(payload).encode()), **more}


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name="us-east-1")
        yield Target(
            session, "darkroom", StackOutputs("bucket", "ImageLabels", "f", "f:live", "logs", "queue")
        )


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("darkroom.operations.rescan.time.sleep", found.append)
    monkeypatch.setattr("darkroom.operations.rescan.time.monotonic", lambda: 100.0)
    return found


def rescan_of(target: Target, function: Function, folder: Path) -> Rescan:
    rescan = Rescan(target, folder / "rescan.json")
    rescan._lambda = function  # type: ignore[assignment]
    return rescan


def nothing(_: Place) -> None:
    """Report nothing."""


def test_it_goes_to_the_end_of_the_bucket_no_faster_than_asked(
    target: Target, tmp_path: Path, slept: list[float]
) -> None:
    function = Function(5)
    reached: list[Place] = []
    done = rescan_of(target, function, tmp_path).run(Place(stale=False), rate=2, progress=reached.append)
    assert done == Place(stale=False, cursor=None, looked_at=5, sent=5)
    assert [event["most"] for event in function.events] == [2, 2, 2]
    assert slept == [1.0, 2.0]
    assert reached[-1] == done


def test_a_rescan_that_was_broken_off_goes_on_from_its_place(
    target: Target, tmp_path: Path, slept: list[float]
) -> None:
    function = Function(5)
    function.fails_at = 3
    with pytest.raises(FunctionFailedError, match="Rate exceeded"):
        rescan_of(target, function, tmp_path).run(Place(stale=False), rate=2, progress=nothing)
    again = rescan_of(target, function, tmp_path)
    place = again.place(stale=False)
    assert (place.cursor, place.sent) == ("4", 4)
    assert again.run(place, rate=2, progress=nothing).sent == 5
    assert again.place(stale=False) == Place(stale=False), "it is done: the next one begins anew"


def test_the_place_of_another_kind_or_another_bucket_is_not_taken(
    target: Target, tmp_path: Path, slept: list[float]
) -> None:
    function = Function(5)
    function.fails_at = 2
    with pytest.raises(FunctionFailedError):
        rescan_of(target, function, tmp_path).run(Place(stale=False), rate=2, progress=nothing)
    assert rescan_of(target, function, tmp_path).place(stale=True).cursor is None
    outputs = StackOutputs("another", "ImageLabels", "f", "f:live", "logs", "queue")
    elsewhere = Target(target.session, "darkroom", outputs)
    assert rescan_of(elsewhere, function, tmp_path).place(stale=False).cursor is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"place": 1}', '{"place": {"other": 1}, "bucket": "bucket"}']
)
def test_a_damaged_note_means_to_begin_anew(target: Target, tmp_path: Path, content: str) -> None:
    (tmp_path / "rescan.json").write_text(content)
    assert Rescan(target, tmp_path / "rescan.json").place(stale=False) == Place(stale=False)


def test_objects_are_counted_for_the_progress(target: Target, tmp_path: Path) -> None:
    s3 = target.session.client("s3")
    s3.create_bucket(Bucket="bucket")
    for number in range(3):
        s3.put_object(Bucket="bucket", Key=f"uploads/{number}", Body=b"")
    assert Rescan(target, tmp_path / "note").count() == 3


def test_a_stack_without_the_function_says_why(target: Target, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as error:
        Rescan(target, tmp_path / "note").run(Place(stale=False), rate=1, progress=nothing)
    assert "your own Lambda" in error.value.hint
