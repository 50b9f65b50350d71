"""From a kind and its data to a finished mail, with the templates that ship."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any

import jinja2
import pytest
from markupsafe import Markup

from newsletter_svc.digests.calendar import Frequency
from newsletter_svc.digests.content import SLOTS, Entry, Image, issue_context
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Letter, Mailbox, OutgoingMessage, Rendered, Stream, UnsendableMessage
from newsletter_svc.mail.slots import LostSlot
from newsletter_svc.mail.templates import PARTS, templates_folder
from newsletter_svc.settings import Settings
from tests.wire import check_one_click, check_transactional, check_wire

LINK = "https://news.example.org/magic-link/" + "aBc-_" * 40
UNSUBSCRIBE = "https://news.example.org/unsubscribe/x?a=1&b=2"
PREFERENCES = "https://news.example.org/preferences/x?a=1&b=2"
OWN_PARTS = {"unsubscribe_url": UNSUBSCRIBE, "preferences_url": PREFERENCES}
SETTINGS = Settings(
    secret_keys=("k" * 40,),
    public_url="https://news.example.org",
    frontend_url="https://www.example.org",
    mail_default_sender="briefing@news.example.org",
    mail_transactional_sender="signin@mail.example.org",
    mail_reply_to="editors@example.org",
    postal_address="1 Example Street, London",
)
ASKED: Mapping[str, Any] = {
    "name": "Žofie “Z”",
    "link": LINK,
    "code": "049302",
    "minutes": 20,
    "hours": 48,
    "newsletters": ["Briefing", "Weekend <Review>"],
    "asked_at_sign_in": False,
    "asked_from": "Firefox on Linux",
    "asked_at": datetime(2026, 11, 24, 17, 5, tzinfo=UTC),
    "preferences_url": PREFERENCES,
}
SHORT_KINDS = ("sign_in", "sign_up", "confirm_subscription", "already_subscribed")


def article(title: str, **changes: Any) -> Entry:
    entry = Entry(
        title=title,
        url=f"https://www.example.org/{len(title)}",
        author="Tomasz Wren",
        published=date(2026, 11, 24),
        summary="What it says in short.",
        excerpt="What it says in short.",
        html=Markup("<p>Whole body of “{}” for £5.</p><h3>Part</h3><p><a href='https://x.example/y'>z</a></p>").format(
            title
        ),
        text=f"Whole body of “{title}” for £5.\n\nPart\n\nz (https://x.example/y)",
        image=Image("https://www.example.org/p.jpg", "A port"),
        minutes=3,
    )
    return replace(entry, **changes)


def digest(*articles: Entry, frequency: Frequency = Frequency.DAILY) -> dict[str, Any]:
    entries = articles or (article("Grain & rails"), article("Shared grid"))
    return issue_context(entries, newsletter="Morning Briefing", day=date(2026, 11, 24), frequency=frequency)


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(SETTINGS)


def frozen_digest(composer: Composer, *articles: Entry) -> Rendered:
    return composer.render_with_slots("digest", digest(*articles), SLOTS)


class Page(HTMLParser):
    """The elements, links and visible words of an HTML part."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def links(self) -> list[str]:
        return [attributes["href"] or "" for tag, attributes in self.elements if tag == "a"]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def every_mail(composer: Composer) -> dict[str, Rendered]:
    rendered = {kind: composer.render(kind, ASKED) for kind in SHORT_KINDS}
    return {**rendered, "digest": composer.fill(frozen_digest(composer), OWN_PARTS)}


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("sign_in", "049302 is your code to sign in to The Global Diplomat"),
        ("sign_up", "Finish signing up to The Global Diplomat"),
        ("confirm_subscription", "Confirm your subscription to The Global Diplomat"),
        ("already_subscribed", "You are subscribed to The Global Diplomat already"),
        ("digest", "Morning Briefing: Grain & rails"),
    ],
)
def test_subjects_name_the_site_and_the_purpose(composer: Composer, kind: str, subject: str) -> None:
    assert every_mail(composer)[kind].subject == subject


@pytest.mark.parametrize("kind", SHORT_KINDS)
def test_a_short_mail_tells_who_asked_and_what_to_do_in_both_parts(composer: Composer, kind: str) -> None:
    rendered = composer.render(kind, ASKED)
    for part in (" ".join(rendered.text.split()), Page(rendered.html).text):
        for words in (
            "Hello Žofie “Z”,",
            "049302",
            "Firefox on Linux",
            "24 November 2026",
            "If this was not you",
            "1 Example Street, London",
            "48 hours" if kind == "confirm_subscription" else "20 minutes",
        ):
            assert words in part
    assert f"\n{LINK}\n" in rendered.text
    assert all(len(line) <= 76 for line in rendered.text.split("\n") if line != LINK)


