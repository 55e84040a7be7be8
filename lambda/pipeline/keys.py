"""Keys of what the functions write beside an image: the image's path under another prefix, with an ending.

`uploads/2026/cat.jpg` -> `metadata/2026/cat.jpg.json`, `previews/2026/cat.jpg.jpg`
"""

from __future__ import annotations

import hashlib

_MAX_KEY_BYTES = 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""


def derived_key(key: str, *, prefix: str, suffix: str, trigger_prefix: str) -> str:
    """The path of a key below the trigger prefix, under another prefix and with a suffix.

    A path so long that the result would pass S3's limit is cut and ends in a hash of the whole instead.
    """
    path = key.removeprefix(trigger_prefix)
    name = f"{prefix}{path}{suffix}"
    if len(name.encode()) <= _MAX_KEY_BYTES:
        return name
    ending = "~" + hashlib.sha256(key.encode()).hexdigest()[:16] + suffix
    room = _MAX_KEY_BYTES - len(prefix) - len(ending)
    return prefix + path.encode()[:room].decode(errors="ignore") + ending
