"""Write the locked requirements anew: hashes, and no word of where packages come from."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CATALOGUE = ROOT / "src" / "stagezero" / "node" / "catalogue"
OPTIONS = (
    "--quiet", "--upgrade", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links",
    "--no-emit-trusted-host", "--no-header", "--annotation-style=line", "--strip-extras",
    "--allow-unsafe",
)  # fmt: skip


def lock(folder: Path, source: str, target: str) -> None:
    """Resolve one list of requirements into its lock."""
    print(f"{target}: resolving {source}")
    command = [sys.executable, "-m", "piptools", "compile", *OPTIONS, "-o", target, source]
    subprocess.run(command, cwd=folder, check=True)


def main() -> None:
    """Lock the platform, the build, the development tools and every environment."""
    requirements = ROOT / "requirements"
    lock(requirements, "../pyproject.toml", "platform.lock")
    lock(requirements, "build.in", "build.lock")
    lock(requirements, "dev.in", "dev.lock")
    for source in sorted(CATALOGUE.glob("*.in")):
        lock(CATALOGUE, source.name, source.with_suffix(".lock").name)


if __name__ == "__main__":
    main()
