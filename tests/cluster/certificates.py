"""The certificates of a local cluster: one authority, which issues those of servers and clients."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A test cluster does not live longer; the margin at the start allows for clocks that differ.
_LIFETIME = datetime.timedelta(days=30)
_MARGIN = datetime.timedelta(minutes=10)


@dataclass(frozen=True)
class KeyPair:
    """Files, in PEM, of a private key and of the certificate or public key that belongs to it."""

    public: Path
    private: Path


class Authority:
    """A certificate authority whose key never leaves the process.

    Attributes:
        certificate_file: its own certificate, in PEM.
    """

    def __init__(self, folder: Path) -> None:
        """Makes a new authority.

        Args:
            folder: for its certificate and all certificates that it issues.
        """
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local-cluster")])
        certificate = self._builder(self._name, self._key.public_key(), is_authority=True).sign(
            self._key, hashes.SHA256()
        )
        self.certificate_file = folder / "authority.crt"
        self.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, file_name: str, common_name: str, *, organization: str | None = None, hosts: Sequence[str] = ()
    ) -> KeyPair:
        """Issues a certificate for a client, and for a server when it has hosts.

        Args:
            file_name: name of the two files, without suffix.
            common_name: for a client, its user name in Kubernetes.
            organization: for a client, its group in Kubernetes.
            hosts: IP addresses and names under which a server is reached.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if organization:
            subject.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        if hosts:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = self._builder(x509.Name(subject), key.public_key(), is_authority=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        pair = KeyPair(self._folder / f"{file_name}.crt", self._folder / f"{file_name}.key")
        pair.public.write_bytes(certificate)
        _write_private(key, pair.private)
        return pair

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.CertificateBuilder:
        # Python 3.13 and later require the identifiers and the key usage.
        now = datetime.datetime.now(datetime.UTC)
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=is_authority,
            crl_sign=is_authority,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _MARGIN)
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def signing_keys(folder: Path, file_name: str) -> KeyPair:
    """Makes a key pair without a certificate, for example to sign and verify service-account tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    pair = KeyPair(folder / f"{file_name}.pub", folder / f"{file_name}.key")
    pair.public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    _write_private(key, pair.private)
    return pair


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_private(key: ec.EllipticCurvePrivateKey, file: Path) -> None:
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
