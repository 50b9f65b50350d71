"""`newsletter bounces read` and `newsletter suppressions`: mail that comes back, and what it changes."""

import json
import re
from pathlib import Path

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import envelope, returned, suppressions
from newsletter_svc.delivery.models import Bounce, Delivery, Suppression
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import people, subscriptions
from newsletter_svc.subscribers.addresses import parse
from tests.bounced import BOUNCES, block, dsn, feedback, qmail, vacation
from tests.commands import invoke, succeed
from tests.factories import make_reader, owe_bulk

ADA = "Ada@example.org"


@pytest.fixture
def delivery(database: Database) -> Delivery:
    """A digest's mail to Ada, a reader."""
    with database.transaction() as session:
        make_reader(session, ADA, now=utcnow())
        owe_bulk(session, "bob@example.org", ADA, now=utcnow())
        return session.scalars(select(Delivery).where(Delivery.recipient == ADA)).one()


@pytest.fixture
def verp(delivery: Delivery, parts: Parts) -> str:
    """The envelope sender of that mail."""
    return envelope.sender_for(delivery.id, bounce_address=BOUNCES, default="", keyring=parts.keyring)


def read(settings: Settings, raw: bytes) -> str:
    return succeed(invoke(settings, "bounces", "read", stdin=raw)).strip()


def suppressed(database: Database) -> dict[str, str]:
    with database.reading() as session:
        return {row.email_key: row.reason for row in session.scalars(select(Suppression))}


def gets_newsletters(database: Database) -> bool:
    with database.reading() as session:
        reader = people.find(session, parse(ADA))
        assert reader is not None
        return bool(subscriptions.confirmed_ids(session, reader.id))


def test_a_hard_bounce_suppresses_who_the_envelope_sender_names(
    settings: Settings, database: Database, delivery: Delivery, verp: str
) -> None:
    """Also when servers on the way changed its case, and the mail was forwarded to an address that is not ours."""
    bounce = dsn(block(status="5.1.1", final="ada@forwarded.example"), to=verp.upper())

    assert read(settings, bounce) == f"Delivery {delivery.id}, hard bounce 5.1.1: the address is suppressed."
    assert suppressed(database) == {"ada@example.org": "hard_bounce 5.1.1"}
    assert gets_newsletters(database)

    again = f"Delivery {delivery.id}, hard bounce 5.1.1: it was on record already, so nothing changed."
    assert read(settings, bounce) == again


def test_without_an_envelope_sender_of_ours_the_returned_message_id_tells(
    settings: Settings, database: Database, delivery: Delivery
) -> None:
    returned_headers = f"Message-ID: {delivery.message_id}\nTo: somebody\n"
    assert "is suppressed" in read(settings, dsn(block(status="5.1.1"), returned=returned_headers))
    assert suppressed(database) == {"ada@example.org": "hard_bounce 5.1.1"}


@pytest.mark.parametrize("code", [" (#5.1.1)", ""])
def test_a_bounce_for_people_counts_as_soft_unless_it_has_a_code(
    settings: Settings, database: Database, delivery: Delivery, verp: str, code: str
) -> None:
    said = read(settings, qmail(ADA, to=verp, code=code))
    assert ("hard bounce 5.1.1" if code else "soft bounce 5.0.0") in said
    assert suppressed(database) == ({"ada@example.org": "hard_bounce 5.1.1"} if code else {})


@pytest.mark.parametrize("kind", ["abuse", "fraud"])
def test_a_complaint_unsubscribes_and_suppresses_though_the_reader_is_left_out(
    settings: Settings, database: Database, delivery: Delivery, verp: str, kind: str
) -> None:
    said = read(settings, feedback(kind, original_sender=verp))
    assert said == f"Delivery {delivery.id}, complaint {kind}: the address is suppressed."
    assert suppressed(database) == {"ada@example.org": f"complaint {kind}"}
    assert not gets_newsletters(database)


def without_effect(verp: str, message_id: str) -> dict[str, bytes]:
    """Mail that must change nothing, by the reason for it."""
    forged = re.sub(r"\.(.)", lambda found: ".0" if found[1] != "0" else ".1", verp, count=1)
    return {
        "not_a_report: a person": f"From: {ADA}\nTo: {verp}\nSubject: Hello\n\nPlease stop.\n".encode(),
        "automatic_reply: a vacation message": vacation(to=verp),
        "not_ours: a forged envelope sender": dsn(block(status="5.1.1"), to=forged),
        "not_ours: no envelope sender": dsn(block(status="5.1.1", final=ADA), returned=f"To: {ADA}\n"),
        "not_ours: a made up Message-ID": dsn(block(status="5.1.1"), returned=f"Message-ID: <{'0' * 32}@news.example>"),
        "not_ours: a forged complaint": feedback("abuse", returned=f"To: {ADA}\n"),
        "not_final: delayed": dsn(block(status="4.4.1", action="delayed"), to=verp),
        "not_final: relayed": dsn(block(status="2.0.0", action="relayed"), to=verp),
        "not_final: one of two that it was forwarded to": dsn(
            block(status="5.1.1", final="a@f.example"),
            block(status="2.0.0", action="delivered", final="b@f.example"),
            to=verp,
        ),
        "not_the_address: we are refused": dsn(block(status="5.7.1"), to=verp),
        "not_the_address: Gmail mistrusts us": dsn(block(status="4.7.28"), to=verp),
        "not_the_reader: words about somebody else": qmail("eve@example.org", to=verp),
        "not_a_complaint: no spam after all": feedback(
            "not-spam", original_sender=verp, returned=f"Message-ID: {message_id}\n"
        ),
    }


