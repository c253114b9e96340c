"""What documents tell people to do works without a password in anybody's shell history."""

from __future__ import annotations

import re

import pytest

from tests.conftest import CHECKOUT

DOCUMENTS = sorted(
    [*(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / "prometheus/runbooks").glob("*.md"), CHECKOUT / "README.md"]
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_no_document_has_people_ask_the_three_servers_themselves(document: object) -> None:
    """They answer 401, and a reload is a SIGHUP."""
    text = document.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    assert not re.findall(r"(?:127\.0\.0\.1|localhost):(?:8790|8791|8793)\b|(?<!nightdesk )amtool --", text)
    assert "-/quit" not in text
