"""All analysers of one image, side by side; what is answered already is never asked again.

                     ┌─ DetectLabels ──────────┐
    image ──(lead)──▶├─ DetectFaces ───────────┤──▶ answers, one for each analyser
                     └─ RecognizeCelebrities … ┘       │ as they come, while others are out
                                                       ▼
                                                  checkpoint (DynamoDB)

Where it is not certain that the service takes the image, one request goes ahead of the others: a refusal of
the image decides for all of them, so that a damaged file costs one request and not five.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.analyzers import Call, calls_for
from pipeline.answers import Answer, Answers
from pipeline.rekognition import refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from types_boto3_rekognition import RekognitionClient
    from types_boto3_rekognition.type_defs import ImageTypeDef

    from pipeline.settings import Settings

_MOST_CALLS = 5


class Trust(Enum):
    """What is known of an image before the service is asked."""

    READABLE = auto()
    """It was decoded as a whole and keeps the service's limits: all analysers are asked at once."""
    UNCERTAIN = auto()
    """One analyser is asked ahead of the others."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Asks the analysers that the settings name.

    Args:
        client: Rekognition; used by several threads at once, as boto3's clients may be.
        settings: which analysers, and their thresholds.
        pool: runs the requests of one image side by side.
    """

    client: RekognitionClient
    settings: Settings
    pool: Executor = field(default_factory=lambda: ThreadPoolExecutor(_MOST_CALLS, "analyser"))

    def answers(
        self,
        image: ImageTypeDef,
        *,
        known: Answers,
        trust: Trust,
        checkpoint: Callable[[Answers], None],
    ) -> Answers:
        """The answers of all analysers; those that the image's refusal made pointless are missing.

        Args:
            image: as Rekognition's requests name it.
            known: answers of an earlier attempt.
            trust: whether the service is sure to take the image.
            checkpoint: keeps the answers so far; called before an answer could be lost by waiting or failing.

        Raises:
            ClientError, BotoCoreError: a request failed for a reason that may pass. What was answered is kept.
        """
        answers = dict(known)
        calls = calls_for([analyzer for analyzer in self.settings.analyzers if analyzer not in answers])
        accepted = any(not answer.is_refusal for answer in answers.values())
        if not accepted and (answers or trust is Trust.UNCERTAIN or len(calls) == 1):
            if not answers:
                answers |= self._ask(calls.pop(0), image)
            if all(answer.is_refusal for answer in answers.values()):
                return answers
            if calls:
                checkpoint(answers)
        return answers | self._side_by_side(calls, image, answers, checkpoint)

    def _side_by_side(
        self,
        calls: list[Call],
        image: ImageTypeDef,
        known: Answers,
        checkpoint: Callable[[Answers], None],
    ) -> Answers:
        if len(calls) == 1:
            return self._ask(calls[0], image)
        answers: Answers = {}
        errors: list[Exception] = []
        pending: set[Future[Answers]] = {self.pool.submit(self._ask, call, image) for call in calls}
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                gained = _gather(done, errors)
                answers |= gained
                if gained and (pending or errors):
                    checkpoint(known | answers)
        finally:
            wait(pending)  # no request is left running behind the invocation's back
        if errors:
            raise _joined(errors)
        return answers

    def _ask(self, call: Call, image: ImageTypeDef) -> Answers:
        """The answers of one request; a refusal of the image is an answer too."""
        try:
            return call.ask(self.client, image, self.settings)
        except ClientError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            return dict.fromkeys(call.analyzers, Answer.refused(refusal))


def _gather(done: Iterable[Future[Answers]], errors: list[Exception]) -> Answers:
    gained: Answers = {}
    for future in done:
        try:
            gained |= future.result()
        except (ClientError, BotoCoreError) as error:
            errors.append(error)
    return gained


def _joined(errors: list[Exception]) -> Exception:
    """The first error; the others stand in its notes."""
    first, *others = errors
    for other in others:
        first.add_note(f"and another request failed: {other}")
    return first