def test_what_is_no_bounce_of_ours_changes_nothing_and_says_why(
    settings: Settings, database: Database, delivery: Delivery, verp: str
) -> None:
    for name, raw in without_effect(verp, delivery.message_id).items():
        answer = json.loads(succeed(invoke(settings, "bounces", "read", "--json", stdin=raw)))
        assert [(each["result"], each["ignored"]) for each in answer] == [(name.partition(":")[0], True)], name
        assert read(settings, raw).startswith("Nothing changed")
    assert suppressed(database) == {}
    assert gets_newsletters(database)
    with database.reading() as session:
        assert session.scalars(select(Bounce)).all() == []


def test_of_several_recipients_the_one_that_we_wrote_to_counts(
    settings: Settings, database: Database, delivery: Delivery, verp: str
) -> None:
    other = block(status="2.0.0", action="delivered", final="b@f.example")
    assert "is suppressed" in read(settings, dsn(other, block(status="5.1.1", final=ADA), to=verp))


def test_an_erased_reader_has_no_address_left_to_suppress(
    settings: Settings, database: Database, delivery: Delivery, verp: str
) -> None:
    with database.transaction() as session:
        session.execute(update(Delivery).values(recipient=""))
    assert read(settings, dsn(block(status="5.1.1"), to=verp)).endswith("the reader was erased.")
    assert suppressed(database) == {}


def test_no_address_is_logged(parts: Parts, database: Database, delivery: Delivery, verp: str) -> None:
    with capture_logs() as logged, database.transaction() as session:
        for raw in [*without_effect(verp, delivery.message_id).values(), dsn(block(status="5.1.1"), to=verp)]:
            returned.take(session, raw, keyring=parts.keyring, complained=parts.complained, now=utcnow())
    assert len(logged) == 14
    assert "@" not in str(logged)


def test_nothing_on_standard_input_is_a_failure(settings: Settings) -> None:
    result = invoke(settings, "bounces", "read", stdin=b"")
    assert (result.exit_code, "no message" in result.output) == (1, True)


def test_a_database_that_cannot_be_reached_lets_the_mail_server_try_again(tmp_path: Path, settings: Settings) -> None:
    nowhere = Settings(
        secret_keys=settings.secret_keys, database_url=f"sqlite:///{tmp_path}/empty.db", var_dir=tmp_path
    )
    report = dsn(block(status="5.1.1"), returned=f"Message-ID: <{'0' * 32}@news.example>\n")
    assert invoke(nowhere, "bounces", "read", stdin=report).exit_code == 75


def test_every_unseen_message_of_a_maildir_is_read_and_marked(
    settings: Settings, database: Database, tmp_path: Path, verp: str
) -> None:
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / folder).mkdir(parents=True)
    box = tmp_path / "Maildir"
    (box / "new" / "2.a.mx").write_bytes(vacation(to=verp))
    (box / "new" / "1.b.mx").write_bytes(dsn(block(status="5.1.1"), to=verp))
    (box / "cur" / "0.c.mx:2,F").write_bytes(b"")
    (box / "cur" / "0.d.mx:2,S").write_bytes(dsn(block(status="5.1.1"), to=verp))

    said = succeed(invoke(settings, "bounces", "read", "--maildir", str(box))).splitlines()

    assert [line.partition(":")[0] for line in said] == ["0.c.mx", "1.b.mx", "2.a.mx", "3 read"]
    assert said[-1] == "3 read: 2 ignored, 1 suppressed."
    assert suppressed(database) == {"ada@example.org": "hard_bounce 5.1.1"}
    assert list((box / "new").iterdir()) == []
    assert sorted(path.name for path in (box / "cur").iterdir()) == [
        "0.c.mx:2,FS",
        "0.d.mx:2,S",
        "1.b.mx:2,S",
        "2.a.mx:2,S",
    ]
    assert succeed(invoke(settings, "bounces", "read", "--maildir", str(box))) == "0 read.\n"


def test_a_folder_that_is_no_maildir_is_wrong_usage(settings: Settings, tmp_path: Path) -> None:
    assert invoke(settings, "bounces", "read", "--maildir", str(tmp_path)).exit_code == 2
    assert invoke(settings, "bounces", "read", "--maildir", str(tmp_path / "none")).exit_code == 2


def test_suppressions_are_listed_and_lifted(settings: Settings, database: Database) -> None:
    with database.transaction() as session:
        suppressions.add(session, ADA, reason="hard_bounce 5.1.1", now=utcnow())
        suppressions.add(session, "bob@example.org", reason="complaint abuse", now=utcnow())

    head, first, _ = succeed(invoke(settings, "suppressions", "list")).splitlines()
    assert head == "email,reason,scope,since"
    assert first.startswith("ada@example.org,hard_bounce 5.1.1,everything,2")
    lines = succeed(invoke(settings, "suppressions", "list", "--json")).splitlines()
    assert [json.loads(line)["scope"] for line in lines] == ["everything", "newsletters"]

    assert succeed(invoke(settings, "suppressions", "lift", "ADA@Example.org")) == "The address is written to again.\n"
    assert suppressed(database) == {"bob@example.org": "complaint abuse"}
    again = invoke(settings, "suppressions", "lift", ADA)
    assert (again.exit_code, "not suppressed" in again.output) == (1, True)
    assert invoke(settings, "suppressions", "lift", "nobody").exit_code == 1
