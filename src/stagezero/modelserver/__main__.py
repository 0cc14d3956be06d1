"""`python -m stagezero.modelserver`."""

import sys

from stagezero.modelserver.main import main

if __name__ == "__main__":
    sys.exit(main())
