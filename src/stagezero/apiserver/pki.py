"""The server's identity: a certificate authority, a certificate for the loopback names, a token.

All of it lies in one directory, readable by its owner alone; it is made at the first start, kept
while it is valid, and the certificate is renewed in time by the same authority, so that a
kubeconfig written once stays good.
"""

import ipaddress
import os
import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stagezero.apiserver.http import Certificate
from stagezero.apiserver.identity import Identity

_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_ADDRESSES = ("127.0.0.1", "::1")
_CA_LIFE = timedelta(days=3650)
_LIFE = timedelta(days=365)
_RENEW_BEFORE = timedelta(days=60)
# Clocks of two programs on one machine agree, but a restored snapshot's may lag.
_BACKDATE = timedelta(hours=1)


@dataclass(frozen=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def load_or_create(directory: Path, now: datetime) -> Identity:
    """Read the identity of a state directory; make what is missing, broken or about to end."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _read(directory, "ca")
    if authority is None or not _is_current(authority, now):
        authority = _authority(now)
        _write(directory, "ca", authority)
    server = _read(directory, "server")
    if server is None or not _is_current(server, now) or not _is_signed(server, authority):
        server = _signed(authority, now)
        _write(directory, "server", server)
    certificate = Certificate(directory / "server.crt", directory / "server.key")
    return Identity(certificate, authority.certificate_pem.decode(), _token(directory))


def _token(directory: Path) -> str:
    path = directory / "token"
    token = path.read_text().strip() if path.exists() else ""
    if not token:
        token = secrets.token_urlsafe(32)
        _write_private(path, token.encode())
    return token


def _read(directory: Path, name: str) -> _Pair | None:
    try:
        certificate = x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())
        key = serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
    except (OSError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    is_pair = key.public_key() == certificate.public_key()
    return _Pair(certificate, key) if is_pair else None


def _is_current(pair: _Pair, now: datetime) -> bool:
    certificate = pair.certificate
    is_begun = certificate.not_valid_before_utc <= now
    return is_begun and now + _RENEW_BEFORE < certificate.not_valid_after_utc


def _is_signed(server: _Pair, authority: _Pair) -> bool:
    try:
        server.certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _write(directory: Path, name: str, pair: _Pair) -> None:
    # The key first: a crash in between leaves a pair that does not match, which is made anew.
    _write_private(directory / f"{name}.key", pair.key_pem)
    _write_private(directory / f"{name}.crt", pair.certificate_pem)


def _write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 as a whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _builder(common_name: str, now: datetime, life: timedelta) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + life)
    )


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("stagezero", now, _CA_LIFE)
    certificate = (
        builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stagezero")]))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _Pair(certificate, key)


def _signed(authority: _Pair, now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    issuer_key = authority.key.public_key()
    certificate = (
        _builder("stagezero-apiserver", now, _LIFE)
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    return _Pair(certificate, key)


def main() -> None:
    """Make the identity of a directory; a process of its own spares the server the library."""
    load_or_create(Path(sys.argv[1]), datetime.now(UTC))


if __name__ == "__main__":
    main()
