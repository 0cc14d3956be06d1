"""The server's identity and the kubeconfig that carries it."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from stagezero.apiserver import identity as identity_of
from stagezero.apiserver import kubeconfig, pki
from stagezero.kit.http import User

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def served(identity: identity_of.Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificate(identity.certificate.certificate.read_bytes())


def test_the_certificate_names_the_loopback(tmp_path: Path) -> None:
    certificate = served(pki.load_or_create(tmp_path, NOW))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {
        "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
    }  # fmt: skip
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_every_file_is_its_owners_alone(tmp_path: Path) -> None:
    pki.load_or_create(tmp_path / "pki", NOW)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "pki").iterdir()}
    assert modes == dict.fromkeys(("ca.crt", "ca.key", "server.crt", "server.key", "token"), 0o600)


def test_a_second_start_finds_the_same_identity(tmp_path: Path) -> None:
    first = pki.load_or_create(tmp_path, NOW)
    before = served(first)
    second = pki.load_or_create(tmp_path, NOW + timedelta(days=1))
    assert (second.token, second.ca_pem) == (first.token, first.ca_pem)
    assert served(second) == before


def test_the_certificate_is_renewed_by_the_same_authority(tmp_path: Path) -> None:
    first = pki.load_or_create(tmp_path, NOW)
    before = served(first)
    later = NOW + timedelta(days=330)
    second = pki.load_or_create(tmp_path, later)
    assert second.ca_pem == first.ca_pem
    assert served(second).serial_number != before.serial_number
    assert served(second).not_valid_after_utc > later + timedelta(days=300)


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "server.crt", "server.key"])
def test_a_broken_file_is_made_anew(tmp_path: Path, name: str) -> None:
    pki.load_or_create(tmp_path, NOW)
    (tmp_path / name).write_text("nonsense")
    identity = pki.load_or_create(tmp_path, NOW)
    context = ssl.create_default_context(cadata=identity.ca_pem)
    authority = x509.load_pem_x509_certificate(identity.ca_pem.encode())
    served(identity).verify_directly_issued_by(authority)
    assert context.get_ca_certs()


def test_only_the_token_authenticates() -> None:
    user = User("admin")
    authenticate = identity_of.bearer({"secret": user})
    assert authenticate({"authorization": "Bearer secret"}) == user
    assert authenticate({"authorization": "Bearer secre"}) is None
    assert authenticate({"authorization": "secret"}) is None
    assert authenticate({"authorization": "Bearer \xe4"}) is None
    assert authenticate({}) is None


def test_a_kubeconfig_is_private_and_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "kubeconfig"
    kubeconfig.write(path, kubeconfig.kubeconfig("https://127.0.0.1:1", "CA", "tok"))
    assert path.stat().st_mode & 0o777 == 0o600
    config = yaml.safe_load(path.read_text())
    assert config["current-context"] == "stagezero"
    assert config["users"][0]["user"] == {"token": "tok"}
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"


def test_merging_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "clusters": [{"name": "prod", "cluster": {"server": "https://prod"}}],
                "contexts": [{"name": "prod", "context": {"cluster": "prod"}}],
                "users": None,
                "current-context": "prod",
                "extensions": [1],
            }
        )
    )
    for token in ("old", "new"):
        kubeconfig.merge_into(path, kubeconfig.kubeconfig("https://127.0.0.1:1", "CA", token))
    merged = yaml.safe_load(path.read_text())
    assert [cluster["name"] for cluster in merged["clusters"]] == ["prod", "stagezero"]
    assert [user["user"]["token"] for user in merged["users"]] == ["new"]
    assert merged["extensions"] == [1]


@pytest.mark.parametrize("text", ["- a\n- b\n", "clusters: 7\n", "a: [", "clusters: [1]\n"])
def test_a_file_of_another_shape_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(kubeconfig.Unreadable, match="left as it is"):
        kubeconfig.merge_into(path, kubeconfig.kubeconfig("https://127.0.0.1:1", "CA", "t"))
    assert path.read_text() == text