@pytest.mark.parametrize("kind", SHORT_KINDS)
def test_both_parts_have_the_same_links_in_the_same_order(composer: Composer, kind: str) -> None:
    rendered = composer.render(kind, ASKED)
    in_text = re.findall(r"https://\S+", rendered.text)
    expected = [LINK, *([PREFERENCES] if kind == "already_subscribed" else []), "https://www.example.org"]
    assert list(dict.fromkeys(Page(rendered.html).links)) == in_text == expected


@pytest.mark.parametrize("asked_at_sign_in", [True, False])
def test_a_sign_up_says_when_there_is_no_account_yet(composer: Composer, asked_at_sign_in: bool) -> None:
    rendered = composer.render("sign_up", {**ASKED, "asked_at_sign_in": asked_at_sign_in})
    for part in (rendered.text, rendered.html):
        assert ("There is no account with this address yet" in part) is asked_at_sign_in


def test_a_sign_up_names_the_newsletters_that_the_same_press_brings(composer: Composer) -> None:
    with_newsletters = composer.render("sign_up", ASKED)
    without = composer.render("sign_up", {**ASKED, "newsletters": []})
    assert "subscribes you to Briefing and Weekend <Review>." in " ".join(with_newsletters.text.split())
    assert "Briefing and Weekend &lt;Review&gt;" in with_newsletters.html
    assert "subscribes" not in without.text + without.html


def test_what_a_stranger_typed_has_no_effect(composer: Composer) -> None:
    name = "{{7*7}}<script>alert(1)</script>\r\n\r\nhttps://evil.example \u202e"
    rendered = composer.render("sign_in", {**ASKED, "name": name})
    for part in (rendered.text, rendered.html):
        assert "49302" in part
        assert "evil" not in part
        assert "<script" not in part
    rendered = composer.render("sign_in", {**ASKED, "name": "{{7*7}} <b>Bob</b>"})
    assert "Hello {{7*7}} <b>Bob</b>," in rendered.text
    assert "{{7*7}} &lt;b&gt;Bob&lt;/b&gt;" in rendered.html


def test_missing_data_is_an_error_and_not_a_gap(composer: Composer) -> None:
    with pytest.raises(jinja2.UndefinedError):
        composer.render("sign_in", {"name": "Ada"})


def test_half_a_character_in_the_data_is_refused(composer: Composer) -> None:
    with pytest.raises(UnsendableMessage):
        composer.render("sign_in", {**ASKED, "asked_from": "\ud800"})


def test_titles_and_excerpts_keep_their_own_direction_in_a_digest(composer: Composer) -> None:
    titles = [f"\u0646\u0635 {number}!" for number in range(1, 8)]
    html = frozen_digest(
        composer, *(article(title, summary=f"{title} (2)", excerpt=f"{title} (3)") for title in titles)
    ).html
    assert html.count(f"<bdi>{titles[0]}</bdi>") == 1
    assert f"<bdi>{titles[0]} (2)</bdi>" in html
    # A briefing stands in the list at the top, too.
    assert html.count(f"<bdi>{titles[1]}</bdi>") == 2
    assert f"<bdi>{titles[1]} (3)</bdi>" in html
    assert f"<bdi>{titles[6]}</bdi></a></li>" in html


def test_a_digest_carries_its_lead_whole_and_the_others_as_excerpts_in_both_parts(composer: Composer) -> None:
    rendered = every_mail(composer)["digest"]
    for part in (" ".join(rendered.text.split()), Page(rendered.html).text):
        for words in (
            "Morning Briefing",
            "Tuesday, 24 November 2026",
            "Whole body of “Grain & rails” for £5.",
            "Shared grid",
            "What it says in short.",
            "24 November 2026 · 3 min read",
            "You get this mail because you confirmed your subscription to Morning Briefing. It comes every day.",
            "Unsubscribe from Morning Briefing",
            "1 Example Street, London",
        ):
            assert words in part
        assert "Whole body of “Shared grid”" not in part
    in_text = [link.rstrip(")") for link in re.findall(r"https://\S+", rendered.text)]
    assert list(dict.fromkeys(Page(rendered.html).links)) == in_text


