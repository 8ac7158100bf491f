"""`create_ssl_context`: what is verified, what is loaded, and real handshakes without sockets."""

from __future__ import annotations

import logging
import ssl
import subprocess
from pathlib import Path

import pytest

from aiokafka.helpers import create_ssl_context

PASSWORD = "secret"


def openssl(cwd: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=cwd, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority, and a certificate for `localhost` signed by it."""
    folder = tmp_path_factory.mktemp("certs")
    openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA",
        "-addext", "keyUsage=critical,keyCertSign",
    )  # fmt: skip
    openssl(
        folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-passout", f"pass:{PASSWORD}", "-keyout", "node.key", "-out", "node.csr",
        "-subj", "/CN=localhost",
    )  # fmt: skip
    (folder / "node.ext").write_text(
        "subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    openssl(
        folder, "x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", "node.ext", "-out", "node.pem",
    )  # fmt: skip
    (folder / "both.pem").write_bytes(
        (folder / "node.pem").read_bytes() + (folder / "node.key").read_bytes()
    )
    return folder


def handshake(client: ssl.SSLContext, certs: Path, name: str = "localhost") -> None:
    """Let `client` meet a server with the test's certificate, through memory."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certs / "node.pem", certs / "node.key", PASSWORD)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (near, far):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
    assert done == {near, far}


def test_verifies_by_default() -> None:
    context = create_ssl_context()
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname is True
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_only_the_given_authority_is_trusted(certs: Path) -> None:
    context = create_ssl_context(cafile=str(certs / "ca.pem"))
    (trusted,) = context.get_ca_certs()
    assert trusted["subject"] == ((("commonName", "Test CA"),),)


@pytest.mark.parametrize("form", ["cafile", "path object", "pem", "der"])
def test_handshake(certs: Path, form: str) -> None:
    pem = (certs / "ca.pem").read_text()
    if form == "cafile":
        context = create_ssl_context(cafile=str(certs / "ca.pem"))
    elif form == "path object":
        context = create_ssl_context(cafile=certs / "ca.pem")
    else:
        context = create_ssl_context(
            cadata=pem if form == "pem" else ssl.PEM_cert_to_DER_cert(pem)
        )
    handshake(context, certs)


def test_wrong_host_name(certs: Path) -> None:
    context = create_ssl_context(cafile=certs / "ca.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
        handshake(context, certs, "example.org")


def test_unknown_authority(certs: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(create_ssl_context(), certs)


def test_capath(certs: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes((certs / "ca.pem").read_bytes())
    openssl(tmp_path, "rehash", ".")
    handshake(create_ssl_context(capath=tmp_path), certs)


def test_client_certificate(certs: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="aiokafka.helpers"):
        create_ssl_context(
            cafile=certs / "ca.pem", certfile=certs / "node.pem", keyfile=certs / "node.key",
            password=lambda: PASSWORD,
        )  # fmt: skip
    assert "node.pem" in caplog.text
    assert "ca.pem" in caplog.text
    assert PASSWORD not in caplog.text
    create_ssl_context(certfile=certs / "both.pem", password=PASSWORD.encode())


def test_wrong_password(certs: Path) -> None:
    with pytest.raises(ssl.SSLError):
        create_ssl_context(certfile=certs / "both.pem", password="wrong")


def test_key_without_certificate(certs: Path) -> None:
    with pytest.raises(ValueError, match="certfile"):
        create_ssl_context(keyfile=certs / "node.key")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        create_ssl_context(cafile=tmp_path / "absent.pem")


def test_keywords_only() -> None:
    with pytest.raises(TypeError):
        create_ssl_context("ca.pem")  # type: ignore[call-arg]
