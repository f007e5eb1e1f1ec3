"""The Prefect server is reached where it runs, started where it does not, and refused in one line where it cannot be."""

import socket
from pathlib import Path

import httpx
import pytest

from pipelines import server
from pipelines.layout import Layout


def test_a_started_server_answers_and_serves_the_ui(prefect_server: str) -> None:
    assert server.answers(prefect_server)
    page = httpx.get(prefect_server.removesuffix("/api"), follow_redirects=True)
    assert page.status_code == 200
    assert "<html" in page.text.lower()


def test_the_server_package_imports() -> None:
    from prefect.server.api import server as application

    assert application.create_app is not None


def test_no_free_port_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"no free port for the Prefect server in {port} to {port}"):
            server.start(Layout(tmp_path), range(port, port + 1))
    assert not (tmp_path / ".tessera" / "prefect" / "server.json").exists()


def test_a_named_server_that_is_down_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ValueError, match="no Prefect server answers there"):
        server.connect(Layout(tmp_path))


def test_another_program_on_the_port_is_no_server(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert not server.answers(f"http://127.0.0.1:{other.getsockname()[1]}/api")


def test_stop_without_a_server_says_so(tmp_path: Path) -> None:
    assert server.stop(Layout(tmp_path)) is False
