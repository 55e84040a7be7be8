"""What became of one analyser: its findings or its refusal, in a form that outlives the invocation.

A checkpoint keeps answers that are paid for, so that the next attempt asks only for those that are missing.
They are packed, because DynamoDB counts every kilobyte that is written and nobody reads them but this code.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.settings import Analyzer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.errors import ImageRefusedError


@dataclass(frozen=True, slots=True)
class Answer:
    """What one analyser said of an image.

    Attributes:
        fields: the record's fields that it found; empty for a refusal.
        source: where the answer comes from, such as `aws`.
        model_version: of the model, where the service tells it.
        error_code: the refusal's code; None where the image was analysed.
        error_message: the refusal's reason, for a person.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    model_version: str | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def is_refusal(self) -> bool:
        return self.error_code is not None

    @classmethod
    def refused(cls, refusal: ImageRefusedError) -> Answer:
        return cls(error_code=refusal.code, error_message=refusal.message)


Answers = dict[Analyzer, Answer]


def pack(answers: Mapping[Analyzer, Answer]) -> bytes:
    """Answers as compressed JSON; every digit of a number is kept."""
    document = {analyzer.value: asdict(answer) for analyzer, answer in answers.items()}
    return zlib.compress(json.dumps(document).encode())


def unpack(packed: bytes) -> Answers:
    """The answers that `pack` packed."""
    document: dict[str, dict[str, Any]] = json.loads(zlib.decompress(packed))
    return {Analyzer(name): Answer(**fields) for name, fields in document.items()}
