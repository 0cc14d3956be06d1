"""`python -m stagezero.modelserver`."""

from stagezero.modelserver.main import leave, main

if __name__ == "__main__":
    leave(main())
