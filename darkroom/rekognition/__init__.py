"""A local Amazon Rekognition that answers what you say is in a picture.

It speaks the service's wire protocol (JSON 1.1) with its limits, defaults, ordering and errors, so that any SDK can
be its client, and takes its answers from small files about pictures. It recognises nothing by itself: a picture that
nobody has described gets an invented answer that is marked as synthetic, or, in strict mode, an error.

By itself::

    python -m darkroom.rekognition --port 4567 --fixtures DIR [--strict]

Within another server, which brings the bytes of S3 objects and checks signatures and permissions itself::

    rekognition = Rekognition(fixtures=Path("fixtures/rekognition"), source=my_source)
    answer = await rekognition.answer(target="RekognitionService.DetectLabels", body=b'{"Image": …}')
    # answer.status, answer.headers, answer.body; answer.disconnect asks to drop the connection (a fault)
    answer = await rekognition.control(path=…, method="GET", body=b"")       # below control.CONTROL_PREFIX
    rekognition.close()

How a request becomes an answer:

    validation   the request against botocore's own model (`model`): types, then all constraints at once
    sources      `S3Object` becomes bytes; `s3` is the source of a server that stands alone
    images       format, dimensions, orientation, wholeness: from the structure, without decoding
    ladder       recordings → fixtures → rules → synthetic: the *widest answer* that is known for the picture
    operations   the part of it that the request asks for: one filter engine for whatever was found
    properties   IMAGE_PROPERTIES, computed from pixels that `pixels` decodes in bands
    validation   the answer against the model once more; then `wire`

In another mode than `stub` (`modes`), chosen while it runs (`switch`, over HTTP by `control`), `live` takes the
ladder's place: recordings (`recordings`, of which `keeping` says what may be kept), or real AWS (`upstream`, asked with
the keys of `credentials`, paid for by `prices` and `spending`); `comparison` tells how the two differ.

What people write is read by `fixtures` and `sections` (one module for each section), completed from `taxonomy`, checked
by `linting` (`places` finds the lines), written for them by `authoring`, shown to them by `completing`. `faults` and
`control` break things on purpose. Importing this package is cheap: Pillow, PyYAML, aiohttp and botocore are loaded by
what needs them.

The documentation with all formats and the differences from AWS is docs/rekognition.md.
"""

from darkroom.rekognition.errors import (
    FixtureError,
    ObjectDeniedError,
    ObjectMissingError,
    ObjectTooLargeError,
    RekognitionError,
    ServiceError,
    SourceError,
    SourceUnavailableError,
)
from darkroom.rekognition.labels import MaxLabelsRule
from darkroom.rekognition.modes import Choices, Mode
from darkroom.rekognition.service import Rekognition
from darkroom.rekognition.sources import ObjectSource, check_answer
from darkroom.rekognition.switch import Switch
from darkroom.rekognition.wire import SOURCE_HEADER, Answer

__all__ = [
    "SOURCE_HEADER",
    "Answer",
    "Choices",
    "FixtureError",
    "MaxLabelsRule",
    "Mode",
    "ObjectDeniedError",
    "ObjectMissingError",
    "ObjectSource",
    "ObjectTooLargeError",
    "Rekognition",
    "RekognitionError",
    "ServiceError",
    "SourceError",
    "SourceUnavailableError",
    "Switch",
    "check_answer",
]
