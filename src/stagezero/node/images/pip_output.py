"""Reads what pip prints: progress line by line, and at a bad end the reason, in a sentence or two.

pip has no machine-readable output for an installation under way. Lines that are not understood are
passed over, so a change of pip's wording costs a progress figure and nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from stagezero.node.images.progress import BuildPhase, BuildProgress

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*==", re.MULTILINE)
_COLLECTING = re.compile(r"^Collecting ([A-Za-z0-9._-]+)")
_PROCESSING = re.compile(r"^Processing \S*?([^/\s]+?)-\d[^/\s]*\.(?:whl|tar\.gz|zip)\b")
_SIZED = re.compile(r"^\s+(?:Downloading|Using cached) \S+ \(([\d.]+) (bytes|kB|MB|GB)\)")
_RAW = re.compile(r"^Progress (\d+) of (\d+)")
_INSTALLING = re.compile(r"^Installing collected packages: (.+)")
_UNITS = {"bytes": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}

_CREDENTIALS = re.compile(r"//[^/@\s]+@")
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|NameResolutionError|ProxyError"
    r"|Max retries exceeded|Temporary failure in name resolution|Network is unreachable"
    r"|Could not fetch URL|connection broken by"
)
_MISMATCH = re.compile(r"^\s+(\S+)(?: from \S+)?.*:\s*$")
_NOT_FOUND = re.compile(r"No matching distribution found for (\S+)")
_KEPT_LINES = 3


def pinned_packages(lock: str) -> tuple[str, ...]:
    """Return the names a lock pins, in its order."""
    return tuple(match.group(1) for match in _PINNED.finditer(lock))


def after_line(progress: BuildProgress, line: str) -> BuildProgress:
    """Return the progress after one more line of pip's output."""
    if match := _COLLECTING.match(line) or _PROCESSING.match(line):
        return replace(
            progress,
            phase=BuildPhase.DOWNLOADING,
            package=match.group(1),
            packages_done=min(progress.packages_done + 1, progress.packages_total),
        )
    if match := _SIZED.match(line):
        size = int(float(match.group(1)) * _UNITS[match.group(2)])
        # What came before is complete by now: pip fetches one file after the other.
        return replace(
            progress, bytes_done=progress.bytes_total, bytes_total=progress.bytes_total + size
        )
    if match := _RAW.match(line):
        current, size = int(match.group(1)), int(match.group(2))
        return replace(progress, bytes_done=max(0, progress.bytes_total - size) + current)
    if match := _INSTALLING.match(line):
        return BuildProgress(BuildPhase.INSTALLING, packages_total=len(match.group(1).split(", ")))
    return progress


def failure_reason(lines: Sequence[str]) -> str:
    """Say in a sentence or two why pip failed, from its output, with the remedy where known."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        return "the disk is full"
    if "DO NOT MATCH THE HASHES" in text:
        return _hash_mismatch(lines)
    if "Hashes are required in --require-hashes mode" in text:
        return (
            "its requirements are not all pinned with hashes; "
            "write the lock with pip-compile --generate-hashes"
        )
    if _NO_NETWORK.search(text) and "(from versions: none)" in text:
        return "the package index cannot be reached; check the network and pip's configuration"
    if (match := _NOT_FOUND.search(text)) and "(from versions: none)" in text:
        return (
            f"no package index has {match.group(1)}, or none can be reached; "
            "check the network and pip's configuration"
        )
    if match:
        return (
            f"the package index has no {match.group(1)} for this Python and this machine; "
            "check pip's configuration, or write the lock anew"
        )
    if _NO_NETWORK.search(text):
        return "the package index cannot be reached; check the network and pip's configuration"
    return _last_errors(lines)


def _hash_mismatch(lines: Sequence[str]) -> str:
    start = next(i for i, line in enumerate(lines) if "DO NOT MATCH THE HASHES" in line)
    names = [match.group(1) for line in lines[start + 1 :] if (match := _MISMATCH.match(line))]
    return (
        f"what the package index gave for {', '.join(names) or 'a package'} does not have the hash "
        "that the lock asks for; the file was changed, or the lock must be written anew"
    )


def _last_errors(lines: Sequence[str]) -> str:
    stripped = [line.strip() for line in lines if line.strip()]
    errors = [line for line in stripped if line.startswith("ERROR: ")]
    kept = [line.removeprefix("ERROR: ") for line in errors or stripped][-_KEPT_LINES:]
    said = _CREDENTIALS.sub("//", "; ".join(kept))
    return said[:500] or "pip failed without a word"
