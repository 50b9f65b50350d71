"""Carries a feed into the local mailbox of development, in place of the engine that carries it over SMTP."""

import asyncio

from newsletter_svc.mail.bulk.parcels import Feed, Parcel, RawReply
from newsletter_svc.mail.failures import DeliveryError
from newsletter_svc.mail.mailbox import MailboxTransport
from newsletter_svc.mail.message import OutgoingMessage


class MailboxEngine:
    """One run: one mail after the other. Made on the loop that it runs on."""

    def __init__(self, mailbox: MailboxTransport, feed: Feed) -> None:
        self._mailbox = mailbox
        self._feed = feed
        self._woken = asyncio.Event()
        self.is_stopping = False

    async def run(self) -> None:
        """Keep everything as files. Raises `ServerUnavailable` where the folder cannot be written."""
        with self._mailbox.connect() as carrier:
            while not self.is_stopping and not self._feed.is_exhausted:
                parcel = self._feed.take()
                if parcel is None:
                    self._woken.clear()
                    await self._woken.wait()
                    continue
                self._carry(parcel, carrier)
                await asyncio.sleep(0)  # Whoever fills the feed has its turn.

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self.is_stopping = True
        self._woken.set()

    def _carry(self, parcel: Parcel, carrier: MailboxTransport) -> None:
        message = OutgoingMessage(
            envelope_sender=parcel.sender.decode("ascii"),
            recipient=parcel.recipient.decode("ascii"),
            message_id="",
            content=parcel.content,
        )
        try:
            reply = carrier.send(message, before_dot=lambda: self._feed.intent(parcel))
        except DeliveryError as failure:
            self._feed.returned(parcel, failure)
            raise
        code, _, text = reply.partition(" ")
        self._feed.accepted(parcel, RawReply(int(code), text.encode()))
