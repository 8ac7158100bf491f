"""Generates the encoder of a schema; see :mod:`aiokafka.protocol._codegen`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _runtime
from ._shape import BLOB, FIXED, FOREIGN, MANY, ROW, TAGS, TEXT, UUID, UVARINT, VARINT, Shape
from ._source import Source

if TYPE_CHECKING:
    from .types import Schema

# Below this many bytes copying a buffer costs less than handing it around separately.
_BY_REFERENCE_MIN_SIZE = 2048


class Encoder(Source):
    """Generates ``run(values)``; with ``split`` large record sets stay buffers of their own."""

    def __init__(self, *, split: bool) -> None:
        super().__init__()
        self._split = split
        self._writer = "w"
        self.names["small"] = _runtime.SMALL_VARINTS

    def compile(self, schema: Schema, label: str) -> Callable[..., Any]:
        self.names["LABEL"] = label
        self.names["struct_error"] = struct.error
        self.row(schema, "values", label)
        self.flush()
        head = "def run(values):\n    out = []\n    w = out.append\n    try:"
        if self._split:
            head = head.replace("    try:", "    parts = []\n    try:")
            end = "    if out: parts.append(b''.join(out))\n    return parts"
        else:
            end = "    return b''.join(out)"
        tail = (
            "        pass\n"
            "    except (struct_error, AttributeError, TypeError) as exc:\n"
            "        rt.unencodable(LABEL, exc)\n" + end
        )
        return self.build(head, tail)

    def put(self, code: str, expression: str = "") -> None:
        self._pending.append((code, expression))

    def flush(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        packer = struct.Struct(">" + "".join(code for code, _ in pending))
        arguments = ", ".join(expression for _, expression in pending if expression)
        if not arguments:  # only pad bytes
            self.write(repr(packer.pack()))
        else:
            self.write(f"{self.constant('pack', packer.pack)}({arguments})")

    def write(self, expression: str) -> None:
        self.line(f"{self._writer}({expression})")

    def uvarint(self, expression: str) -> None:
        self.flush()
        self.write(
            f"small[{expression}] if {expression} < 128 else rt.write_uvarint({expression})"
        )

    def row(self, schema: Schema, source: str, label: str) -> None:
        variables = [self.fresh("v") for _ in schema.names]
        optional = schema.optional
        required = len(variables) - len(optional)
        if optional:
            defaults = self.constant("defaults", optional)
            self.indent(f"if len({source}) != {len(variables)}:")
            arguments = f"{source}, {required}, {defaults}, {label!r}"
            self.line(f"{source} = rt.complete_row({arguments})")
            self.dedent()
        else:
            self.indent(f"if len({source}) != {len(variables)}:")
            self.line(f"rt.bad_row({label!r}, {len(variables)}, len({source}))")
            self.dedent()
        if variables:
            self.line(f"{', '.join(variables)}, = {source}")
        tagged = len(schema.names) - len(schema.tags)
        for name, shape, variable in zip(
            schema.names[:tagged], schema.shapes, variables, strict=False
        ):
            self.value(shape, variable, f"{label}.{name}")
        if schema.is_flexible:
            self.tag_section(schema, variables[tagged:], label)

    def tag_section(self, schema: Schema, variables: list[str], label: str) -> None:
        if not variables:
            self.put("x")
            return
        self.flush()
        writer = self._writer
        count, data = self.fresh("count"), self.fresh("data")
        self.line(f"{count} = 0; {data} = b''")
        first = len(schema.names) - len(variables)
        for (tag, default), variable, shape, name in zip(
            schema.tags, variables, schema.shapes[first:], schema.names[first:], strict=True
        ):
            self.indent(f"if {self._differs(shape, variable, default)}:")
            out = self.fresh("out")
            self._writer = self.fresh("w")
            self.line(f"{out} = []; {self._writer} = {out}.append")
            self.value(shape, variable, f"{label}.{name}")
            self.flush()
            self.line(f"{out} = b''.join({out}); {count} += 1")
            head = _runtime.write_uvarint(tag)
            self.line(f"{data} += {head!r} + rt.write_uvarint(len({out})) + {out}")
            self.dedent()
        self._writer = writer
        self.uvarint(count)
        self.write(data)

    def _differs(self, shape: Shape, variable: str, default: Any) -> str:
        if shape.kind == MANY:  # only empty arrays are declared as defaults
            return f"{variable} is None or len({variable})"
        if shape.kind == ROW:
            return f"tuple({variable}) != {self.constant('default', default)}"
        if shape.kind == UUID:
            return f"{variable} is not None and {variable}.int"
        if default is None:
            return f"{variable} is not None"
        return f"{variable} != {self.constant('default', default)}"

    def value(self, shape: Shape, variable: str, label: str) -> None:
        kind = shape.kind
        if kind == FIXED:
            self.put(shape.code, variable)
        elif kind == UUID:
            self.put("16s", f"rt.write_uuid({variable})")
        elif kind == TEXT:
            self._text(shape, variable, label)
        elif kind == BLOB:
            self._blob(shape, variable, label)
        elif kind == MANY:
            self._array(shape, variable, label)
        elif kind == ROW:
            self._inline_row(shape, variable, label)
        else:
            self.flush()
            self.write(
                {
                    UVARINT: f"rt.write_uvarint({variable})",
                    VARINT: f"rt.write_varint({variable}, {shape.code or 32})",
                    TAGS: f"rt.write_tags({variable})",
                    FOREIGN: f"{self.constant('foreign', shape.of)}.encode({variable})",
                }[kind]
            )

    def length(self, shape: Shape, variable: str, code: str) -> None:
        if shape.compact:
            self.uvarint(variable)
        else:
            self.put(code, variable)
            self.flush()

    def refuse_null(self, variable: str, label: str) -> None:
        # A null where the protocol has none would make the broker drop the connection.
        self.indent(f"if {variable} is None:")
        self.line(f"rt.bad_null({label!r})")
        self.dedent()

    def _sized(self, shape: Shape, variable: str, label: str, data: str) -> tuple[str, str]:
        """Emit the encoded bytes and the length prefix's value; their variable names."""
        raw, size = self.fresh("s"), self.fresh("n")
        if shape.nullable:
            self.indent(f"if {variable} is None:")
            self.line(f"{raw} = b''; {size} = {0 if shape.compact else -1}")
            self.dedent("else:")
        else:
            self.refuse_null(variable, label)
        self.line(f"{raw} = {data}")
        self.line(f"{size} = len({raw}){' + 1' if shape.compact else ''}")
        if shape.nullable:
            self.dedent()
        return raw, size

    def _text(self, shape: Shape, variable: str, label: str) -> None:
        encoding = "" if shape.encoding == "utf-8" else repr(shape.encoding)
        raw, size = self._sized(shape, variable, label, f"{variable}.encode({encoding})")
        self.length(shape, size, "h")
        self.write(raw)

    def _blob(self, shape: Shape, variable: str, label: str) -> None:
        raw, size = self._sized(shape, variable, label, variable)
        self.length(shape, size, "i")
        if not (shape.by_reference and self._split):
            self.write(raw)
            return
        self.indent(f"if {size} < {_BY_REFERENCE_MIN_SIZE}:")
        self.write(raw)
        self.dedent("else:")
        self.line(f"parts.append(b''.join(out)); out.clear(); parts.append({raw})")
        self.dedent()

    def _array(self, shape: Shape, variable: str, label: str) -> None:
        element: Shape = shape.of
        self.flush()
        size = self.fresh("n")
        if shape.nullable:
            self.indent(f"if {variable} is None:")
            self.write(repr(b"\0" if shape.compact else b"\xff\xff\xff\xff"))
            self.dedent("else:")
        else:
            self.refuse_null(variable, label)
        self.line(f"{size} = len({variable}){' + 1' if shape.compact else ''}")
        self.length(shape, size, "i")
        if element.kind == FIXED:
            pack = self.constant("pack", struct.pack)
            self.write(f"{pack}(f'>{{len({variable})}}{element.code}', *{variable})")
        else:
            item = self.fresh("r")
            self.indent(f"for {item} in {variable}:")
            self.value(element, item, label)
            self.flush()
            self.dedent()
        if shape.nullable:
            self.dedent()

    def _inline_row(self, shape: Shape, variable: str, label: str) -> None:
        if not shape.nullable:
            self.row(shape.of, variable, label)
            return
        self.flush()
        self.indent(f"if {variable} is None:")
        self.write(repr(b"\xff"))
        self.dedent("else:")
        self.write(repr(b"\x01"))
        self.row(shape.of, variable, label)
        self.flush()
        self.dedent()
