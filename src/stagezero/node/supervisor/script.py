"""The same as `python -m stagezero.node.supervisor`, for an interpreter started without site.

`python -I -S script.py` sees the standard library only; the package's folder is put behind it.
"""

import os
import sys


def main() -> int:
    """Find the package from this file's place and run it."""
    sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])
    from stagezero.node.supervisor.__main__ import main as supervise

    return supervise(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
