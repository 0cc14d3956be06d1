"""What `down --purge` removes."""

from pathlib import Path

from stagezero.compose.lifecycle import purge
from stagezero.compose.settings import Settings
from stagezero.node.sandbox.folders import NodeFolders


def test_a_purge_removes_the_folder_and_what_pods_kept_in_memory(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "s", env_root=tmp_path / "envs")
    settings.env_root.mkdir()
    memory = NodeFolders(settings.node).memory_volume("uid", "cache")
    for folder in (settings.node, memory):
        folder.mkdir(parents=True)
    purge(settings)
    assert not settings.state.exists() and not memory.parent.parent.exists()
    assert settings.env_root.exists(), "environments are shared with other installations"
