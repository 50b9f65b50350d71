"""The bulk engine against Postfix: its `smtp-sink` with and without extensions, and a real relay."""

from pathlib import Path

import pytest

from newsletter_svc.mail.bulk import driver
from newsletter_svc.mail.bulk.driver import Engine, Plan
from newsletter_svc.mail.failures import PermanentRefusal, Stage
from newsletter_svc.mail.smtp_server import SmtpServer
from tests.fakes import postfix
from tests.fakes.feed import RecordingFeed, parcels
from tests.fakes.smtp import Sink

pytestmark = pytest.mark.postfix
needs_sink = pytest.mark.skipif(postfix.SINK is None, reason="Postfix's smtp-sink is not installed")
needs_relay = pytest.mark.skipif(not postfix.IS_RELAY_POSSIBLE, reason="Postfix is not installed, or we are not root")


def carry(feed: RecordingFeed, port: int) -> None:
    async def main() -> None:
        server = SmtpServer(host="127.0.0.1", port=port, helo="news.example.org", timeout=20)
        await Engine(server, feed, plan=Plan(connections=4, patience=1)).run()

    driver.run(main)
    feed.check_law()


@needs_sink
@pytest.mark.parametrize(
    "options", [[], ["-p"], ["-e"], ["-P"]], ids=["pipelining", "lock-step", "HELO", "old firewall"]
)
def test_every_mail_arrives_once(tmp_path: Path, options: list[str]) -> None:
    feed = RecordingFeed(parcels(100))
    with postfix.sink(tmp_path, *options) as port:
        carry(feed, port)
    kept = [file.read_bytes().replace(b"\n", b"\r\n") for file in tmp_path.iterdir()]
    assert len(kept) == len(feed.accepted_replies) == 100
    for parcel in parcels(100):
        assert sum(parcel.content in mail and parcel.recipient in mail for mail in kept) == 1


@needs_sink
@pytest.mark.parametrize("options", [["-r", "RCPT"], ["-f", "RCPT"], ["-r", "DATA"], ["-f", "."]])
def test_every_refusal_is_told(tmp_path: Path, options: list[str]) -> None:
    feed = RecordingFeed(parcels(20))
    with postfix.sink(tmp_path, *options) as port:
        carry(feed, port)
    assert len(feed.refusals) == 20
    codes = {refusal.code for refusal in feed.refusals.values()}
    assert codes == ({450} if options[0] == "-r" else {500})


@needs_relay
def test_a_relay_takes_all_but_whom_it_does_not_know() -> None:
    feed = RecordingFeed(parcels(60))
    with Sink() as sink, postfix.relay(next_port=sink.port, recipients="/^reader7@/ 550 5.1.1 no such user\n") as port:
        carry(feed, port)
        mails = sink.wait_for(59, seconds=60)
    assert len(feed.accepted_replies) == 59
    assert isinstance(feed.refusals[7], PermanentRefusal)
    assert (feed.refusals[7].stage, feed.refusals[7].enhanced) == (Stage.RCPT, "5.1.1")
    assert sorted(mail.recipients[0] for mail in mails) == sorted(
        parcel.recipient.decode() for parcel in parcels(60) if parcel.key != 7
    )
    assert all(b"queued as" in reply.text for reply in feed.accepted_replies.values())
