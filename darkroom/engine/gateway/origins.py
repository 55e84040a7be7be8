"""Pages that may use presigned S3 URLs and upload forms: the environment's own, and all where the stack says so.

Which stack that is stands in ``stack.json``, which every deployment writes anew. A presigned URL is a secret of whoever
it was given to; what the bucket's CORS rules then let a page read, the engine decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EVERY_PAGE = "*"


@dataclass(slots=True)
class PageOrigins:
    """A container of origins.

    Attributes:
        own: origin of the environment's own page.
        stack: the file that a deployment writes; its `page_origin` may be `*`.
    """

    own: str
    stack: Path
    _known: tuple[int, bool] = field(default=(0, False))

    def __contains__(self, origin: object) -> bool:
        return origin == self.own or (isinstance(origin, str) and self._are_all_welcome())

    def _are_all_welcome(self) -> bool:
        try:
            changed_ns = self.stack.stat().st_mtime_ns
            if changed_ns != self._known[0]:
                found = json.loads(self.stack.read_text())
                self._known = (changed_ns, found.get("page_origin") == EVERY_PAGE)
        except (OSError, ValueError):
            return False
        return self._known[1]
