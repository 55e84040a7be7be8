"""The presets of the five followed systems: each one's defining facts, and the records that docs/presets.md shows.

One environment goes through all of them, one `up` each.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from darkroom.operations.alerts import newest
from darkroom.operations.environment import Environment
from darkroom.operations.figures import collect
from darkroom.operations.rescan import Place, Rescan
from darkroom.settings import PROJECT_ROOT
from tests.integration.conftest import Running, quiet, settings_for
from tests.support import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

DOCUMENT = (PROJECT_ROOT / "docs" / "presets.md").read_text()
IMAGES = PROJECT_ROOT / "fixtures" / "images"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    environment = Environment(settings_for(tmp_path_factory.mktemp("presets")))
    try:
        yield environment
    finally:
        environment.down()


def up(environment: Environment, preset: str) -> Running:
    done = environment.up(overrides=(), report=quiet, preset=preset)
    s3 = environment.session().client("s3")
    return Running(environment, environment.settings.inbox, done.bucket, environment.images(), s3)


def documented(preset: str) -> tuple[str, Any]:
    """Name of the photograph and the record of a preset's section."""
    section = DOCUMENT.partition(f"## `{preset}`")[2].partition("\n## ")[0]
    photograph = re.search(r"cp fixtures/images/(\S+) inbox/", section)
    record = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert photograph is not None
    assert record is not None
    assert f"make up PRESET={preset}" in section
    return photograph[1], json.loads(record[1])


def holds(found: Any, shown: Any) -> bool:
    """Whether everything that is shown is in what was found; lists may go on."""
    if isinstance(shown, dict):
        return isinstance(found, dict) and all(holds(found.get(name), it) for name, it in shown.items())
    if isinstance(shown, list):
        pairs = zip(found, shown, strict=False)
        return len(found) >= len(shown) and all(holds(one, other) for one, other in pairs)
    return bool(found == shown)


def drop_documented(running: Running, preset: str) -> dict[str, Any]:
    """Drop the photograph of a preset's section; its record, which is as shown."""
    name, shown = documented(preset)
    key = running.drop(name, (IMAGES / name).read_bytes())
    fingerprint = settings_of(running)
    record = running.record(key, until=lambda it: it["Settings"] == fingerprint)
    for field, value in shown.items():
        assert holds(record.get(field), value), (field, record.get(field))
    return record


def settings_of(running: Running) -> str:
    """The fingerprint of the deployed settings: that of an image that is analysed now."""
    key = running.drop(f"probe-{time.monotonic_ns()}.jpg", pictures.jpeg(time.monotonic_ns() % 10_000))
    return str(running.record(key)["Settings"])


def rescan(running: Running, folder: Path, *, stale: bool) -> int:
    place = Place(stale)
    target = running.environment.target()
    return Rescan(target, folder / "rescan.json").run(place, rate=100, progress=lambda _: None).sent


def test_tags_to_json_shows_more_when_the_threshold_is_lowered(
    environment: Environment, tmp_path: Path
) -> None:
    running = up(environment, "tags-to-json")
    record = drop_documented(running, "tags-to-json")
    assert record["LabelNames"] == ["Animal", "Mammal", "Pet"], "broad labels: the cat is under the threshold"
    document = json.loads(
        running.s3.get_object(Bucket=running.bucket, Key="metadata/cat-chelsea.png.json")["Body"].read()
    )
    assert document["LabelNames"] == record["LabelNames"]
    running.s3.put_object(Bucket=running.bucket, Key="uploads/new/", Body=b"")
    environment.up(overrides=("MinConfidence=60",), report=quiet, preset="tags-to-json")
    assert rescan(running, tmp_path, stale=True) >= 1
    lowered = running.record("uploads/cat-chelsea.png", until=lambda it: "Cat" in it["LabelNames"])
    assert lowered["LabelNames"][:3] == record["LabelNames"]
    assert running.images.get("uploads/new/") is None, "a folder marker is no picture"


def test_labels_table_keeps_labels_from_80_percent_on_for_the_whole_bucket(environment: Environment) -> None:
    running = up(environment, "labels-table")
    record = drop_documented(running, "labels-table")
    assert "Wood" not in record["LabelNames"], "which has 78 %"
    document = running.s3.get_object(Bucket=running.bucket, Key="metadata/uploads/coffee.png.json")
    assert json.loads(document["Body"].read())["ImageID"] == record["ImageID"]
    assert min(label["Confidence"] for label in record["Labels"]) >= 80
    running.s3.put_object(Bucket=running.bucket, Key="elsewhere/a.jpg", Body=pictures.jpeg(1))
    keys = ["elsewhere/a.jpg"]
    keys += [running.drop(f"at once/{n}.jpg", pictures.jpeg(20 + n, size=(300 + n, 200))) for n in range(10)]
    assert [running.record(key)["Status"] for key in keys] == ["TAGGED"] * 11
    assert [running.images.get(key)["Width"] for key in keys[1:]] == [300 + n for n in range(10)]  # type: ignore[index]
    deadline = time.monotonic() + 15
    while (figures := collect(environment.target(), "tagger", period_s=600)).metrics.get("Tagged", 0) < 11:
        assert time.monotonic() < deadline, figures.metrics
        time.sleep(0.3)
    assert figures.success_percent == 100.0
    assert figures.spread("duration_ms").percentiles
    assert figures.spread("memory_mb").percentiles


