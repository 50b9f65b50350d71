"""The letter that brings an issue to one reader, read from the bytes that go out."""

import re

import pytest
from sqlalchemy import select, text

from newsletter_svc.articles import store
from newsletter_svc.articles.drafts import ArticleDraft
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.digests.letter import UnknownDigest, load_issue, sender_id
from newsletter_svc.digests.runs import Outcome, send_now
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters, subscriptions
from tests.factories import make_articles, make_reader
from tests.inbox import Inbox, Received
from tests.wire import check_one_click, check_wire

NOW = utcnow()

SENTENCES = (
    "The minister’s budget gives ports £40 million—twice last year’s sum.",
    "“We have waited,” said one official. “Now we build.",
    "Railways, by contrast, get nothing; Кyiv and Łódź are watching 😀.",
    "A line that begins with a dot:",
    ".hidden stays where it is, and so does =?utf-8?q?this?=.",
)


def publish(parts: Parts) -> int:
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, "briefing")
        run = send_now(session, newsletter, tz="Europe/London", press=parts.press, now=NOW)
    assert run.outcome == Outcome.PUBLISHED
    assert run.digest_id is not None
    return run.digest_id


def subscribe(parts: Parts, *emails: str, name: str = "") -> list[int]:
    with parts.database.transaction() as session:
        return [make_reader(session, email, now=NOW, name=name).id for email in emails]


def write(parts: Parts, *titles: str) -> None:
    with parts.database.transaction() as session:
        make_articles(session, *titles, now=NOW)


def statuses(parts: Parts) -> list[tuple[str, str | None]]:
    with parts.database.reading() as session:
        return [(row.status, row.reason) for row in session.scalars(select(Delivery).order_by(Delivery.id))]


def one_line(text_part: str) -> str:
    return " ".join(text_part.split())


def test_every_sentence_arrives_in_both_parts(parts: Parts, inbox: Inbox) -> None:
    subscribe(parts, "ada@example.org", name="Ада “Ada” Lovelace")
    draft = ArticleDraft(title="The “Quiet” Budget: £40 Million", body="\n\n".join(SENTENCES), url="/articles/budget")
    with parts.database.transaction() as session:
        newsletter_id = newsletters.get(session, "briefing").id
        store.add(session, [draft], newsletter_id=newsletter_id, base_url="https://news.example", now=NOW)
    publish(parts)

    (mail,) = inbox.all()

    check_wire(mail.raw)
    assert "The “Quiet” Budget: £40 Million" in mail.subject
    for sentence in SENTENCES:
        assert sentence in one_line(mail.text)
        assert sentence in mail.html
    assert "https://news.example/articles/budget" in mail.text
    assert mail.message["To"] == "Ада “Ada” Lovelace <ada@example.org>"


def test_each_reader_can_leave_with_a_link_of_their_own(parts: Parts, inbox: Inbox) -> None:
    ids = subscribe(parts, "ada@example.org", "grace@example.org")
    write(parts, "One")
    publish(parts)

    mails = inbox.all()

    addresses = [check_one_click(mail.raw) for mail in mails]
    newsletter_id = 1
    assert addresses == [parts.links.unsubscribe(subscriber_id=each, newsletter_id=newsletter_id) for each in ids]
    for mail, address in zip(mails, addresses, strict=True):
        assert address in mail.text.split("\n")
        assert f'href="{address}"' in mail.html
    assert without_the_readers_own(mails[0]) == without_the_readers_own(mails[1])


def test_each_reader_can_choose_with_a_link_of_their_own(parts: Parts, inbox: Inbox) -> None:
    ids = subscribe(parts, "ada@example.org", "grace@example.org")
    write(parts, "One")
    publish(parts)

    for mail, each in zip(inbox.all(), ids, strict=True):
        address = parts.links.preferences(each)
        assert address in mail.text.split("\n")
        assert f'href="{address}"' in mail.html
        assert mail.text.count("/preferences/") == 1


def without_the_readers_own(mail: Received) -> tuple[str, str]:
    own = re.compile(r"/(unsubscribe|preferences)/[\w.-]+")
    return own.sub("", mail.text), own.sub("", mail.html)


