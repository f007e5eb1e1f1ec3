"""What all tests share: one real Prefect server on loopback for those that run flows, and small made domains."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipelines import server
from pipelines.encoders import fit
from pipelines.layout import Layout

settings.register_profile("ci", derandomize=True, deadline=None)  # the same examples in every run of the same code
settings.register_profile("default", deadline=None)  # a busy machine is no fault
settings.load_profile("ci" if os.environ.get("CI") else "default")
FIRST_PORT = 14200 + 40 * (os.getpid() % 100)  # another session on this machine has a server of its own
LONGEST = ("test_chain.py", "test_fuzz.py", "test_runners.py")  # begun first, so that no process is left with one at the end
TEST_PORTS = range(FIRST_PORT, FIRST_PORT + 40)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, the others keep their order."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API address of a server that lives as long as the session."""
    layout = Layout(tmp_path_factory.mktemp("prefect"))
    before = dict(os.environ)
    os.environ.pop("PREFECT_API_URL", None)
    os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"  # what is queued at the end would complain of the missing server
    server.quiet(layout)
    api = server.start(layout, TEST_PORTS)
    os.environ["PREFECT_API_URL"] = api
    yield api
    server.stop(layout)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder fitted on few reference pictures, for projects that embed."""
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    fit(count=256).save(path)
    return path
