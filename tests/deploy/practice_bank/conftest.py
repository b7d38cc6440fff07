"""One practice bank for all these tests; each test is a creditor of its own."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from deploy.local.running import here
from deploy.practice_bank import running_bank
from tests.deploy.practice_bank.creditor import Creditor, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bank")


@pytest.fixture(scope="session")
def http(state: Path) -> Iterator[httpx.Client]:
    with (
        running_bank(state, first_pause=timedelta(milliseconds=1)) as url,
        here.client(base_url=url) as http,
    ):
        yield http


@pytest.fixture
def studio(http: httpx.Client, receiver: Receiver) -> Creditor:
    return Creditor(http, receiver.url)