def test_what_comes_after_the_excerpts_is_listed_in_brief_by_its_title(composer: Composer) -> None:
    articles = [article(f"{'x' * number} no. {number}", summary=f"Summary {number}.") for number in range(1, 13)]
    rendered = composer.fill(frozen_digest(composer, *articles), OWN_PARTS)
    for part in (rendered.text, Page(rendered.html).text):
        in_brief = part.partition("In brief")[2]
        assert re.findall(r" no\. (\d+)", in_brief) == ["6", "7", "8", "9", "10", "11", "12"]
        assert "Summary 1." in part
        assert "Summary 6." not in part
    in_text = [link.rstrip(")") for link in re.findall(r"https://\S+", rendered.text)]
    assert list(dict.fromkeys(Page(rendered.html).links)) == in_text


def test_an_article_that_can_be_read_nowhere_else_is_carried_whole_wherever_it_stands(composer: Composer) -> None:
    articles = [article(f"{'x' * number} no. {number}") for number in range(1, 9)]
    articles[2] = replace(articles[2], url=None)
    articles[6] = replace(articles[6], url=None)
    rendered = composer.fill(frozen_digest(composer, *articles), OWN_PARTS)
    for part in (rendered.text, Page(rendered.html).text):
        whole = [number for number in range(1, 9) if f"Whole body of “{'x' * number} no. {number}”" in part]
        assert whole == [1, 3, 7]


def test_the_link_to_choose_is_always_there_and_that_to_a_browser_where_there_is_one(composer: Composer) -> None:
    web_url = "https://news.example.org/digests/x"
    rendered = composer.render("digest", {**digest(), **OWN_PARTS, "web_url": web_url})
    links = list(dict.fromkeys(Page(rendered.html).links))
    assert links == [link.rstrip(")") for link in re.findall(r"https://\S+", rendered.text)]
    assert (links[0], links[-3], links[-2]) == (web_url, PREFERENCES, UNSUBSCRIBE)


@pytest.mark.parametrize(
    ("frequency", "words"),
    [
        (Frequency.DAILY, "It comes every day."),
        (Frequency.WEEKLY, "It comes every week."),
        (Frequency.BY_HAND, "It comes whenever there is something to report."),
    ],
)
def test_a_digest_says_how_often_it_comes(composer: Composer, frequency: Frequency, words: str) -> None:
    rendered = composer.render("digest", {**digest(frequency=frequency), **OWN_PARTS})
    assert words in " ".join(rendered.text.split())
    assert words in Page(rendered.html).text


def test_an_article_may_lack_all_that_is_optional(composer: Composer) -> None:
    bare = article("Bare", url=None, author=None, summary=None, image=None)
    rendered = composer.fill(frozen_digest(composer, bare), OWN_PARTS)
    assert "None" not in rendered.text + rendered.html
    assert "3 min read" in rendered.text
    assert "<img" not in rendered.html


@pytest.mark.parametrize("kind", [*SHORT_KINDS, "digest"])
def test_the_html_is_what_mail_programs_can_show(composer: Composer, kind: str) -> None:
    rendered = every_mail(composer)[kind]
    page = Page(rendered.html)
    tags = [tag for tag, _ in page.elements]
    assert len(rendered.html.encode()) < 100_000
    assert tags.count("h1") == 1
    assert not {"script", "form", "iframe", "link", "base", "picture", "svg", "video"} & set(tags)
    assert all(attributes.get("role") == "presentation" for tag, attributes in page.elements if tag == "table")
    assert all(
        "alt" in attributes and (attributes["width"] or "").isdigit()
        for tag, attributes in page.elements
        if tag == "img"
    )
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all(link.startswith("https://") for link in page.links)
    html = dict(page.elements)["html"]
    assert (html["lang"], html["dir"]) == ("en-GB", "ltr")
    assert f"<title>{rendered.subject.replace('&', '&amp;')}</title>" in rendered.html
    for meta in ("viewport", "color-scheme", "supported-color-schemes", "format-detection"):
        assert any(attributes.get("name") == meta for tag, attributes in page.elements if tag == "meta")


@pytest.mark.parametrize("kind", [*SHORT_KINDS, "digest"])
def test_styles_are_inlined_and_what_stays_in_the_head_is_small(composer: Composer, kind: str) -> None:
    html = every_mail(composer)[kind].html
    head, _, body = html.partition("</head>")
    styles = re.findall(r"<style[^>]*>(.*?)</style>", head, re.DOTALL)
    assert len("".join(styles).encode()) < 8_000
    assert "prefers-color-scheme: dark" in "".join(styles)
    assert "<style" not in body
    inline = " ".join(re.findall(r'style="([^"]*)"', body))
    assert "font-size: 28px" in inline or "font-size: 40px" in inline
    assert all(int(size) >= 14 for size in re.findall(r"font-size: (\d+)px", inline))
    assert all(float(height) >= 1.15 for height in re.findall(r"line-height: (\d\.\d+)", inline))
    assert not re.search(r"flex|grid|var\(|url\(", inline)


