"""What the tests over real SMTP share: a server to send to, and mails to send."""

from collections.abc import Iterator

import pytest

from tests.fakes.smtp import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink
