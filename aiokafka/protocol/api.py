"""Requests and responses: headers, versioned structs and version-choosing builders.

A *builder* (``MetadataRequest``) holds what the caller wants to say; :meth:`Request.prepare` picks
the newest version that broker and client share and returns a *struct* of it
(``MetadataRequest_v9``), which knows its bytes.

Page: https://kafka.apache.org/protocol#protocol_messages
"""

from __future__ import annotations

import abc
import struct as _struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from aiokafka.errors import IncompatibleBrokerVersion

from . import _runtime
from ._versions import usable
from .struct import Source, Struct
from .types import Int16, Int32, Schema, String, TaggedFields

if TYPE_CHECKING:
    from ._declare import Api

_API_VERSIONS_KEY = 18
_NO_LIMIT = 32767

_pack_header = _struct.Struct(">hhih").pack
_REQUIRED = ("API_KEY", "API_VERSION", "RESPONSE_TYPE", "SCHEMA")


class RequestHeader_v1(Struct):
    """Header of requests in versions that are not flexible."""

    SCHEMA = Schema(
        ("api_key", Int16),
        ("api_version", Int16),
        ("correlation_id", Int32),
        ("client_id", String("utf-8")),
    )

    def __init__(
        self, request: RequestStruct, correlation_id: int = 0, client_id: str = "aiokafka"
    ) -> None:
        super().__init__(request.API_KEY, request.API_VERSION, correlation_id, client_id)


class RequestHeader_v2(Struct):
    """Header of requests in flexible versions.

    The client id keeps its classic encoding, so that every broker can read every header.
    """

    SCHEMA = Schema(
        ("api_key", Int16),
        ("api_version", Int16),
        ("correlation_id", Int32),
        ("client_id", String("utf-8")),
        ("tags", TaggedFields),
    )

    def __init__(
        self,
        request: RequestStruct,
        correlation_id: int = 0,
        client_id: str = "aiokafka",
        tags: Mapping[int, bytes] | None = None,
    ) -> None:
        super().__init__(
            request.API_KEY, request.API_VERSION, correlation_id, client_id, tags or {}
        )


class ResponseHeader_v0(Struct):
    """Header of responses in versions that are not flexible, and of every ApiVersions."""

    SCHEMA = Schema(("correlation_id", Int32))


class ResponseHeader_v1(Struct):
    """Header of responses in flexible versions."""

    SCHEMA = Schema(("correlation_id", Int32), ("tags", TaggedFields))


class Response(Struct, metaclass=abc.ABCMeta):
    """A response in one version."""

    @property
    @abc.abstractmethod
    def API_KEY(self) -> int:
        """The number of the API."""

    @property
    @abc.abstractmethod
    def API_VERSION(self) -> int:
        """The version of the API."""