def test_slots_are_filled_for_each_reader_and_escaped_in_html(composer: Composer) -> None:
    frozen = frozen_digest(composer)
    first, second = (
        composer.fill(frozen, {**OWN_PARTS, "unsubscribe_url": f"{UNSUBSCRIBE}&r={reader}"}) for reader in "12"
    )
    assert f"\n{UNSUBSCRIBE}&r=1\n" in first.text
    assert 'href="https://news.example.org/unsubscribe/x?a=1&amp;b=2&amp;r=1"' in first.html
    assert "r=2" not in first.text + first.html
    assert second.text == first.text.replace("r=1", "r=2")


def test_an_article_that_prints_a_slot_prints_just_that(composer: Composer) -> None:
    imitation = "\ufdd0unsubscribe_url\ufdd1"
    frozen = frozen_digest(composer, article(imitation, summary=imitation, text=imitation, html=Markup(imitation)))
    filled = composer.fill(frozen, OWN_PARTS)
    assert filled.subject == "Morning Briefing: unsubscribe_url"
    assert filled.text.count(UNSUBSCRIBE) == 1
    assert Page(filled.html).links.count(UNSUBSCRIBE) == 1


def test_a_value_that_looks_like_a_slot_is_left_alone(composer: Composer) -> None:
    value = "https://x.example/\ufdd0unsubscribe_url\ufdd1"
    assert composer.fill(frozen_digest(composer), {**OWN_PARTS, "unsubscribe_url": value}).text.count(value) == 1


def test_a_slot_that_is_printed_nowhere_or_has_no_value_is_an_error(composer: Composer) -> None:
    with pytest.raises(LostSlot):
        composer.render_with_slots("digest", digest(), [*SLOTS, "nowhere_url"])
    with pytest.raises(LostSlot):
        composer.fill(frozen_digest(composer), {})


def finished(composer: Composer, stream: Stream, **changes: Any) -> OutgoingMessage:
    letter = Letter(
        recipient=changes.pop("recipient", Mailbox("ada@bücher.example", "Žofie")),
        rendered=every_mail(composer)["digest" if stream is Stream.DIGEST else "sign_in"],
        stream=stream,
        headers=changes.pop("headers", ()),
    )
    return composer.finish(
        letter,
        message_id="<d1.abc@news.example.org>",
        date=datetime(2026, 11, 24, 7, tzinfo=UTC),
        envelope_sender="bounces+1.ab@news.example.org",
    )


def test_a_sign_in_mail_is_right_on_the_wire(composer: Composer) -> None:
    message = finished(composer, Stream.TRANSACTIONAL)
    check_wire(message.content)
    check_transactional(message.content)
    assert b"From: The Global Diplomat <signin@mail.example.org>\r\n" in message.content
    assert b"Reply-To: editors@example.org\r\n" in message.content
    assert message.recipient == "ada@xn--bcher-kva.example"
    assert message.envelope_sender == "bounces+1.ab@news.example.org"


def test_a_digest_is_right_on_the_wire(composer: Composer) -> None:
    list_headers = (
        ("List-Unsubscribe", f"<{UNSUBSCRIBE}{'x' * 200}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", "<briefing.news.example.org>"),
        ("Feedback-ID", "7:briefing:digest:newsexample"),
    )
    message = finished(composer, Stream.DIGEST, headers=list_headers)
    check_wire(message.content)
    assert check_one_click(message.content) == UNSUBSCRIBE + "x" * 200
    assert b"From: The Global Diplomat <briefing@news.example.org>\r\n" in message.content
    assert b"Auto-Submitted" not in message.content


@pytest.mark.parametrize(
    "recipient", [Mailbox("ada@example.org", "\ud800"), Mailbox("žofie@example.org"), Mailbox("a@b\r\n.c")]
)
def test_a_poisoned_reader_is_refused_by_name(composer: Composer, recipient: Mailbox) -> None:
    with pytest.raises(UnsendableMessage):
        finished(composer, Stream.DIGEST, recipient=recipient)


def test_a_publication_in_hebrew_reads_from_right_to_left() -> None:
    publication = Composer(Settings(secret_keys=("k" * 40,), language="he-IL")).publication
    assert (publication.lang, publication.dir) == ("he-IL", "rtl")


def test_every_kind_has_its_three_files() -> None:
    for kind in (*SHORT_KINDS, "digest"):
        assert {path.name for path in (templates_folder() / kind).glob("[!_]*")} == set(PARTS)
