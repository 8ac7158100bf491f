"""Certificates for the TLS listeners of test brokers, made anew for every cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files.

    `ca` is what a client trusts, `other_ca` an authority that signed nothing
    here; `client_cert` with `client_key` is a client's own certificate (for
    ``ssl.client.auth``).  The brokers' certificate is good for ``localhost``
    and ``127.0.0.1``, and for no other name.
    """

    ca: Path
    other_ca: Path
    broker_cert: Path
    broker_key: Path
    client_cert: Path
    client_key: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """Make an authority, a broker's and a client's certificate in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(
            ca=folder / "ca.pem",
            other_ca=folder / "other-ca.pem",
            broker_cert=folder / "broker.pem",
            broker_key=folder / "broker.key",
            client_cert=folder / "client.pem",
            client_key=folder / "client.key",
        )
        ca = trustme.CA(organization_name="aiokafka tests")
        ca.cert_pem.write_to_path(str(made.ca))
        trustme.CA(organization_name="somebody else").cert_pem.write_to_path(str(made.other_ca))
        broker = ca.issue_cert("localhost", "127.0.0.1", common_name="broker")
        _write(broker, made.broker_cert, made.broker_key)
        client = ca.issue_cert("client@test.invalid", common_name="client")
        _write(client, made.client_cert, made.client_key)
        return made

    def broker_properties(self) -> dict[str, str]:
        """Kafka's settings for a listener with these certificates."""
        # Kafka takes PEM text in the properties themselves; a key in a file of its own would have
        # to be in the same file as the certificates.  Its private keys must be PKCS#8.
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _one_line(self.broker_cert),
            "ssl.keystore.key": _one_line(self.broker_key),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": _one_line(self.ca),
        }


def _write(cert: trustme.LeafCert, cert_path: Path, key_path: Path) -> None:
    cert_path.write_bytes(b"".join(blob.bytes() for blob in cert.cert_chain_pems))
    key_path.write_bytes(_pkcs8(cert.private_key_pem.bytes()))


def _pkcs8(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(pem, password=None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _one_line(path: Path) -> str:
    """The PEM file as the value of a property: a backslash ends every line but the last."""
    return "\\n".join(path.read_text().strip().splitlines()) + "\\n"
