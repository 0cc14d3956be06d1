"""What of the sandboxes this machine can do, for tests that must say why they are skipped."""

import os
import shutil
import subprocess

import pytest

IS_ROOT = os.geteuid() == 0


def why_no_pasta() -> str:
    """Why pods cannot have networks by pasta here; nothing if they can."""
    if IS_ROOT:
        return "pasta is for users without root: root has a bridge"
    if shutil.which("pasta") is None:
        return "pasta (package passt) is not installed"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "this user may not use /dev/net/tun, which pasta needs"
    return ""


NEEDS_PASTA = pytest.mark.skipif(bool(why_no_pasta()), reason=why_no_pasta() or "pasta is there")


def may_have_own_tree() -> bool:
    """Whether a process of this user may have a file tree of its own."""
    trial = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "x", "/mnt"]
    return IS_ROOT or subprocess.run(trial, capture_output=True, check=False).returncode == 0


NEEDS_OWN_TREE = pytest.mark.skipif(
    not may_have_own_tree(), reason="this user may not make user namespaces with mounts"
)
