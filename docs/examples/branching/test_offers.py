"""The marketplace's rules, tested on twenty photographs."""

from pathlib import Path
from typing import Any

import pytest
from offers import Decision, decide

PHOTOS = Path(__file__).parent / "photos"
EXPECTED = {
    "cat": Decision("publish", shelf="pets"),
    "kitten": Decision("review", why="perhaps a pet (62 %)"),
    "van": Decision("publish", shelf="vehicles"),
    "party": Decision("review", why="Drinking"),
    "sign": Decision("reject", why="a telephone number is in the picture"),
}


@pytest.mark.parametrize("photograph", sorted(PHOTOS.glob("*.jpg")), ids=lambda path: path.name)
def test_each_photograph_is_treated_by_what_is_in_it(rekognition: Any, photograph: Path) -> None:
    kind = photograph.name.partition("-")[0]
    assert decide(rekognition, photograph.read_bytes()) == EXPECTED[kind]


def test_there_are_photographs() -> None:
    assert len(list(PHOTOS.glob("*.jpg"))) == 20
