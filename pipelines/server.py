"""The Prefect server: reach the one that answers, else start ours on loopback.

Imports no Prefect, for that reads its settings once, when imported.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil

from pipelines.files import read_json, write_json
from pipelines.layout import Layout

PORTS = range(4200, 4220)
START_SECONDS = 120  # a cold start on a busy small machine was seen to take 40


def connect(layout: Layout) -> str:
    """Make this process report to a running server, started if need be; returns the address of its UI.

    Raises ValueError (one line) if a server named by the user does not answer, or none can be started.
    """
    quiet(layout)
    named = os.environ.get("PREFECT_API_URL")
    if named:
        if not answers(named):
            raise ValueError(f"PREFECT_API_URL={named}: no Prefect server answers there; start it or unset the variable")
        api = named.rstrip("/")
    else:
        api = find(layout) or start(layout)
        os.environ["PREFECT_API_URL"] = api
    return api.removesuffix("/api")


def quiet(layout: Layout) -> None:
    """Settings of every Prefect and Dask process of ours: own home, no telemetry, nothing but our own lines on the terminal."""
    if "PREFECT_HOME" not in os.environ:
        _home(layout).mkdir(parents=True, exist_ok=True)  # Prefect makes the last folder alone, and warns
        os.environ["PREFECT_HOME"] = str(_home(layout))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_CLI_PROMPT", "false")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")


def find(layout: Layout, ports: Sequence[int] = PORTS) -> str | None:
    """The API address of our own server or of one at Prefect's default port, if it answers."""
    record = _home(layout) / "server.json"
    known = [int(read_json(record)["port"])] if record.exists() else []
    for port in [*known, ports[0]]:
        if answers(_api(port)):
            return _api(port)
    return None


def start(layout: Layout, ports: Sequence[int] = PORTS) -> str:
    """Start a server in the background on the first free port; returns its API address once it answers.

    Raises ValueError if no port is free or the server does not come up.
    """
    home = _home(layout)
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home / "lock"):
        found = find(layout, ports)  # another stage may have started it while we waited
        if found:
            return found
        port = _free_port(ports)
        print(f"starting the Prefect server on port {port} ...", flush=True)
        log = home / "server.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"},
            )
        write_json(home / "server.json", {"pid": process.pid, "port": port})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if answers(_api(port)):
                return _api(port)
            time.sleep(0.2)
        stop(layout)
        raise ValueError(f"the Prefect server did not start on port {port}; its last words are in {log}")


def stop(layout: Layout) -> bool:
    """Stop the server that we started, if it runs; says whether there was one."""
    record = _home(layout) / "server.json"
    if not record.exists():
        return False
    pid = int(read_json(record)["pid"])
    record.unlink()
    try:
        process = psutil.Process(pid)
        if "prefect" not in " ".join(process.cmdline()):
            return False  # the number belongs to another program by now
        family = [process, *process.children(recursive=True)]
        for member in family:
            member.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=10)
        for member in alive:
            member.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def answers(api: str) -> bool:
    """Whether a Prefect server of our version answers at this API address."""
    try:
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            healthy = client.get(f"{api.rstrip('/')}/health").json() is True
            theirs = str(client.get(f"{api.rstrip('/')}/admin/version").json())
    except (httpx.HTTPError, json.JSONDecodeError, UnicodeDecodeError):
        return False
    return healthy and theirs.split(".")[:2] == version("prefect").split(".")[:2]


def _api(port: int) -> str:
    return f"http://127.0.0.1:{port}/api"


def _home(layout: Layout) -> Path:
    return (layout.shared / "prefect").absolute()


def _free_port(ports: Sequence[int]) -> int:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ValueError(
        f"no free port for the Prefect server in {ports[0]} to {ports[-1]} on 127.0.0.1; "
        "free one, or name a running server in PREFECT_API_URL"
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