def test_the_list_id_is_the_newsletters_and_the_message_id_the_rows(parts: Parts, inbox: Inbox) -> None:
    subscribe(parts, "ada@example.org")
    write(parts, "One")
    publish(parts)
    write(parts, "Two")
    publish(parts)

    mails = inbox.all()

    assert [mail.message["List-Id"] for mail in mails] == [f"<briefing.{parts.message_domain}>"] * 2
    with parts.database.reading() as session:
        rows = session.scalars(select(Delivery.message_id).order_by(Delivery.id)).all()
    assert [mail.message["Message-ID"] for mail in mails] == list(rows)
    assert len(set(rows)) == 2


def test_who_left_or_was_erased_while_it_was_queued_gets_nothing(parts: Parts, inbox: Inbox) -> None:
    left, erased, unproved, _ = subscribe(parts, "l@example.org", "e@example.org", "u@example.org", "stays@example.org")
    write(parts, "One")
    publish(parts)
    with parts.database.transaction() as session:
        subscriptions.leave(session, left, newsletters.get(session, "briefing").id, now=NOW)
        session.execute(text("DELETE FROM subscribers WHERE id = :id"), {"id": erased})
        session.execute(text("UPDATE subscribers SET confirmed_at = NULL WHERE id = :id"), {"id": unproved})

    mails = inbox.all()

    assert [mail.message["To"] for mail in mails] == ["stays@example.org"]
    gone = (Status.CANCELLED, "not_wanted")
    assert statuses(parts) == [gone, gone, gone, (Status.SENT, None)]


def test_leaving_one_newsletter_does_not_stop_another(parts: Parts, inbox: Inbox) -> None:
    (reader,) = subscribe(parts, "ada@example.org")
    with parts.database.transaction() as session:
        ports = newsletters.add(session, "ports", title="Ports", now=NOW)
        subscriptions.confirm(session, reader, [ports.id], now=NOW)
        subscriptions.leave(session, reader, ports.id, now=NOW)
    write(parts, "One")
    publish(parts)

    assert len(inbox.all()) == 1


def test_one_reader_that_no_mail_can_be_made_for_does_not_stop_the_others(parts: Parts, inbox: Inbox) -> None:
    odd, _ = subscribe(parts, "odd@example.org", "fine@example.org")
    write(parts, "One")
    publish(parts)
    with parts.database.transaction() as session:
        session.execute(
            text("UPDATE deliveries SET recipient = :bad WHERE subscriber_id = :id"),
            {"bad": "no address at all", "id": odd},
        )

    mails = inbox.all()

    assert [mail.message["To"] for mail in mails] == ["fine@example.org"]
    assert [status for status, _ in statuses(parts)] == [Status.FAILED, Status.SENT]


def test_a_template_that_changes_in_mid_issue_changes_nothing(parts: Parts) -> None:
    subscribe(parts, "ada@example.org")
    write(parts, "One")
    digest_id = publish(parts)
    with parts.database.transaction() as session:
        frozen = load_issue(session, digest_id).rendered
        session.execute(text("UPDATE newsletters SET title = 'Another title'"))
        assert load_issue(session, digest_id).rendered == frozen


def test_an_unknown_issue_is_named(parts: Parts) -> None:
    with parts.database.reading() as session, pytest.raises(UnknownDigest, match="There is no issue 4711"):
        load_issue(session, 4711)


def test_sign_in_mail_does_not_wait_behind_an_issue(parts: Parts) -> None:
    subscribe(parts, "ada@example.org")
    write(parts, "One")
    publish(parts)

    assert parts.sender.run_round().handled == 0
    assert parts.bulk.send_due().handled == 1


@pytest.mark.parametrize(
    ("domain", "name"),
    [("theglobaldiplomat.example", "theglobaldiplom"), ("a.eu", "aeu00"), ("new-s.example", "newsexample")],
)
def test_the_feedback_sender_has_five_to_fifteen_letters(domain: str, name: str) -> None:
    assert sender_id(domain) == name
