"""Commands out, replies in: which reply belongs to which command, pipelined (RFC 2920) or one by one. No I/O."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from newsletter_svc.mail.bulk.parcels import RawReply
from newsletter_svc.mail.bulk.reading import ReplyReader

Handler = Callable[[RawReply], None]


class Dialogue(ABC):
    """The part of a connection that knows commands and replies, and nothing about mail."""

    def __init__(self) -> None:
        self.outbox: list[bytes] = []
        """What is to be written now; whoever writes it empties it."""
        self.is_over = False
        self._is_pipelined = False
        self._reader = ReplyReader()
        # One handler for each reply that is owed to us, in the order of the commands.
        self._owed: deque[Handler] = deque()
        # Commands said while a packet was read: no reply in that packet can belong to them.
        self._just_said: list[Handler] = []
        # Where the server does not know PIPELINING, a command waits for the reply to the one before.
        self._unsaid: deque[tuple[bytes, Handler]] = deque()

    def receive(self, data: bytes) -> None:
        """Take what the server sent."""
        owed = len(self._owed)
        for reply in self._reader.feed(data):
            if self.is_over:
                return
            if owed == 0:
                self._on_unasked(reply)
                return
            owed -= 1
            self._owed.popleft()(reply)
        self._settle()

    def _say(self, commands: tuple[bytes, ...], handlers: tuple[Handler, ...]) -> None:
        """Say commands, each with what is to be done about its reply; an empty command waits for words unasked."""
        if self._is_pipelined:
            self.outbox.extend(commands)
            self._just_said.extend(handlers)
        else:
            self._unsaid.extend(zip(commands, handlers, strict=True))

    def _take_back_unsaid(self) -> bool:
        """Forget the commands that were not written yet; False where there are none."""
        had_some = bool(self._unsaid)
        self._unsaid.clear()
        return had_some

    @property
    def _is_waiting(self) -> bool:
        """Whether a reply is owed, or will be."""
        return bool(self._owed or self._just_said or self._unsaid)

    def _settle(self) -> None:
        """End a step: all that was received has been heard, so what was said meanwhile may be answered from now on."""
        if self.is_over:
            return
        self._before_silence()
        if self._just_said:
            self._owed.extend(self._just_said)
            self._just_said.clear()
        elif self._unsaid and not self._owed:
            command, handler = self._unsaid.popleft()
            self.outbox.append(command)
            self._owed.append(handler)

    def _fall_silent(self) -> None:
        """Be over: nothing is written or heard any more."""
        self.is_over = True
        self.outbox.clear()
        self._owed.clear()
        self._just_said.clear()
        self._unsaid.clear()

    @abstractmethod
    def _on_unasked(self, reply: RawReply) -> None:
        """Hear a reply that no command asked for."""

    @abstractmethod
    def _before_silence(self) -> None:
        """Say what had to wait until all that was received has been heard."""
