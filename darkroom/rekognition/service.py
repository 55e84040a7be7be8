"""The service: one request in, one answer out.

The order of checks is the order in which the service is seen or assumed to check: operation, JSON, shape
constraints, parameters that belong together, S3, size in bytes, format, dimensions, result.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from darkroom.rekognition import errors, moderation, texts
from darkroom.rekognition.celebrities import celebrity_info
from darkroom.rekognition.comparing import compare
from darkroom.rekognition.control import (
    FAULTS_PATH,
    MODE_PATH,
    REPORT_PATH,
    control_faults,
    control_mode,
    control_report,
    not_found,
)
from darkroom.rekognition.errors import FixtureError, ServiceError
from darkroom.rekognition.faults import FaultInjector
from darkroom.rekognition.images import Picture, inspect
from darkroom.rekognition.labels import MaxLabelsRule
from darkroom.rekognition.ladder import Found, Ladder, Source, Subject
from darkroom.rekognition.limits import IMAGE_LIMITS, ImageLimits
from darkroom.rekognition.live import Live, interaction_of
from darkroom.rekognition.model import SERVED, OperationModel, service_model
from darkroom.rekognition.modes import Mode
from darkroom.rekognition.operations import Narrower, add_properties, wanted_features
from darkroom.rekognition.pixels import reduced
from darkroom.rekognition.properties import ImageProperties
from darkroom.rekognition.switch import Switch
from darkroom.rekognition.validation import answer_problems, parse_request, read_request
from darkroom.rekognition.wire import (
    DETAIL_HEADER,
    FAULT_HEADER,
    IMAGE_HEADER,
    SOURCE_HEADER,
    VERIFY_HEADER,
    Answer,
    failure,
    success,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from darkroom.rekognition.sources import ObjectSource

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

TARGET_PREFIX = "RekognitionService."
_INLINE_BYTES = 1024 * 1024
"""Parsing a body, or hashing and walking a picture, up to this size takes a few milliseconds: no need of a thread."""
_AWS_THREADS = 16
"""Real AWS takes up to a second: so many calls at once, beside the threads that keep local work quick."""
_PICTURES = ("Image", "SourceImage", "TargetImage")


class Rekognition:
    """A local Amazon Rekognition.

    Args:
        fixtures: the folder with `authored/` and `recorded/`.
        source: reads `S3Object`s.
        strict: refuse a picture that nothing describes, instead of inventing an answer.
        switch: the mode, changed while requests are under way; by default `stub`.
        max_labels_rule: see `MaxLabelsRule`.
        clock: seconds, monotonic; for noticing changed files and for the rate limit.
        sleep: waits for so many seconds; for faults of latency.
    """

    def __init__(
        self,
        *,
        fixtures: Path,
        source: ObjectSource,
        strict: bool = False,
        switch: Switch | None = None,
        max_labels_rule: MaxLabelsRule = MaxLabelsRule.MEASURED,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.switch = switch or Switch(recorded=fixtures / "recorded")
        self.faults = FaultInjector(clock=clock)
        self._sleep = sleep
        self._source = source
        self._narrower = Narrower(max_labels_rule)
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="rekognition")
        self._aws_threads = ThreadPoolExecutor(max_workers=_AWS_THREADS, thread_name_prefix="aws")
        self._ladder = Ladder(fixtures=fixtures, strict=strict, clock=clock)

    def close(self) -> None:
        """Stop the worker threads."""
        for threads in (self._threads, self._aws_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    @property
    def mode(self) -> Mode:
        """Where answers may come from now."""
        return self.switch.live.choices.mode

    async def answer(self, *, target: str, body: bytes) -> Answer:
        """The HTTP response to one request; bad input is answered, never raised.

        Args:
            target: the header `X-Amz-Target`, such as ``RekognitionService.DetectLabels``.
            body: the request's body, JSON.
        """
        extra: dict[str, str] = {}
        try:
            model = _operation(target)
            if await self._meets_its_fate(model.name, extra):
                return Answer(status=500, headers={}, body=b"", disconnect=True)
            request = await self._read(model, body)
            return success(await self._respond(model, request, extra), extra)
        except ServiceError as error:
            logger.info("%s: %s (%d)", _line(target), _line(str(error)), error.status)
            return failure(error, extra)
        except FixtureError as error:
            logger.error("%s: %s", _line(target), error)  # noqa: TRY400 -- the sentence says all
            return failure(
                ServiceError("InvalidFixtureException", f"The fixture cannot be used: {error}"), extra
            )
        except Exception:
            logger.exception("%s: a bug in the local Rekognition", _line(target))
            return failure(errors.internal_error(), extra)

    async def control(self, *, path: str = FAULTS_PATH, method: str, body: bytes) -> Answer:
        """Faults, mode and report over HTTP: see `control`, for paths below `control.CONTROL_PREFIX`.

        Whoever serves this must let only its owner in (see `control.CONTROL_HEADER`).
        """
        if path == FAULTS_PATH:
            return control_faults(self.faults, method=method, body=body)
        if path == MODE_PATH:
            return await self._in_thread(partial(control_mode, self.switch, method=method, body=body))
        return control_report(self.switch, method=method) if path == REPORT_PATH else not_found()

    async def _read(self, model: OperationModel, body: bytes) -> dict[str, Any]:
        if len(body) <= _INLINE_BYTES:
            return _parsed(model, body)
        return await self._in_thread(_parsed, model, body)

    async def _meets_its_fate(self, name: str, extra: dict[str, str]) -> bool:
        """Wait, fail or go on, as the fault plan says; True means that the connection is to be dropped."""
        fate = self.faults.fate(name)
        if fate.wait_ms:
            await self._sleep(fate.wait_ms / 1000)
        if fate.error is not None:
            extra[FAULT_HEADER] = "injected"
            raise fate.error.again()
        return fate.drop

    async def _respond(
        self, model: OperationModel, request: dict[str, Any], extra: dict[str, str]
    ) -> dict[str, Any]:
        live = self.switch.live
        if live.choices.mode is not Mode.STUB:
            return await self._live(live, model.name, request, extra)
        if model.name == "GetCelebrityInfo":
            response = await self._celebrity_info(request, extra)
        elif model.name == "CompareFaces":
            response = await self._compare_faces(request, extra)
        else:
            response = await self._analyse(model.name, request, extra)
        problems = answer_problems(model.output, response, model.name)
        if problems:
            raise errors.internal_error(f"The answer would not be the service's: {'; '.join(problems[:3])}")
        return response

    async def _live(
        self, live: Live, name: str, request: dict[str, Any], extra: dict[str, str]
    ) -> dict[str, Any]:
        """An operation in a mode with recordings or real AWS, which judge the picture: nothing local does."""
        pictures = {
            member: await self._bytes(request[member], IMAGE_LIMITS[name])
            for member in _PICTURES
            if member in request
        }
        interaction = interaction_of(name, request, pictures, name=_name_of(request))
        if pictures:
            extra[IMAGE_HEADER] = interaction.key
        threads = self._aws_threads if live.choices.mode.asks_aws else self._threads
        reply = await asyncio.get_running_loop().run_in_executor(threads, live.reply, interaction)
        self._note(extra, reply.source, reply.detail)
        if reply.verdict:
            extra[VERIFY_HEADER] = reply.verdict
        logger.info("%s %s (%s): %s", name, _line(interaction.name), interaction.key[:12], reply.detail)
        return reply.response

    async def _analyse(self, name: str, request: dict[str, Any], extra: dict[str, str]) -> dict[str, Any]:
        """An operation on one picture."""
        _CHECKS.get(name, _nothing_to_check)(request)
        subject = await self._subject(request["Image"], IMAGE_LIMITS[name])
        extra[IMAGE_HEADER] = subject.sha256
        if self._ladder.is_quick(subject):
            found = self._ladder.find(name, subject, request)
        else:
            found = await self._in_thread(self._ladder.find, name, subject, request)
        self._note(extra, found.source.value, found.detail)
        logger.info("%s %s (%s): %s", name, _line(subject.name), subject.sha256[:12], found.detail)
        if found.exact:
            return found.answer
        response = self._narrower.apply(name, found.answer, request)
        if name == "DetectLabels" and _needs_properties(request, response):
            properties = await self._in_thread(_properties, subject.picture)
            await self._in_thread(add_properties, response, properties, request)
        return response

    async def _compare_faces(self, request: dict[str, Any], extra: dict[str, str]) -> dict[str, Any]:
        limits = IMAGE_LIMITS["CompareFaces"]
        source = await self._subject(request["SourceImage"], limits)
        target = await self._subject(request["TargetImage"], limits)
        extra[IMAGE_HEADER] = f"{source.sha256}-{target.sha256}"
        found = self._ladder.find_recorded("CompareFaces", f"{source.sha256}-{target.sha256}", request)
        if found is None:
            fixture = self._ladder.fixture(source)
            if fixture is not None and "CompareFaces" in fixture.answers:
                found = Found(
                    fixture.answers["CompareFaces"], Source.AUTHORED, f"fixture {fixture.path.name}"
                )
        if found is not None:
            self._note(extra, found.source.value, found.detail)
            return (
                found.answer if found.exact else self._narrower.apply("CompareFaces", found.answer, request)
            )
        source_faces, source_from = await self._in_thread(self._ladder.faces, source)
        target_faces, target_from = await self._in_thread(self._ladder.faces, target)
        origin = Source.SYNTHETIC if Source.SYNTHETIC in (source_from, target_from) else Source.AUTHORED
        self._note(extra, origin.value, "computed from the faces of both pictures")
        return compare(source_faces, target_faces, request)

    async def _celebrity_info(self, request: dict[str, Any], extra: dict[str, str]) -> dict[str, Any]:
        found = self._ladder.find_recorded("GetCelebrityInfo", request["Id"], request)
        if found is None:
            info = await self._in_thread(celebrity_info, request["Id"], self._ladder.celebrities())
            found = Found(info, Source.AUTHORED, "fixtures")
        self._note(extra, found.source.value, found.detail)
        return found.answer

    def _note(self, extra: dict[str, str], source: str, detail: str) -> None:
        extra[SOURCE_HEADER] = source
        extra[DETAIL_HEADER] = detail.encode("ascii", "replace").decode("ascii")

    async def _in_thread(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def _subject(self, image: dict[str, Any], limits: ImageLimits) -> Subject:
        """Fetch, measure and check one picture of a request.

        Raises:
            ServiceError: as the service answers for it.
        """
        location = image.get("S3Object")
        data = await self._bytes(image, limits)
        if location is None and len(data) > limits.most_bytes_inline:
            raise errors.image_too_many_bytes()
        if len(data) <= _INLINE_BYTES:
            return _measure(data, location, limits)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, _measure, data, location, limits
        )

    async def _bytes(self, image: dict[str, Any], limits: ImageLimits) -> bytes:
        """The bytes of one picture of a request, wherever they are."""
        location = image.get("S3Object")
        if ("Bytes" in image) == (location is not None):
            raise errors.invalid_parameters()
        data: bytes = image["Bytes"] if location is None else await self._fetch(location, limits)
        return data

    async def _fetch(self, location: dict[str, str], limits: ImageLimits) -> bytes:
        bucket, key = location.get("Bucket"), location.get("Name")
        if not bucket or not key:
            raise errors.s3_object_malformed()
        try:
            data = await self._source.fetch(
                bucket=bucket, key=key, version=location.get("Version"), limit_bytes=limits.most_bytes_s3
            )
        except (errors.ObjectMissingError, errors.ObjectDeniedError) as error:
            logger.info("%s", _line(str(error)))
            raise errors.s3_object_unreadable() from error
        except errors.ObjectTooLargeError as error:
            raise errors.image_too_many_bytes() from error
        except errors.SourceUnavailableError as error:
            logger.warning("S3 does not answer: %s", _line(str(error)))
            raise errors.internal_error() from error
        if len(data) > limits.most_bytes_s3:
            raise errors.image_too_many_bytes()
        return data


def _line(text: str) -> str:
    """Text of a caller as one short line of a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:400])


