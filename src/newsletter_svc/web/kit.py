"""The frontend kit: a script and a stylesheet for pages anywhere, each version at an address where it never changes."""

import gzip
import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from flask import Blueprint, Response, request, url_for

LATEST = 1
TYPES = {"newsletter.js": "text/javascript", "newsletter.css": "text/css"}
NAME = f"any({', '.join(map(repr, TYPES))}):name"
COMMENT_LINE = re.compile(rb"^ *//.*\n", re.MULTILINE)
FOLDER = Path(__file__).parent / "static" / "kit"
NEVER_CHANGES = "public, max-age=31536000, immutable"
MAY_CHANGE = "public, max-age=3600"

kit = Blueprint("kit", __name__, url_prefix="/static/kit")


class Content(NamedTuple):
    """What is sent: the file without its comments, which are for who reads the source."""

    plain: bytes
    zipped: bytes
    digest: str


@kit.get(f"/<int(min=1, max={LATEST}):version>/<{NAME}>")
def versioned(version: int, name: str) -> Response:
    """A file as it was in this version: pages may pin it by its hash, and browsers keep it for a year."""
    return _answer(version, name, caching=NEVER_CHANGES)


@kit.get(f"/<{NAME}>")
def latest(name: str) -> Response:
    """The same file in its latest version, for who would rather follow than pin."""
    return _answer(LATEST, name, caching=MAY_CHANGE)


@kit.app_template_global()
def kit_url(name: str) -> str:
    """The address of a file of the kit, for pages of ours."""
    return url_for("kit.versioned", version=LATEST, name=name)


def _answer(version: int, name: str, *, caching: str) -> Response:
    content = _content(version, name)
    is_zipped = request.accept_encodings["gzip"] > 0
    response = Response(content.zipped if is_zipped else content.plain, mimetype=TYPES[name])
    response.headers["Cache-Control"] = caching
    # Open to every page, since nothing in it is secret: one whose origin is not in FRONTEND_ORIGINS needs the script
    # most, which says so to its developer. A browser that compares the hash has to be allowed to read it, too.
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.vary.add("Accept-Encoding")
    if is_zipped:
        response.content_encoding = "gzip"
    response.set_etag(f"{content.digest}-gzip" if is_zipped else content.digest)
    response.make_conditional(request)
    return response


@cache
def _content(version: int, name: str) -> Content:
    plain = COMMENT_LINE.sub(b"", (FOLDER / str(version) / name).read_bytes())
    return Content(plain, gzip.compress(plain, mtime=0), sha256(plain).hexdigest())
