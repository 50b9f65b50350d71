"""What programs that inspect mails say of ours: an HTML validator, a check of links, and a spam filter, all offline."""

import re
import subprocess
from email.utils import format_datetime
from itertools import pairwise

import pytest

from newsletter_svc.clock import utcnow
from newsletter_svc.digests import content
from tests import programs
from tests.fakes.smtp import Received
from tests.mails import KINDS, outgoing
from tests.markup import Outline

FORMS_OF_OUTLOOK = re.compile(
    r'<(?:table|td|tr)> attribute "(?:align|valign|width|bgcolor|border|cellpadding|cellspacing)" not allowed for HTML5'
    r'|<html> proprietary attribute "xmlns:o"'
)
"""What HTML 5 has given up and Outlook, which knows little of CSS, still needs."""
MOST_POINTS = 1.0
RELAYED = (
    "Received: from mail.news.example.org (mail.news.example.org [93.184.216.34]) by mx.example.net with ESMTPS id 4f2a"
    " for <ada@example.net>; {date}\n"
)


def received(kind: str) -> Received:
    return Received("", (), (), outgoing(kind).content, None)


@pytest.mark.tidy
@pytest.mark.parametrize("kind", KINDS)
def test_a_validator_finds_nothing_but_what_outlook_needs(kind: str) -> None:
    tidy = programs.find("tidy", package="tidy")
    html = received(kind).part("html")
    said = subprocess.run([tidy, "-quiet", "-errors", "-utf8"], input=html, capture_output=True, text=True, check=False)
    faults = [line for line in said.stderr.splitlines() if not FORMS_OF_OUTLOOK.search(line)]
    assert faults == []
    assert said.returncode < 2, "tidy found errors"


@pytest.mark.parametrize("kind", KINDS)
def test_every_element_is_closed_and_headings_go_down_in_order(kind: str) -> None:
    outline = Outline(received(kind).part("html"))
    assert outline.open == []
    levels = [int(heading[1]) for heading in outline.headings]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


@pytest.mark.parametrize("kind", KINDS)
def test_every_link_leads_to_an_absolute_address_and_says_where(kind: str) -> None:
    links = re.findall(r"<a ([^>]*)>(.*?)</a>", received(kind).part("html"), re.DOTALL)
    assert links
    for attributes, words in links:
        assert re.search(r'href="(?:https://[a-z0-9.-]+[^"\s]*|mailto:[^"\s]+)"', attributes)
        label = re.search(r'aria-label="([^"]+)"', attributes)
        said = label[1] if label else re.sub(r"<[^>]*>", "", words).strip()
        assert len(said) > 3
        assert said.lower() not in ("here", "click here", "link", "read more", "read on")


@pytest.mark.spamassassin
def test_a_spam_filter_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    filter_program = programs.find("spamassassin", package="spamassassin")
    said = subprocess.run(
        [filter_program, "--local", "--mbox"], input=mbox(), capture_output=True, check=True, timeout=100
    ).stdout.decode("utf-8", "replace")
    # It answers in an order of its own.
    status = re.findall(r"^X-Spam-Status: \w+, score=(-?[\d.]+).*?^Message-ID: <([a-z_]+)\.", said, re.M | re.S)
    scores = {kind: float(score) for score, kind in status}
    with capsys.disabled():
        print("\nSpamAssassin:", ", ".join(f"{kind} {score}" for kind, score in sorted(scores.items())))
    assert set(scores) == set(KINDS)
    assert max(scores.values()) <= MOST_POINTS, scores


def mbox() -> bytes:
    """One mail of each kind, the digest with five articles, as a mail server handed them on."""
    mails = []
    for kind in KINDS:
        raw = outgoing(kind, articles=5).content.decode("ascii").replace("\r\n", "\n")
        now = format_datetime(utcnow())
        raw = re.sub(r"^Date: .*$", f"Date: {now}", raw, count=1, flags=re.M)
        mails.append(f"From bounces@news.example.org Tue Nov 24 07:00:00 2026\n{RELAYED.format(date=now)}{raw}\n")
    return "".join(mails).encode("ascii")


def test_a_digest_of_five_articles_is_far_from_where_gmail_cuts() -> None:
    assert len(outgoing(content.KIND, articles=5).content) < 60_000
