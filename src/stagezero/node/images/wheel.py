"""The model server as a wheel, made from the installed package, for every model's environment.

It holds the rooms a pod needs and none of the platform's, so its dependencies are four and it lives
beside any version of protobuf. Same tree, same bytes: the wheel's hash is part of an environment's
identity, and a changed model server gets new environments.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import stagezero

_PARTS = ("__init__.py", "py.typed", "kit", "inference", "modelserver")
_PROJECT = "stagezero_modelserver"
_EPOCH = (1980, 1, 1, 0, 0, 0)
DEPENDENCIES = ("httptools", "msgspec", "numpy", "uvloop")


@dataclass(frozen=True)
class ModelServerWheel:
    """The files of the wheel by name inside it, and the hash that tells two wheels apart."""

    version: str
    digest: str
    files: tuple[tuple[str, bytes], ...]

    @property
    def filename(self) -> str:
        """The name the wheel has as a file."""
        return f"{_PROJECT}-{self.version}-py3-none-any.whl"

    def write(self, folder: Path) -> Path:
        """Write the wheel as a file into `folder` and return its path; same wheel, same bytes."""
        path = folder / self.filename
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, content in self.files:
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content)
        return path

    def install(self, site_packages: Path) -> None:
        """Put the wheel's files where an installer would; cheap, as it is pure Python."""
        for name, content in self.files:
            path = site_packages / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def read_model_server(package: Path | None = None) -> ModelServerWheel:
    """Read the package tree into a wheel; `package` is the folder of `stagezero`."""
    root = package or Path(stagezero.__file__).parent
    sources = tuple(
        (f"stagezero/{path.relative_to(root).as_posix()}", path.read_bytes())
        for path in sorted(_sources(root))
    )
    content = hashlib.sha256()
    for name, data in sources:
        content.update(f"{name}\0{len(data)}\0".encode() + data)
    version = f"{stagezero.__version__}+{content.hexdigest()[:12]}"
    files = sources + _metadata(version)
    record = f"{_PROJECT}-{version}.dist-info/RECORD"
    lines = [f"{name},sha256={_urlsafe(data)},{len(data)}" for name, data in files]
    files = (*files, (record, "\n".join([*lines, f"{record},,", ""]).encode()))
    return ModelServerWheel(version, hashlib.sha256(files[-1][1]).hexdigest(), files)


def _sources(root: Path) -> Iterator[Path]:
    for part in _PARTS:
        path = root / part
        if path.is_file():
            yield path
        for file in path.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


def _metadata(version: str) -> tuple[tuple[str, bytes], ...]:
    folder = f"{_PROJECT}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {name}\n" for name in DEPENDENCIES)
    metadata = (
        f"Metadata-Version: 2.1\nName: stagezero-modelserver\nVersion: {version}\n"
        "Summary: Stagezero's model server\nLicense: Apache-2.0\nRequires-Python: >=3.11\n"
        f"{requires}"
    )
    wheel = "Wheel-Version: 1.0\nGenerator: stagezero\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return ((f"{folder}/METADATA", metadata.encode()), (f"{folder}/WHEEL", wheel.encode()))


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
