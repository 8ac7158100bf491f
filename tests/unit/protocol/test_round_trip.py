"""What is written is read back, for every declared class; broken bytes are ValueErrors."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiokafka.protocol._declare import Api

from .apis import APIS, distinct
from .strategies import values

_IDS = [api.name for api in APIS]
_SETTINGS = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("api", APIS, ids=_IDS)
@_SETTINGS
@given(data=st.data())
def test_round_trip(api: Api, data: st.DataObject) -> None:
    for classes in (api.requests, api.responses):
        for schema, struct_class in distinct(classes).items():
            struct = struct_class(*data.draw(values(schema)))
            encoded = struct.encode()
            decoded = struct_class.decode(encoded)
            assert decoded == struct
            assert type(decoded) is struct_class
            assert repr(decoded).startswith(f"{struct_class.__name__}(")
            assert decoded.encode() == encoded
            assert b"".join(struct.encode_parts()) == encoded
            stream = BytesIO(b"xy" + encoded + b"z")
            stream.seek(2)
            assert struct_class.decode(stream) == struct
            assert stream.read() == b"z"
            assert struct_class.decode(memoryview(encoded)) == struct
            assert struct_class.decode(bytearray(encoded)) == struct
            assert struct_class.decode_from(memoryview(b"x" + encoded), 1) == (
                struct,
                len(encoded) + 1,
            )
            assert set(struct.to_object()) == set(schema.names)


@pytest.mark.parametrize("api", APIS, ids=_IDS)
@_SETTINGS
@given(data=st.data())
def test_truncated_and_damaged_bytes_are_value_errors(api: Api, data: st.DataObject) -> None:
    for classes in (api.requests, api.responses):
        schema, struct_class = list(distinct(classes).items())[-1]
        if not schema.names:
            continue
        encoded = struct_class(*data.draw(values(schema))).encode()
        for size in range(min(len(encoded), 60)):
            with pytest.raises(ValueError):
                struct_class.decode(encoded[:size])
        damaged = bytearray(encoded)
        for position in data.draw(st.lists(st.integers(0, len(encoded) - 1), max_size=6)):
            damaged[position] = data.draw(st.integers(0, 255))
        try:
            struct_class.decode(bytes(damaged))
        except ValueError:
            pass  # the only exception there may be


@pytest.mark.parametrize("api", APIS, ids=_IDS)
@_SETTINGS
@given(junk=st.binary(max_size=120))
def test_junk_is_a_value_error_at_worst(api: Api, junk: bytes) -> None:
    for classes in (api.requests, api.responses):
        for struct_class in distinct(classes).values():
            try:
                struct_class.decode(junk)
            except ValueError:
                pass  # the only exception there may be
