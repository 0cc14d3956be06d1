"""Run every benchmark in turn: `python -m benchmarks`."""

import runpy

NAMES = ("first_flight", "gateway", "modelserver", "store")


def main() -> None:
    """Print each benchmark's table under its name."""
    for name in NAMES:
        print(f"\n== {name}", flush=True)
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
