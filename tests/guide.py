"""The examples of docs/frontend.md, as a browser gets them when somebody copies them into their own pages."""

import base64
import re
from hashlib import sha384
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs" / "frontend.md"
SERVICE = "https://news.example.org"
EXAMPLE = re.compile(r"^<!-- (\w+) -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^```\w+$", re.MULTILINE)


def text() -> str:
    return GUIDE.read_text(encoding="utf-8")


def examples(service: str) -> dict[tuple[str, str], str]:
    """Each example by its name and language, with `service` in the place of the one that the guide speaks of."""
    return {(name, language): code.replace(SERVICE, service) for name, language, code in EXAMPLE.findall(text())}


def integrity(content: bytes) -> str:
    """What a page writes into `integrity` (Subresource Integrity)."""
    return f"sha384-{base64.b64encode(sha384(content).digest()).decode()}"
