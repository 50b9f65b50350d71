"""`newsletter digest send`, `status`, `pause`, `resume`, `cancel`: what they say, and how they end."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import Result
from sqlalchemy import func, select, update

from newsletter_svc import alerts
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Mailing, Status
from newsletter_svc.digests.models import Digest
from newsletter_svc.settings import Settings
from tests.commands import invoke, succeed
from tests.factories import fill

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings) -> Run:
    """Run one command as a process of its own would."""
    return lambda *arguments: invoke(settings, "digest", *arguments)


def become(database: Database, status: Status, *readers: int, **values: object) -> None:
    """Let the deliveries of these readers have come so far."""
    recipients = [f"reader{number}@example.org" for number in readers]
    with database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.recipient.in_(recipients)).values(status=status, **values))


def counted(database: Database) -> dict[Status, int]:
    with database.reading() as session:
        return dict(session.execute(select(Delivery.status, func.count()).group_by(Delivery.status)).all())


def issues(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(Digest)).one()


def test_send_without_wait_owes_the_issue_and_returns(run: Run, database: Database) -> None:
    fill(database, "One", "Two", readers=3)

    assert "issue 1 with 2 articles, for 3 readers" in succeed(run("send"))
    assert succeed(run("status")) == "Issue 1 is going out: 3 pending. Nobody is sending it just now.\n"


def test_send_with_nothing_new_says_so_and_is_exit_0(run: Run, database: Database) -> None:
    assert "nothing new, so no issue was made" in succeed(run("send", "--wait"))
    assert issues(database) == 0
    assert "no issue has been made" in succeed(run("status"))


def test_send_and_wait_sends_by_itself(run: Run, database: Database, settings: Settings) -> None:
    fill(database, "One", readers=50)

    *_, progress, report = succeed(run("send", "--wait")).splitlines()

    assert progress.startswith("50 of 50, ")
    assert progress.endswith(" a second")
    assert report == "Issue 1 is done: 50 sent."
    assert settings.mailbox_dir is not None
    assert len(list(settings.mailbox_dir.glob("*.eml"))) == 50


def test_send_and_wait_finishes_an_issue_that_was_cut_short(run: Run, database: Database) -> None:
    fill(database, "One", readers=5)
    succeed(run("send"))

    output = succeed(run("send", "--wait"))

    assert "nothing new" in output
    assert "Issue 1 is done: 5 sent." in output


def test_send_and_wait_answers_machines_with_counts(run: Run, database: Database) -> None:
    fill(database, "One", readers=2)

    answer = json.loads(succeed(run("send", "--wait", "--json")))

    assert (answer["outcome"], answer["total"], answer["counts"]["sent"]) == ("published", 2, 2)
    assert (answer["state"], answer["unsettled_total"]) == ("done", 0)
    assert json.loads(succeed(run("status", "--json")))["counts"]["sent"] == 2


@pytest.mark.parametrize("options", [(), ("--wait",)])
def test_an_issue_without_readers_is_made_and_nothing_is_sent(
    run: Run, database: Database, options: tuple[str, ...]
) -> None:
    fill(database, "One")

    output = succeed(run("send", *options))

    assert output.endswith(": issue 1 with 1 article; the newsletter has no readers, so nothing is sent\n")
    assert succeed(run("status")) == "Issue 1 has no readers.\n"


def test_a_second_send_tells_of_the_issue_that_is_going_out_and_makes_none(run: Run, database: Database) -> None:
    fill(database, "One", readers=2)
    succeed(run("send"))
    become(database, Status.SENT, 0)

    nothing_new, going = succeed(run("send")).splitlines()

    assert nothing_new.endswith("nothing new, so no issue was made")
    assert going.startswith("Issue 1 is going out: 1 pending, 1 sent.")
    assert json.loads(succeed(run("send", "--json")))["counts"]["pending"] == 1
    assert issues(database) == 1


def test_who_is_unsettled_is_named_with_exit_1(database: Database, settings: Settings) -> None:
    fill(database, "One", readers=3)
    unreachable = replace(settings, mail_server="127.0.0.1", mail_port=1)

    result = invoke(unreachable, "digest", "send", "--wait")

    assert result.exit_code == 1
    assert "Issue 1 is going out: 3 retry. Nothing of it is due now." in result.stdout
    for number in range(3):
        assert f"retry: reader{number}@example.org (server_unavailable; due at " in result.stdout


def test_an_unknown_outcome_is_named_with_exit_1(run: Run, database: Database) -> None:
    fill(database, "One", readers=2)
    succeed(run("send"))
    become(database, Status.UNKNOWN, 0, reason="no_reply", due_at=utcnow() + timedelta(hours=1))

    first = run("send", "--wait")
    again = run("send", "--wait")

    for result in (first, again):
        assert result.exit_code == 1
        assert "Issue 1 is going out: 1 sent, 1 unknown." in result.stdout
        assert "unknown: reader0@example.org (no_reply; due at " in result.stdout


def test_waiting_for_a_paused_issue_ends_at_once_with_exit_1(run: Run, database: Database) -> None:
    fill(database, "One", readers=2)
    succeed(run("send"))
    succeed(run("pause"))

    result = run("send", "--wait")

    assert result.exit_code == 1
    assert "Issue 1 is paused: " in result.stdout
    assert "`newsletter digest resume 1` lets it go on." in result.stdout


def test_status_shows_the_rate_why_it_is_paused_and_what_failed(run: Run, database: Database) -> None:
    fill(database, "One", readers=5)
    succeed(run("send"))
    become(database, Status.FAILED, 0, 1, reason="5.1.1")
    with database.transaction() as session:
        session.execute(update(Mailing).values(rate=0.5, counting_since=utcnow()))
    assert succeed(run("status")).splitlines() == [
        "Issue 1 is going out: 3 pending, 2 failed. 0.5 a second, 6 s left.",
        "  failed: 2 x 5.1.1",
    ]
    with database.transaction() as session:
        session.execute(update(Mailing).values(state="paused", reason="552 5.3.4 Message too big"))
    answer = json.loads(succeed(run("status", "1", "--json")))

    assert succeed(run("status")).startswith(
        "Issue 1 is paused: 3 pending, 2 failed. Why: 552 5.3.4 Message too big. `newsletter digest resume 1` lets"
    )
    assert (answer["state"], answer["reason"]) == ("paused", "552 5.3.4 Message too big")
    assert (answer["failures"], answer["rate"], answer["seconds_left"]) == ({"5.1.1": 2}, 0.5, None)


def test_status_names_a_few_hundred_and_counts_the_others(
    run: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter_svc.digests.progress.MOST_NAMED", 2)
    fill(database, "One", readers=7)
    succeed(run("send"))
    become(database, Status.RETRY, 0, 1, 2, 3, reason="4.2.1")
    become(database, Status.UNKNOWN, 4, 5, 6, reason="no_reply", resends=1)

    lines = succeed(run("status")).splitlines()
    answer = json.loads(succeed(run("status", "--json")))

    assert [line.split(" (")[0].strip() for line in lines[1:]] == [
        "retry: reader0@example.org",
        "retry: reader1@example.org",
        "retry: and 2 more",
        "unknown: reader4@example.org",
        "unknown: reader5@example.org",
        "unknown: and 1 more",
    ]
    assert lines[4].endswith("(no_reply; not sent again)")
    assert (len(answer["unsettled"]), answer["unsettled_total"]) == (4, 7)
    assert [each["due_at"] is None for each in answer["unsettled"]] == [False, False, True, True]


def test_pause_and_resume_say_what_is_left_and_may_be_repeated(run: Run, database: Database) -> None:
    fill(database, "One", readers=4)
    succeed(run("send"))
    become(database, Status.SENT, 0)
    become(database, Status.CLAIMED, 1)
    counts = "2 pending, 1 claimed, 1 sent."

    assert succeed(run("pause")).splitlines() == [
        f"Issue 1 is paused: {counts} An operator paused it. `newsletter digest resume 1` lets it go on.",
        "  1 in a sender's hands: sent or given back within seconds.",
    ]
    assert succeed(run("pause", "1")).startswith(f"Issue 1 is paused already: {counts}")
    assert succeed(run("resume")) == f"Issue 1 goes on: {counts}\n"
    assert succeed(run("resume", "1")) == f"Issue 1 is going out already: {counts}\n"
    answer = json.loads(succeed(run("pause", "--json")))
    assert (answer["changed"], answer["digest_id"], answer["state"], answer["total"]) == (True, 1, "paused", 4)
    assert json.loads(succeed(run("pause", "--json")))["changed"] is False


def test_cancel_ends_what_is_owed_and_names_the_unknown(run: Run, database: Database) -> None:
    fill(database, "One", readers=6)
    succeed(run("send"))
    become(database, Status.SENT, 0)
    become(database, Status.CLAIMED, 1)
    become(database, Status.RETRY, 2, reason="4.2.1")
    become(database, Status.UNKNOWN, 3, reason="no_reply")

    first, again = succeed(run("cancel")), succeed(run("cancel"))

    assert first.splitlines() == [
        "Issue 1 is cancelled: 1 claimed, 1 sent, 3 cancelled, 1 unknown.",
        "  1 in a sender's hands: sent or given back within seconds.",
        "  unknown: reader3@example.org (no_reply; not sent again)",
    ]
    assert again.startswith("Issue 1 is cancelled already: ")
    assert counted(database) == {Status.SENT: 1, Status.CLAIMED: 1, Status.UNKNOWN: 1, Status.CANCELLED: 3}


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_what_is_over_cannot_be_steered(run: Run, database: Database, verb: str) -> None:
    fill(database, "One", readers=1)
    succeed(run("send", "--wait"))

    result = run(verb)
    as_json = run(verb, "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Issue 1 is done, so there is nothing to {verb}: 1 sent.\n"
    assert (as_json.exit_code, json.loads(as_json.stdout)["changed"]) == (1, False)


def test_what_is_cancelled_does_not_come_back(run: Run, database: Database) -> None:
    fill(database, "One", readers=1)
    succeed(run("send"))
    succeed(run("cancel"))

    for verb in ("pause", "resume"):
        result = run(verb)
        assert result.exit_code == 1
        assert result.stderr == f"Issue 1 is cancelled, so there is nothing to {verb}: 1 cancelled.\n"


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_steering_an_issue_that_does_not_exist_is_exit_1_with_a_sentence(run: Run, verb: str) -> None:
    assert (run(verb).exit_code, run(verb).stderr) == (1, "Error: briefing: no issue has been made.\n")
    assert (run(verb, "7").exit_code, run(verb, "7").stderr) == (1, "Error: There is no issue 7.\n")
    assert run(verb, "--newsletter", "nope").stderr == "Error: There is no newsletter called 'nope'.\n"
    assert run(verb, "0").exit_code == run(verb, str(2**70)).exit_code == 2


def test_what_keeps_an_issue_from_going_out_is_told_beside_the_report(run: Run, database: Database) -> None:
    fill(database, "One", readers=1)
    succeed(run("send"))
    succeed(run("pause"))
    with database.transaction() as session:
        alerts.report(session, alerts.Cause.SENDER_REFUSED, detail="530", now=utcnow())

    assert run("send", "--wait").stderr.startswith("ALERT sender_refused: 1 x since ")
    assert run("send", "--wait", "--json").stderr == ""