class RequestStruct(Struct):
    """A request in one version.

    Subclasses define ``API_KEY``, ``API_VERSION``, ``RESPONSE_TYPE`` and ``SCHEMA``; a class that
    lacks one is a ``TypeError`` when it is created.
    """

    API_KEY: ClassVar[int]
    API_VERSION: ClassVar[int]
    RESPONSE_TYPE: ClassVar[type[Response]]
    #: Whether header and body have tagged fields (KIP-482).
    FLEXIBLE_VERSION: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _REQUIRED:
            # Not hasattr(): that would build a schema nobody has asked for yet.
            if not any(name in base.__dict__ for base in cls.__mro__):
                raise TypeError(f"{cls.__name__} must define {name}")

    def build_request_header(
        self, correlation_id: int, client_id: str
    ) -> RequestHeader_v1 | RequestHeader_v2:
        """Return the header that goes in front of this request."""
        if self.FLEXIBLE_VERSION:
            return RequestHeader_v2(self, correlation_id, client_id)
        return RequestHeader_v1(self, correlation_id, client_id)

    def encode_header(self, correlation_id: int, client_id: str | None) -> bytes:
        """The bytes of :meth:`build_request_header`, made at once.

        .. versionadded:: 0.14.1
        """
        raw = b"" if client_id is None else client_id.encode()
        size = -1 if client_id is None else len(raw)
        head = _pack_header(self.API_KEY, self.API_VERSION, correlation_id, size)
        return head + raw + b"\0" if self.FLEXIBLE_VERSION else head + raw

    @classmethod
    def response_header_type(cls) -> type[ResponseHeader_v0] | type[ResponseHeader_v1]:
        """The header class of the response.

        ApiVersions stays at version 0: a client must be able to read the answer of a broker that
        did not understand the version it asked in (KIP-511).

        .. versionadded:: 0.14.1
        """
        if cls.FLEXIBLE_VERSION and cls.API_KEY != _API_VERSIONS_KEY:
            return ResponseHeader_v1
        return ResponseHeader_v0

    def parse_response_header(self, read_buffer: Source) -> ResponseHeader_v0 | ResponseHeader_v1:
        """Read the header of the response; a stream is left where the response begins."""
        return self.response_header_type().decode(read_buffer)

    def decode_response(self, frame: bytes | bytearray | memoryview) -> tuple[int, Response]:
        """Read a whole response frame: its correlation id and the response.

        Raises ``ValueError`` for bytes that cannot be one.

        .. versionadded:: 0.14.1
        """
        try:
            correlation_id = int.from_bytes(frame[:4], "big", signed=True)
            start = 4
            if self.response_header_type() is ResponseHeader_v1:
                count = frame[4]
                start = 5
                if count:
                    start = _runtime.skip_tags(frame, 5, len(frame), count)
        except IndexError as exc:
            _runtime.truncated("response header", exc)
        return correlation_id, self.RESPONSE_TYPE.decode_from(frame, start)[0]


class _LazyClasses:
    """Class attribute that becomes the struct classes when it is first looked at."""

    __slots__ = ("_api", "_oldest")

    def __init__(self, api: Api, oldest: int) -> None:
        self._api = api
        self._oldest = oldest

    def __get__(self, instance: object, owner: type) -> tuple[type[RequestStruct], ...]:
        classes = self._api.requests[self._oldest :]
        for cls in owner.__mro__:
            if cls.__dict__.get("_CLASSES") is self:
                cls._CLASSES = classes  # type: ignore[attr-defined]
        return classes


StructT = TypeVar("StructT", bound=RequestStruct)


