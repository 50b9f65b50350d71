"""What the tests of the running service share: the service, the mail server that it sends to, and its parts."""

from collections.abc import Iterator

import pytest

from newsletter_svc.parts import Parts
from tests.conftest import fresh_database
from tests.e2e.house import House, opened
from tests.e2e.service import Service
from tests.fakes.smtp import Sink


@pytest.fixture(scope="module")
def house(migrated_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The service: two workers, and the sender beside them."""
    folder = tmp_path_factory.mktemp("house")
    with opened(fresh_database(migrated_url, folder), folder) as house:
        yield house


@pytest.fixture
def service(house: House) -> Service:
    """The service, in which nothing has happened."""
    house.clear()
    return house.service


@pytest.fixture
def sink(service: Service, house: House) -> Sink:
    """The mail server that the service sends to."""
    return house.sink


@pytest.fixture
def parts(service: Service, house: House) -> Parts:
    """The parts of the service in this process: for looking into the database and for making an issue."""
    return house.parts
