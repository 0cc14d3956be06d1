"""docs/messages.md explains every reason and every error that the program words itself."""

import re

import pytest

from stagezero.api import errors
from support.tree import ROOT, load_tool

messages = load_tool("messages")
PAGE = (ROOT / "docs" / "messages.md").read_text()
EXPLAINED = {
    word
    for line in PAGE.splitlines()
    if line.startswith("|")
    for word in re.findall(r"`([^`]+)`", line)
}
REASONS = messages.reasons()
UNSAID = {"PathError", "VersionConflict", "Compacted"}
"""Errors that are caught and never shown as they are."""


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_reason_is_explained(reason: str) -> None:
    pattern = re.escape(reason).replace(r"\*", "[A-Za-z0-9…]+")
    assert any(re.fullmatch(pattern, word) for word in EXPLAINED), f"explain {reason}"


@pytest.mark.parametrize("reason", sorted({*errors.BY_REASON, errors.Invalid.reason}))
def test_refusal_of_the_api_is_explained(reason: str) -> None:
    assert reason in EXPLAINED


@pytest.mark.parametrize(
    ("error", "text"),
    [pair for pair in sorted(messages.error_texts().items()) if pair[0] not in UNSAID],
    ids=lambda value: value.split()[0] if value else "nothing",
)
def test_text_of_an_error_can_be_found(error: str, text: str) -> None:
    assert text.strip(' ;:."') in PAGE, f"docs/messages.md lacks the text of {error}"


@pytest.mark.parametrize(
    "word", ["EnvoyRejected", "CrashLoopBackOff", "WaitingForEnvoy", "BackOff"]
)
def test_search_finds_what_is_known_to_be_said(word: str) -> None:
    assert word in REASONS


def test_no_reason_is_explained_that_is_never_said() -> None:
    source = "\n".join(path.read_text() for path in messages.SOURCE.rglob("*.py"))
    table = PAGE.partition("## Refusals of the API")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    words = {word for row in rows for word in re.findall(r"`([A-Z][A-Za-z]+)`", row)}
    built = [reason.strip("*") for reason in REASONS if "*" in reason]
    unknown = {w for w in words if w not in source and not any(part in w for part in built)}
    assert unknown == set()
