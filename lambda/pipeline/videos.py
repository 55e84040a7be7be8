"""Videos: recognised by their content, and refused until they are supported.

Rekognition analyses videos asynchronously (StartLabelDetection answers with a job, an SNS message tells its end,
GetLabelDetection pages through the labels). The tagger's steps leave room for that: `tagging` asks this module
instead of `Analysis` when a file is a video. Support means that `analyse` starts the job and keeps its id by a
checkpoint, that the invocation ends with an outcome of its own while the claim stays, and that a handler of the
SNS message takes the claim up by that id and finishes the record.
https://docs.aws.amazon.com/rekognition/latest/dg/video-analyzing-with-sqs.html
"""

from __future__ import annotations

from pipeline.errors import ImageRefusedError

NOT_SUPPORTED = ImageRefusedError(
    "VideoNotSupported",
    "The file is a video, and video is not supported yet: only pictures are analysed.",
)
