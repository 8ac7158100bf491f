"""What the bytes are when they are not Kafka's.

Pure look-up, no state.  Only consulted once a length was found impossible, so it costs the
ordinary path nothing.
"""

from __future__ import annotations

#: RFC 8446 section 5.1: content types of a TLS record that a server may begin with.
_TLS_CONTENT = {0x15: "a TLS alert", 0x16: "a TLS handshake record", 0x17: "a TLS record"}

_TEXT_PROTOCOLS = (
    (b"HTTP/", "an HTTP answer"),
    (b"<htm", "an HTML page"),
    (b"<!do", "an HTML page"),
    (b"<!DO", "an HTML page"),
    (b"SSH-", "an SSH greeting"),
    (b"220 ", "an SMTP or FTP greeting"),
    (b"220-", "an SMTP or FTP greeting"),
    (b"-ERR", "a Redis or POP3 answer"),
    (b"+OK ", "a POP3 greeting"),
)


def recognise(head: bytes) -> str | None:
    """Name the protocol that *head*, the first bytes of an impossible frame, belongs to."""
    if len(head) >= 2 and head[1] == 0x03 and head[0] in _TLS_CONTENT:
        return _TLS_CONTENT[head[0]]
    for start, name in _TEXT_PROTOCOLS:
        if head.startswith(start):
            return name
    return None
