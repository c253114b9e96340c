"""A setup in which nothing has run yet, on ports that nobody has."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from nightdesk.settings import PortSettings, Settings, load

Load = Callable[..., Settings]
CHECKOUT = Path(__file__).resolve().parent.parent.parent


def on_free_ports() -> str:
    """Return the section of the settings that has every service on a port that nobody has."""
    with ExitStack() as stack:
        probes = {name: stack.enter_context(socket.socket()) for name in PortSettings.model_fields}
        for probe in probes.values():
            probe.bind(("127.0.0.1", 0))
        ports = "".join(f"    {name}: {probe.getsockname()[1]}\n" for name, probe in probes.items())
    return f"stack:\n  ports:\n{ports}"


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """The settings of a home that is empty but for the servers' tools."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tools").symlink_to(CHECKOUT / "var" / "tools")
    path = tmp_path / "nightdesk.yml"
    path.write_text(f"home: home\n{on_free_ports()}")
    return path


@pytest.fixture
def settings_with(settings_file: Path) -> Load:
    """Load the settings with assignments of a test's own."""

    def with_assignments(*assignments: str) -> Settings:
        return load(settings_file, list(assignments))

    return with_assignments