def test_media_search_finds_at_most_ten_labels_faces_and_text(environment: Environment) -> None:
    running = up(environment, "media-search")
    drop_documented(running, "media-search")
    key = running.drop("portrait.png", (IMAGES / "astronaut-eileen-collins.png").read_bytes())
    portrait = running.record(key)
    assert len(portrait["Labels"]) == 10, "there are more than ten from 70 % on"
    assert min(label["Confidence"] for label in portrait["Labels"]) >= 70
    assert len(portrait["Faces"]) == 1
    assert portrait["TaggedAt"]


def test_upload_page_answers_the_routes_of_the_original_to_any_origin(environment: Environment) -> None:
    running = up(environment, "upload-page")
    drop_documented(running, "upload-page")
    with OPENER.open(f"{environment.page()}PresignedURL?filename=mine.png", timeout=20) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        address = json.loads(answer.read())["presigned_url"]
    content = (IMAGES / "cat-chelsea.png").read_bytes()
    put = urllib.request.Request(address, data=content, method="PUT")  # noqa: S310 (of this environment)
    with OPENER.open(put, timeout=20) as answer:
        assert answer.status == 200
    record = running.record("uploads/mine.png")
    with OPENER.open(f"{environment.page()}GetImageLabels?filename=mine.png", timeout=20) as answer:
        assert json.loads(answer.read()) == {"filename": "mine.png", "labels": record["LabelNames"]}
    assert record["LabelNames"] == ["Animal", "Mammal", "Pet"]


def test_people_and_celebrities_describes_people_tells_of_celebrities_and_one_bad_image_stops_no_other(
    environment: Environment, tmp_path: Path
) -> None:
    running = up(environment, "people-and-celebrities")
    queue = subscribe(running)
    bad = running.drop("bad.jpg", b"no picture")
    record = drop_documented(running, "people-and-celebrities")
    assert all(it["Confidence"] > 75 for face in record["Faces"] for it in face["Emotions"])
    assert record["Celebrities"][0]["Confidence"] > 95
    assert running.record(bad)["Status"] == "FAILED"
    (alert,) = [it for it in newest(environment.target(), limit=10) if it["Kind"] == "celebrity"]
    assert (alert["Name"], alert["ImageID"]) == ("Eileen Collins", record["ImageID"])
    assert alert["AlertID"] in received(running, queue), "published to the topic, too"
    running.s3.put_object(Bucket=running.bucket, Key="old/before.jpg", Body=pictures.jpeg(60))
    running.record("old/before.jpg")
    assert rescan(running, tmp_path, stale=True) >= 1, "the pictures of the other presets are analysed anew"
    again = running.record("uploads/portrait.png", until=lambda it: "Celebrities" in it)
    assert again["Celebrities"][0]["Name"] == "Eileen Collins"
    rules = running.environment.session().client("events").list_rules(NamePrefix="darkroom-rescan")["Rules"]
    assert [rule["ScheduleExpression"] for rule in rules] == ["rate(1 day)"]


def subscribe(running: Running) -> str:
    """A queue that gets what the topic of the alerts is told."""
    session = running.environment.session()
    sqs = session.client("sqs")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = f"arn:aws:sns:us-east-1:{running.environment.settings.account}:darkroom-alerts"
    # SNS is let in by the queue's own policy: https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    session.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return str(queue)


def received(running: Running, queue: str) -> set[str]:
    """Ids of the alerts in the queue."""
    sqs = running.environment.session().client("sqs")
    answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)
    return {json.loads(message["Body"])["AlertID"] for message in answer.get("Messages", [])}


def test_every_preset_is_documented_with_a_command_and_a_record() -> None:
    presets = {
        path.stem
        for path in (PROJECT_ROOT / "environments").glob("*.toml")
        if "docs/presets.md" in path.read_text()
    }
    assert presets == set(re.findall(r"^## `([a-z-]+)`", DOCUMENT, re.MULTILINE))
    assert len(presets) == 5
    for preset in presets:
        assert documented(preset)
