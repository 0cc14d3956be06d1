"""What of the sandboxes this machine can do, for tests that must say why they are skipped."""

import os
import shutil

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
