import pytest

from stagezero.node.images.pip_output import after_line, failure_reason, pinned_packages
from stagezero.node.images.progress import BuildPhase, BuildProgress

START = BuildProgress(BuildPhase.RESOLVING, packages_total=3)


def after(*lines: str) -> BuildProgress:
    progress = START
    for line in lines:
        progress = after_line(progress, line)
    return progress


def test_lock_names_its_packages() -> None:
    lock = (
        "# by pip-compile\nnumpy==2.0 \\\n    --hash=sha256:ab\n    # via x==1\nuvloop[dev]==0.2\n"
    )
    assert pinned_packages(lock) == ("numpy", "uvloop")


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("Collecting numpy==2.4.6 (from -r x.lock (line 1))", "numpy"),
        ("Processing /files/scikit_learn-1.9.1-cp311-cp311-linux.whl (from -r x)", "scikit_learn"),
        ("Processing ./uvloop-0.23.0.tar.gz", "uvloop"),
    ],
)
def test_package_in_hand_is_known(line: str, package: str) -> None:
    progress = after(line)
    assert (progress.phase, progress.package) == (BuildPhase.DOWNLOADING, package)
    assert progress.packages_done == 1


def test_packages_done_never_exceed_the_total() -> None:
    assert after(*["Collecting a"] * 5).packages_done == 3


def test_sizes_add_up() -> None:
    progress = after("  Downloading a.whl (1.5 MB)", "  Using cached b.whl (500 kB)")
    assert progress.bytes_total == 2_000_000
    assert progress.bytes_done == 1_500_000


def test_raw_progress_counts_within_the_current_file() -> None:
    progress = after(
        "  Downloading a.whl (1.0 MB)",
        "  Downloading b.whl (2.0 MB)",
        "Progress 500000 of 2000000",
    )
    assert progress.bytes_done == 1_500_000


def test_installing_begins_to_count_anew() -> None:
    progress = after("Collecting a", "Installing collected packages: a, b, c, d")
    assert progress == BuildProgress(BuildPhase.INSTALLING, packages_total=4)


def test_unknown_line_changes_nothing() -> None:
    assert after("Looking in links: /x") is START


def test_progress_reads_as_words() -> None:
    progress = BuildProgress(BuildPhase.DOWNLOADING, 3, 10, "scipy", 31_000_000, 98_000_000, 12.3)
    assert str(progress) == "downloading 3 of 10 packages (scipy), 31 of 98 MB, 12 s"


MISMATCH = """ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.
    threadpoolctl==3.8.0 from https://me:secret@index/x.whl (from -r bad.lock):
        Expected sha256 00
             Got        f1"""
UNREACHABLE = """WARNING: Retrying after connection broken by 'NewConnectionError(...)'
ERROR: Could not find a version that satisfies a==1 (from versions: none)
ERROR: No matching distribution found for a==1"""
NOWHERE = """ERROR: Could not find a version that satisfies a==1 (from versions: none)
ERROR: No matching distribution found for a==1"""
NO_VERSION = """ERROR: Could not find a version that satisfies a==9 (from versions: 1.0)
ERROR: No matching distribution found for a==9"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (MISMATCH, "for threadpoolctl==3.8.0 does not have the hash that the lock asks for"),
        (UNREACHABLE, "the package index cannot be reached; check the network"),
        (NOWHERE, "no package index has a==1, or none can be reached"),
        (NO_VERSION, "the package index has no a==9 for this Python and this machine"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        (
            "ERROR: Hashes are required in --require-hashes mode, but",
            "not all pinned with hashes; write the lock with pip-compile --generate-hashes",
        ),
        ("Collecting a\nERROR: one\nnoise\nERROR: two", "one; two"),
        ("Traceback\nValueError: x", "Traceback; ValueError: x"),
        ("", "pip failed without a word"),
        ("ERROR: bad https://me:pw@host/simple", "bad https://host/simple"),
    ],
    ids=[
        "hash",
        "network",
        "nowhere",
        "version",
        "disk",
        "no hash",
        "errors",
        "traceback",
        "none",
        "secret",
    ],
)
def test_failure_has_its_true_reason(output: str, reason: str) -> None:
    said = failure_reason(output.splitlines())
    assert reason in said
    assert "secret" not in said


def test_reason_is_never_a_log_dump() -> None:
    assert len(failure_reason([f"ERROR: {'x' * 400}"] * 9)) <= 500