def _name_of(request: dict[str, Any]) -> str:
    """The S3 address of a request's picture, for people; empty where it came as bytes."""
    location = next((request[member].get("S3Object") for member in _PICTURES if member in request), None)
    return f"s3://{location.get('Bucket')}/{location.get('Name')}" if location else ""


_CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "DetectModerationLabels": moderation.check_request,
    "DetectText": texts.check_request,
}


def _nothing_to_check(_request: dict[str, Any]) -> None:
    """Most operations' parameters are fully described by their shapes."""


def _needs_properties(request: dict[str, Any], response: dict[str, Any]) -> bool:
    return "IMAGE_PROPERTIES" in wanted_features(request) and "ImageProperties" not in response


def _properties(picture: Picture) -> ImageProperties:
    return ImageProperties(reduced(picture))


def _operation(target: str) -> OperationModel:
    model = service_model()
    name = target.removeprefix(TARGET_PREFIX)
    if not target.startswith(TARGET_PREFIX) or name not in model.all_names:
        raise errors.framework_error(
            "UnknownOperationException", f"{target or 'No X-Amz-Target'}: no such operation"
        )
    if name not in model.operations:
        raise errors.framework_error(
            "UnsupportedOperationException",
            f"{name} is an operation of Amazon Rekognition, but the local one does not serve it. "
            f"It serves {', '.join(SERVED)}.",
        )
    return model.operations[name]


def _parsed(model: OperationModel, body: bytes) -> dict[str, Any]:
    return read_request(model.input, parse_request(body))


def _measure(data: bytes, location: dict[str, str] | None, limits: ImageLimits) -> Subject:
    picture = inspect(data)
    _check_dimensions(picture, limits)
    return Subject(
        sha256=hashlib.sha256(data).hexdigest(),
        picture=picture,
        bucket=location["Bucket"] if location else None,
        key=location["Name"] if location else None,
    )


def _check_dimensions(picture: Picture, limits: ImageLimits) -> None:
    width, height = picture.upright_size
    if max(width, height) > limits.most_pixels:
        raise errors.image_too_wide(width=width, height=height, limit=limits.most_pixels)
    if min(width, height) < limits.least_pixels:
        raise errors.invalid_parameters()
