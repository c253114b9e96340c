from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from nightdesk.stack import tools as tools_module
from nightdesk.stack.debian import KEYRING, Archive, fetch, machine_archive
from nightdesk.stack.tools import Tools, ToolsError, ensure_tools, find_tools

DEB822 = """\
# the machine's own
Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def program(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def good_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which every program is new enough."""
    folder = tmp_path / "bin"
    program(folder, "prometheus", "prometheus, version 2.53.3 (branch: HEAD)")
    program(folder, "promtool", "promtool, version 3.5.0")
    program(folder, "alertmanager", "alertmanager, version 0.28.1")
    program(folder, "amtool", "amtool, version 0.28.1")
    program(folder, "prometheus-pushgateway", "pushgateway, version 1.11.0+ds")
    program(folder, "docker-compose", "Docker Compose version v2.29.7")
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    return folder


def no_fetch(*_arguments: object, **_options: object) -> None:
    raise AssertionError("nothing had to be fetched")


def test_the_fetched_programs_run_and_a_second_call_takes_no_time(tools: Tools) -> None:
    said = subprocess.run([tools.promtool, "--version"], capture_output=True, text=True, check=True)
    assert "promtool, version" in said.stdout + said.stderr

    begun = time.perf_counter()
    again = ensure_tools(tools.promtool.parents[2], progress=no_fetch)
    assert time.perf_counter() - begun < 0.3
    assert again == tools


def test_programs_of_the_path_are_used_where_all_are_new_enough(
    tmp_path: Path, good_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools_module, "fetch", no_fetch)
    found = ensure_tools(tmp_path / "var", progress=no_fetch)
    assert found.pushgateway.resolve() == good_path / "prometheus-pushgateway"
    assert find_tools(tmp_path / "var") == found


