"""Fail when a source file has outgrown its noun: more than 600 lines."""

import sys
from pathlib import Path

LIMIT = 600


def main() -> int:
    """Print the files over the limit; their number is the exit code."""
    root = Path(__file__).parent.parent
    over = 0
    for folder in ("src", "tests", "tools", "benchmarks", "examples"):
        for path in sorted((root / folder).rglob("*.py")):
            lines = path.read_text().count("\n")
            if lines > LIMIT:
                over += 1
                print(f"{path.relative_to(root)}: {lines} lines, at most {LIMIT}: split it")
    return min(over, 1)


if __name__ == "__main__":
    sys.exit(main())
