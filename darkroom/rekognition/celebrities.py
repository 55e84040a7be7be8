"""RecognizeCelebrities and GetCelebrityInfo.

A face of a fixture may say who it is::

    celebrity: {name: Eileen Collins, id: 4Xq7m2T, match: 98.7, gender: Female, urls: [www.wikidata.org/wiki/Q230956]}

Ids and addresses of two celebrities are from captured answers; addresses have no scheme.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from darkroom.rekognition.errors import ServiceError
from darkroom.rekognition.faces import area, compared
from darkroom.rekognition.wire import float32

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from darkroom.rekognition.faces import Face
    from darkroom.rekognition.reading import Reader

MOST_FACES = 64
GENDERS = ("Male", "Female", "Nonbinary", "Unlisted")
_KEYS = ("name", "id", "match", "gender", "urls")

Celebrity = dict[str, Any]

KNOWN: dict[str, Celebrity] = {
    "3Ir0du6": {
        "Name": "Jeff Bezos",
        "Urls": ["www.imdb.com/name/nm1757263"],
        "KnownGender": {"Type": "Male"},
    },
    "3R3sg9u": {
        "Name": "Barack Obama",
        "Urls": ["www.wikidata.org/wiki/Q76", "www.imdb.com/name/nm1682433"],
        "KnownGender": {"Type": "Male"},
    },
}
"""What GetCelebrityInfo knows without any fixture, by id."""


def read_celebrity(reader: Reader, value: object, face: Face, where: str) -> Celebrity:
    """A written celebrity with their face, as in CelebrityFaces."""
    written = reader.mapping({"name": value} if isinstance(value, str) else value, where, known=_KEYS)
    name = reader.text(reader.member(written, "name", where), f"{where}.name")
    identity = reader.text(written.get("id", invented_id(name)), f"{where}.id")
    if not identity.isalnum() or not identity.isascii():
        reader.problem(f"{where}.id", f"must be letters and digits, not {identity!r}")
    default_gender = face["Gender"]["Value"]
    return {
        "Urls": reader.texts(written.get("urls", []), f"{where}.urls"),
        "Name": name,
        "Id": identity,
        "Face": compared(face),
        "MatchConfidence": float32(reader.percent(written.get("match", 99.0), f"{where}.match")),
        "KnownGender": {
            "Type": reader.choice(written.get("gender", default_gender), f"{where}.gender", GENDERS)
        },
    }


def invented_id(name: str) -> str:
    """Seven letters and digits for a name that has no id of its own."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    digest = hashlib.sha256(name.encode("utf-8")).digest()
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:7])


def narrow_celebrities(widest: Mapping[str, Any]) -> dict[str, Any]:
    """The 64 largest faces, recognised or not."""
    known, unknown = widest.get("CelebrityFaces", []), widest.get("UnrecognizedFaces", [])
    if len(known) + len(unknown) <= MOST_FACES:
        return dict(widest)
    sizes = sorted((area(face) for face in [*(item["Face"] for item in known), *unknown]), reverse=True)
    smallest = sizes[MOST_FACES - 1]
    known = [item for item in known if area(item["Face"]) >= smallest][:MOST_FACES]
    unknown = [face for face in unknown if area(face) >= smallest][: MOST_FACES - len(known)]
    return {**widest, "CelebrityFaces": known, "UnrecognizedFaces": unknown}


def celebrity_info(identity: str, authored: Iterable[Celebrity]) -> dict[str, Any]:
    """The answer of GetCelebrityInfo.

    Raises:
        ServiceError: ResourceNotFoundException; the service's own words for an unknown id are not known.
    """
    for celebrity in authored:
        if celebrity["Id"] == identity:
            return {
                member: celebrity[member] for member in ("Urls", "Name", "KnownGender") if member in celebrity
            }
    if identity in KNOWN:
        return dict(KNOWN[identity])
    raise ServiceError("ResourceNotFoundException", f"The celebrity with the id {identity} does not exist")
