"""The line that a sentence about a fixture is about."""

from __future__ import annotations

import pytest

from darkroom.rekognition.places import line_of

TEXT = """\
image: {name: a.jpg, sha256: abc}
labels:
  St. Bernard: 90
  Dog:
    confidence: 80
    boxes: [[0, 0, 1, 1],
            [0, 0, 2]]
faces:
  - box: [0, 0, 1, 1]
  - age: old
answers:
  DetectLabels:
    Labels: []
"""


@pytest.mark.parametrize(
    ("sentence", "line"),
    [
        ("image.sha256: must be the 64 hexadecimal digits", 1),
        ("labels.St. Bernard: not in the taxonomy", 3),
        ("labels.St. Bernard.confidence: is 171", 3),
        ("labels.Dog: 'colour' is not known here", 4),
        ("labels.Dog.confidence: is 171", 5),
        ("labels.Dog.boxes[1]: must be [left, top, width, height]", 7),
        ("labels.Dog.boxes[7]: no such place", 6),
        ("labels.Cat: no such place", 2),
        ("faces[1].age: must be like 31-39", 10),
        ("faces[1].box: is missing", 10),
        ("labels[0]: a list was expected", 2),
        ("answers.DetectLabels: 'Name' is missing", 12),
        ("DetectLabels.Labels[3].Name must be a string", 13),
        ("DetectLabels: Dog has not exactly one category", 12),
        ("the file: 'foo' is not known here", 1),
    ],
)
def test_a_place_is_followed_as_far_as_it_goes(sentence: str, line: int) -> None:
    assert line_of(TEXT, sentence) == line


def test_a_completed_answer_points_at_the_labels_that_made_it() -> None:
    assert line_of("image: {}\n\nlabels: {Kat: 5}\n", "DetectLabels: Kat has not exactly one category") == 3


def test_what_is_no_yaml_has_the_line_of_the_parsers_own_words() -> None:
    assert line_of("a: [\n", "expected ',' or ']' at line 2, column 1") == 2
    assert line_of("a: [\n", "not UTF-8") == 1