class Request(abc.ABC, Generic[StructT]):
    """What a caller wants to ask, before the version is known.

    ``class MetadataRequest(Request[MetadataRequest_v0 | MetadataRequest_v1])`` names the versions
    it may be built in, oldest first; so does the class keyword ``structs``.  The keyword ``api``
    names all versions of a declared API, beginning with number ``oldest``.
    """

    API_KEY: ClassVar[int]
    #: Build the first class when the broker's versions are not known at all.
    ALLOW_UNKNOWN_API_VERSION: ClassVar[bool] = False
    _CLASSES: ClassVar[tuple[type[RequestStruct], ...]] = ()
    # By what the broker offers and the values allow; a program meets a few of these.
    _chosen: ClassVar[dict[tuple[tuple[int, int], int], type[RequestStruct]]] = {}

    def __init_subclass__(
        cls,
        structs: tuple[type[RequestStruct], ...] | None = None,
        api: Api | None = None,
        oldest: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls._chosen = {}
        if api is not None:
            cls._CLASSES = _LazyClasses(api, oldest)  # type: ignore[assignment]
            cls.API_KEY = api.key
            return
        if structs is None:
            if Request not in cls.__bases__:
                if not any(issubclass(base, Request) for base in cls.__bases__):
                    raise TypeError(f"{cls.__name__} must derive from Request")
                return  # a subclass of a builder
            structs = _structs_of(cls)
        cls._CLASSES = tuple(structs)
        if "API_KEY" not in cls.__dict__:
            cls.API_KEY = cls._CLASSES[0].API_KEY

    @abc.abstractmethod
    def build(self, request_struct_class: type[StructT]) -> StructT:
        """Return the struct of one version.

        Raises ``IncompatibleBrokerVersion`` when that version cannot say what is asked.
        """

    def _highest_version(self) -> int:
        """The newest version these values can be expressed in."""
        return _NO_LIMIT

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> StructT:
        """Return the struct of the newest version that broker and client share.

        Parameters:
            versions: what the broker offers, API key to lowest and highest version.

        Raises ``IncompatibleBrokerVersion`` when the broker does not know the API or no shared
        version can express the values, ``NotImplementedError`` when the ranges do not meet.
        """
        return self.build(self._struct_class(versions))

    def for_wire(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """Like :meth:`prepare`, as whatever a connection can send: an object that knows its
        bytes and how to read the answer, for which less may have to be made than a struct.

        .. versionadded:: 0.14.1
        """
        return self.prepare(versions)

    def _struct_class(self, versions: Mapping[int, tuple[int, int]]) -> type[StructT]:
        bounds = versions.get(self.API_KEY)
        if bounds is None:
            if self.ALLOW_UNKNOWN_API_VERSION:
                return self._CLASSES[0]  # type: ignore[return-value]
            raise IncompatibleBrokerVersion(
                f"{type(self).__name__} (API key {self.API_KEY}) is not supported by the broker"
            )
        limit = self._highest_version()
        chosen = self._chosen.get((bounds, limit))
        if chosen is None:
            chosen = self._chosen[bounds, limit] = self._choose(bounds, limit)
        return chosen  # type: ignore[return-value]

    def _choose(self, bounds: tuple[int, int], limit: int) -> type[RequestStruct]:
        lowest, highest = usable(self.API_KEY, *bounds)
        too_new = False
        for struct_class in reversed(self._CLASSES):
            version = struct_class.API_VERSION
            if lowest <= version <= highest:
                if version <= limit:
                    return struct_class
                too_new = True
        name = type(self).__name__
        if too_new:
            raise IncompatibleBrokerVersion(
                f"{name} with these values needs version {limit} or older, "
                f"the broker supports {bounds[0]} to {bounds[1]}"
            )
        known = [struct_class.API_VERSION for struct_class in self._CLASSES]
        raise NotImplementedError(
            f"{name} is implemented in versions {min(known)} to {max(known)}, "
            f"the broker supports {bounds[0]} to {bounds[1]}"
        )

    def _not_expressible(self, struct_class: type[RequestStruct], what: str) -> Exception:
        """The error of a value that a version has no place for."""
        return IncompatibleBrokerVersion(
            f"{what} needs a newer version of {type(self).__name__} "
            f"than {struct_class.API_VERSION}, which is the newest the broker supports"
        )


def _structs_of(cls: type) -> tuple[type[RequestStruct], ...]:
    """The struct classes named by the generic argument of ``class X(Request[...])``."""
    bases = cls.__dict__.get("__orig_bases__", ())
    if len(bases) != 1 or get_origin(bases[0]) is not Request:
        raise TypeError(f"{cls.__name__} must derive from Request[...] and nothing else")
    (argument,) = get_args(bases[0])
    structs = get_args(argument) or (argument,)
    for struct_class in structs:
        if not (isinstance(struct_class, type) and issubclass(struct_class, RequestStruct)):
            raise TypeError(f"{cls.__name__}: {struct_class!r} is not a RequestStruct")
    return tuple(structs)


def throttle_time_ms(response: object) -> int:
    """How long the broker throttles, or throttled, this client in milliseconds (KIP-219).

    0 when the response or its version does not say.

    .. versionadded:: 0.14.1
    """
    value = getattr(response, "throttle_time_ms", 0)
    return value if isinstance(value, int) and value > 0 else 0


__all__ = [
    "Request",
    "RequestHeader_v1",
    "RequestHeader_v2",
    "RequestStruct",
    "Response",
    "ResponseHeader_v0",
    "ResponseHeader_v1",
    "throttle_time_ms",
]
