"""Which images `stagezero env build` knows: the same as `stagezero up`."""

import json
import os
from pathlib import Path

from stagezero.cli.environments import known_folders
from stagezero.compose.process import start_ticks
from stagezero.compose.settings import Settings

PORTS = {"api": 6443, "http": 80, "https": 443, "local": 8081}


def _installation(folder: Path, **facts: object) -> Settings:
    """An installation whose control plane is this process."""
    settings = Settings(state=folder)
    pid = os.getpid()
    told = {"pid": pid, "started": start_ticks(pid), "ports": PORTS, **facts}
    settings.running.write_text(json.dumps(told))
    return settings


def test_the_folders_of_the_running_installation_count(tmp_path: Path) -> None:
    settings = _installation(tmp_path, catalogues=["/my/images"])
    assert known_folders(settings, []) == (Path("/my/images"),)


def test_a_folder_named_now_wins_over_those_of_the_installation(tmp_path: Path) -> None:
    settings = _installation(tmp_path, catalogues=["/my/images"])
    folders = known_folders(settings, [Path("/other")])
    assert folders == (Path("/my/images"), Path("/other"))


def test_without_an_installation_the_named_folders_count(tmp_path: Path) -> None:
    assert known_folders(Settings(state=tmp_path), [Path("/other")]) == (Path("/other"),)


def test_an_installation_started_before_this_version_has_no_folders(tmp_path: Path) -> None:
    assert known_folders(_installation(tmp_path), []) == ()
