import base64
import csv
import hashlib
import io
from pathlib import Path

import pytest

from stagezero.node.images.wheel import ModelServerWheel, read_model_server


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in ("kit/a.py", "inference/b.py", "modelserver/__main__.py", "node/secret.py"):
        path = tmp_path / "stagezero" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    (tmp_path / "stagezero" / "__init__.py").touch()
    (tmp_path / "stagezero" / "py.typed").touch()
    return tmp_path / "stagezero"


def names(wheel: ModelServerWheel) -> set[str]:
    return {name for name, _ in wheel.files}


def test_wheel_has_what_a_pod_needs_and_no_more(package: Path) -> None:
    modules = {name for name in names(read_model_server(package)) if "dist-info" not in name}
    assert modules == {
        "stagezero/__init__.py",
        "stagezero/py.typed",
        "stagezero/kit/a.py",
        "stagezero/inference/b.py",
        "stagezero/modelserver/__main__.py",
    }


def test_compiled_files_stay_out(package: Path) -> None:
    before = read_model_server(package).digest
    (package / "kit" / "__pycache__").mkdir()
    (package / "kit" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"x")
    assert read_model_server(package).digest == before


def test_same_tree_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    first = read_model_server(package).write(tmp_path).read_bytes()
    assert read_model_server(package).write(tmp_path).read_bytes() == first


def test_changed_tree_gives_another_version(package: Path) -> None:
    before = read_model_server(package)
    (package / "modelserver" / "__main__.py").write_text("changed\n")
    after = read_model_server(package)
    assert (after.digest != before.digest, after.version != before.version) == (True, True)


def test_file_outside_of_the_wheel_changes_nothing(package: Path) -> None:
    before = read_model_server(package).digest
    (package / "node" / "secret.py").write_text("changed\n")
    assert read_model_server(package).digest == before


def test_record_lists_every_file_with_its_hash(package: Path) -> None:
    files = dict(read_model_server(package).files)
    record = next(name for name in files if name.endswith("RECORD"))
    rows = {row[0]: row[1] for row in csv.reader(io.StringIO(files[record].decode()))}
    assert set(rows) == set(files)
    digest = hashlib.sha256(files["stagezero/kit/a.py"]).digest()
    assert rows["stagezero/kit/a.py"] == f"sha256={base64.urlsafe_b64encode(digest).decode()[:-1]}"


def test_metadata_names_the_four_dependencies(package: Path) -> None:
    wheel = read_model_server(package)
    metadata = next(data for name, data in wheel.files if name.endswith("METADATA")).decode()
    required = [line.split()[1] for line in metadata.splitlines() if line.startswith("Requires-D")]
    assert required == ["httptools", "msgspec", "numpy", "uvloop"]
    assert f"Version: {wheel.version}\n" in metadata


def test_installed_package_makes_a_wheel() -> None:
    assert "stagezero/modelserver/__init__.py" in names(read_model_server())
