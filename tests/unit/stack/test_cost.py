from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.stack.cost import Estimate, estimate
from darkroom.stack.template import Template

TEMPLATE = Template.load(Path(__file__).parents[3] / "template.yaml")
CODE = {"CodeBucket": "b", "CodeKey": "k", "CodeHash": "h", "Release": "r"}


def of(images: int, *, region: str = "us-east-1", **parameters: str) -> Estimate:
    values = TEMPLATE.complete(CODE | parameters)
    return estimate(images=images, parameters=values, active=TEMPLATE.active(values), region=region)


def usd(found: Estimate, what: str) -> float:
    return next(line.usd for line in found.lines if line.what == what)


def test_rekognition_is_a_dollar_for_a_thousand_images_and_analyser() -> None:
    assert usd(of(1000), "Rekognition") == pytest.approx(1.0)
    assert usd(of(1000, Analyzers="labels, faces,text"), "Rekognition") == pytest.approx(3.0)
    assert usd(of(1000, Analyzers="labels,properties"), "Rekognition") == pytest.approx(1.75)


def test_everything_but_the_alarms_grows_with_the_images() -> None:
    nothing, some, more = of(0), of(1000), of(2000)
    assert nothing.usd == usd(nothing, "Alarms") > 0
    assert more.usd - nothing.usd == pytest.approx(2 * (some.usd - nothing.usd))


def test_without_alarms_they_cost_nothing() -> None:
    assert usd(of(0, Alarms="off"), "Alarms") == 0


def test_a_region_whose_prices_are_unknown_is_estimated_upwards_and_says_so() -> None:
    there = of(1000, region="eu-west-1")
    assert usd(there, "Rekognition") > 1.0
    assert "eu-west-1" in there.lines[0].basis


def test_twice_the_memory_is_nearly_twice_the_price_of_lambda() -> None:
    ratio = usd(of(1000, TaggerMemory="1024"), "Lambda") / usd(of(1000, TaggerMemory="512"), "Lambda")
    assert 1.9 < ratio < 2.0
