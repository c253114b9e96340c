"""What `nightdesk check` says of the machine: home, its disk, the ports."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nightdesk.check.machine import check_home, check_ports
from nightdesk.check.result import SetupError
from nightdesk.stack.running import run_dir
from nightdesk.stack.supervisor import Program, Supervisor

from tests.desk.conftest import Load


def test_a_home_that_is_yet_to_be_made_is_in_order(settings_with: Load, tmp_path: Path) -> None:
    home = tmp_path / "yet" / "to" / "be"
    assert check_home(settings_with(f"home={home}")).startswith(f"{home}, ")
    assert not (tmp_path / "yet").exists()


def test_a_file_where_a_folder_must_be_is_named(settings_with: Load, tmp_path: Path) -> None:
    (tmp_path / "home" / "models").write_text("")
    with pytest.raises(SetupError) as raised:
        check_home(settings_with())
    models = tmp_path / "home" / "models"
    assert str(raised.value) == (f"{models} is a file where {models} must be a folder; move it, or set home elsewhere")


def test_a_home_of_somebody_else_is_named(settings_with: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs the tests as root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path / "home")
    with pytest.raises(SetupError) as raised:
        check_home(settings_with())
    assert str(raised.value) == (
        f"{tmp_path / 'home'} cannot be written by this user; give it to whoever runs Nightdesk (chown)"
    )


def test_a_disk_that_is_nearly_full_is_named(
    settings_with: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=300_000_000))
    with pytest.raises(SetupError) as raised:
        check_home(settings_with())
    assert str(raised.value) == (
        f"{tmp_path / 'home'}: only 0.3 GB are free and 2 GB are wanted; free some, or set home to a larger disk"
    )


def test_a_port_that_somebody_listens_on_is_named_with_its_key(settings_with: Load) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SetupError) as raised:
            check_ports(settings_with(f"stack.ports.bot={port}"))
    assert str(raised.value) == (
        f"port {port} for bot (Address already in use; set stack.ports.bot); "
        "stop what listens there, or set another port"
    )


def test_only_the_ports_that_are_used_are_looked_at(settings_with: Load) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"stack.ports.inbox={other.getsockname()[1]}"
        assert check_ports(settings_with(taken, "sandbox.enabled=false")).endswith("are free")
        assert check_ports(settings_with(taken, "stack.network=compose")) == "each container has its own"
        with pytest.raises(SetupError):
            check_ports(settings_with(taken))


def test_while_the_stack_of_this_home_runs_its_own_ports_are_its_own(settings_with: Load) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        settings = settings_with(f"stack.ports.bot={ours.getsockname()[1]}")
        nothing = Program("nothing", [sys.executable, "-c", ""], autostart=False)
        with Supervisor([nothing], folder=run_dir(settings), log_dir=settings.home / "logs"):
            assert check_ports(settings) == "the stack of this home runs and has them"
        with pytest.raises(SetupError):
            check_ports(settings)
