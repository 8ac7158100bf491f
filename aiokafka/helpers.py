"""Conveniences for applications; nothing inside of the package uses them.

No state, no tasks.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable

__all__ = ["create_ssl_context"]

log = logging.getLogger(__name__)

StrOrBytesPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def create_ssl_context(
    *,
    cafile: StrOrBytesPath | None = None,
    capath: StrOrBytesPath | None = None,
    cadata: str | bytes | None = None,
    certfile: StrOrBytesPath | None = None,
    keyfile: StrOrBytesPath | None = None,
    password: Callable[[], str | bytes | bytearray] | str | bytes | bytearray | None = None,
) -> ssl.SSLContext:
    """Make an SSL context for the ``ssl_context`` keyword of the clients.

    The broker's certificate and host name are verified. Without any of the first three
    arguments the system's certificate authorities are trusted, otherwise only those given.

    Parameters:
        cafile: PEM file with the certificates of the authorities to trust.
        capath: directory of such files, prepared with ``openssl rehash``.
        cadata: such certificates themselves, as a PEM string or as DER bytes.
        certfile: PEM file with the client's certificate and those above it.
        keyfile: PEM file with the client's private key; by default it is in ``certfile``.
        password: password of the private key, or a function that returns it.

    Returns:
        A context with ``check_hostname`` on, ``verify_mode`` ``CERT_REQUIRED`` and TLS 1.2
        as the oldest version accepted; otherwise as :func:`ssl.create_default_context`
        makes it.

    Raises:
        ValueError: ``keyfile`` without ``certfile``.
        OSError: a file cannot be read.
        ssl.SSLError: a certificate or key is not valid, or the password is wrong.
    """
    if keyfile is not None and certfile is None:
        raise ValueError("`keyfile` needs `certfile`: a key proves nothing by itself")

    if cafile is None and capath is None and cadata is None:
        log.info("Trusting the certificate authorities of the system")
    else:
        log.info(
            "Trusting the certificate authorities of cafile=%r, capath=%r%s",
            cafile,
            capath,
            "" if cadata is None else " and cadata",
        )
    context = ssl.create_default_context(
        ssl.Purpose.SERVER_AUTH, cafile=cafile, capath=capath, cadata=cadata
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certfile is not None:
        log.info("Authenticating with certfile=%r, keyfile=%r", certfile, keyfile)
        context.load_cert_chain(certfile, keyfile, password)
    return context