def test_only_the_packages_of_outdated_programs_are_fetched(
    tmp_path: Path, good_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(good_path, "alertmanager", "alertmanager, version 0.25.0")
    program(good_path, "docker-compose", "docker-compose version 1.29.2, build unknown")
    fetched: list[str] = []

    def fake_fetch(packages: list[str], archive: Archive, *, apt_root: Path, into: Path) -> None:
        fetched.extend(packages)
        apt_root.mkdir()
        program(into / "usr/bin", "prometheus-alertmanager", "")
        program(into / "usr/bin", "docker-compose", "")

    monkeypatch.setattr(tools_module, "fetch", fake_fetch)
    monkeypatch.setattr(tools_module, "machine_archive", lambda: Archive("http://mirror.example/debian", KEYRING))
    found = ensure_tools(tmp_path / "var", progress=lambda _sentence: None)
    assert fetched == ["docker-compose", "prometheus-alertmanager"]
    assert found.alertmanager.resolve() == tmp_path / "var/tools/unpacked/usr/bin/prometheus-alertmanager"
    assert found.amtool.resolve() == good_path / "amtool"


def test_an_interrupted_first_run_is_begun_again(
    tmp_path: Path, good_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (good_path / "promtool").unlink()

    def interrupted(packages: list[str], archive: Archive, *, apt_root: Path, into: Path) -> None:
        program(into / "usr/bin", "promtool", "half")
        raise KeyboardInterrupt

    def whole(packages: list[str], archive: Archive, *, apt_root: Path, into: Path) -> None:
        assert not list(into.iterdir())
        apt_root.mkdir()
        program(into / "usr/bin", "promtool", "")

    monkeypatch.setattr(tools_module, "machine_archive", lambda: Archive("http://mirror.example/debian", KEYRING))
    monkeypatch.setattr(tools_module, "fetch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_tools(tmp_path / "var", progress=lambda _sentence: None)
    assert find_tools(tmp_path / "var") is None

    monkeypatch.setattr(tools_module, "fetch", whole)
    assert ensure_tools(tmp_path / "var", progress=lambda _sentence: None).promtool.is_file()


@pytest.fixture
def templates(tmp_path: Path, good_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Alertmanager reads its templates; its package, of which amtool is missing, brings two."""
    (good_path / "amtool").unlink()
    folder = tmp_path / "usr" / "share"

    def fake_fetch(packages: list[str], archive: Archive, *, apt_root: Path, into: Path) -> None:
        apt_root.mkdir()
        program(into / "usr/bin", "amtool", "")
        inside = into / folder.relative_to("/")
        inside.mkdir(parents=True)
        for name in ("default.tmpl", "email.tmpl"):
            (inside / name).write_text(f"{{{{ define {name} }}}}")

    monkeypatch.setattr(tools_module, "machine_archive", lambda: Archive("http://mirror.example/debian", KEYRING))
    monkeypatch.setattr(tools_module, "fetch", fake_fetch)
    monkeypatch.setattr(tools_module, "TEMPLATES", folder)
    return folder


def test_without_root_missing_templates_are_an_error_that_names_the_command(
    tmp_path: Path, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolsError) as error:
        ensure_tools(tmp_path / "var", progress=lambda _sentence: None)
    inside = tmp_path / "var/tools/unpacked" / templates.relative_to("/")
    assert str(error.value) == (
        f"Alertmanager reads its own templates in {templates}, where only root can put them; run once:\n"
        f"  sudo install -D -m 0644 -t {templates} {inside / 'default.tmpl'} {inside / 'email.tmpl'}"
    )


def test_as_root_the_templates_that_are_missing_are_copied_and_said(
    tmp_path: Path, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates.mkdir(parents=True)
    (templates / "default.tmpl").write_text("the machine's own")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said: list[str] = []
    ensure_tools(tmp_path / "var", progress=said.append)
    assert (templates / "default.tmpl").read_text() == "the machine's own"
    assert (templates / "email.tmpl").read_text() == "{{ define email.tmpl }}"
    assert said[-1] == f"Copied Alertmanager's own email.tmpl to {templates}, where it reads them."


def test_the_mirror_is_the_machines_own_and_never_its_security_suite(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "a.list").write_text("deb https://packages.example/apt tool-bookworm main\n")
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert machine_archive(tmp_path) == Archive("http://mirror.example/debian", KEYRING)


@pytest.mark.parametrize(
    ("line", "keyring"),
    [
        ("deb http://mirror.example/debian/ bookworm main contrib  # mine", KEYRING),
        ("deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] http://mirror.example/debian/ bookworm main", "/k"),
    ],
)
def test_one_line_sources_are_read(tmp_path: Path, line: str, keyring: Path | str) -> None:
    (tmp_path / "sources.list").write_text(f"# deb http://old.example/debian x main\n{line}\n")
    archive = machine_archive(tmp_path)
    assert archive.uri == "http://mirror.example/debian/"
    assert str(archive.keyring).startswith(str(keyring))


def test_a_machine_without_a_debian_archive_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.example/ubuntu noble main universe\n")
    with pytest.raises(ToolsError, match=r"names no Debian archive .* on the PATH$"):
        machine_archive(tmp_path)


def test_a_missing_keyring_is_an_error_and_nothing_is_trusted(tmp_path: Path) -> None:
    archive = Archive("http://127.0.0.1:9/debian", tmp_path / "absent.gpg")
    with pytest.raises(ToolsError, match=r"absent\.gpg is missing, so no signature could be verified"):
        fetch(["promtool"], archive, apt_root=tmp_path / "apt", into=tmp_path / "root")
    assert not (tmp_path / "apt").exists()


def test_an_unsigned_mirror_is_refused_with_apts_own_words(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror" / "dists" / "trixie"
    mirror.mkdir(parents=True)
    (mirror / "Release").write_text("Origin: Debian\nSuite: trixie\nCodename: trixie\nComponents: main\n")
    (tmp_path / "into").mkdir()
    archive = Archive(f"file:{tmp_path}/mirror", KEYRING)
    with pytest.raises(ToolsError, match=r"apt-get failed: .*not signed"):
        fetch(["promtool"], archive, apt_root=tmp_path / "apt", into=tmp_path / "into")
