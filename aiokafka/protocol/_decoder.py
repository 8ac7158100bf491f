"""Generates the decoder of a schema; see :mod:`aiokafka.protocol._codegen`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._shape import BLOB, FIXED, FOREIGN, MANY, ROW, TAGS, TEXT, UUID, UVARINT, VARINT, Shape
from ._source import SIZES, Source

if TYPE_CHECKING:
    from .types import Schema

# Arrays of fewer numbers than this have a ready-made unpacker.
_SMALL_ARRAY = 9


class Decoder(Source):
    """Generates ``run(buf, pos)``."""

    def compile(self, schema: Schema, label: str) -> Callable[..., Any]:
        self.names["LABEL"] = label
        self.names["struct_error"] = struct.error
        result = self.row(schema, label)
        self.flush()
        head = "def run(buf, pos):\n    end = len(buf)\n    try:"
        tail = (
            "        pass\n"
            "    except (struct_error, IndexError) as exc:\n"
            "        rt.truncated(LABEL, exc)\n"
            f"    return {result}, pos"
        )
        return self.build(head, tail)

    def take(self, code: str) -> str:
        variable = self.fresh("x")
        self._pending.append((code, variable))
        return variable

    def flush(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        if len(pending) == 1 and pending[0][0] == "B":
            self.line(f"{pending[0][1]} = buf[pos]; pos += 1")
            return
        unpacker = struct.Struct(">" + "".join(code for code, _ in pending))
        unpack = self.constant("unpack", unpacker.unpack_from)
        variables = ", ".join(variable for _, variable in pending)
        self.line(f"{variables}, = {unpack}(buf, pos); pos += {unpacker.size}")

    def uvarint(self) -> str:
        variable = self.take("B")
        self.flush()
        self.indent(f"if {variable} > 127:")
        self.line(f"{variable}, pos = rt.more_uvarint(buf, pos, {variable})")
        self.dedent()
        return variable

    def row(self, schema: Schema, label: str) -> str:
        """Emit the reading of a row; the expression of its tuple, valid after a flush."""
        tagged = len(schema.names) - len(schema.tags)
        values = [
            self.value(shape, f"{label}.{name}")
            for name, shape in zip(schema.names[:tagged], schema.shapes, strict=False)
        ]
        if schema.is_flexible:
            values += self.tag_section(schema, tagged, label)
        return f"({', '.join(values)},)" if values else "()"

    def tag_section(self, schema: Schema, first: int, label: str) -> list[str]:
        count = self.take("B")
        self.flush()
        if not schema.tags:
            self.indent(f"if {count}:")
            self.line(f"pos = rt.skip_tags(buf, pos, end, {count})")
            self.dedent()
            return []
        variables = []
        for _, default in schema.tags:
            variables.append(variable := self.fresh("t"))
            value = "[]" if default == [] else self.constant("default", default)
            self.line(f"{variable} = {value}")
        stop = self.fresh("e")
        self.indent(f"if {count} > 127:")
        self.line(f"{count}, pos = rt.more_uvarint(buf, pos, {count})")
        self.dedent()
        self.indent(f"for _ in range({count}):")
        self.line("tag, pos = rt.read_uvarint(buf, pos)")
        self.line(f"{stop}, pos = rt.read_uvarint(buf, pos); {stop} += pos")
        self.indent(f"if {stop} > end:")
        self.line(f"rt.truncated({label!r})")
        self.dedent()
        keyword = "if"
        for index, (tag, _) in enumerate(schema.tags):
            name = f"{label}.{schema.names[first + index]}"
            self.indent(f"{keyword} tag == {tag}:")
            result = self.value(schema.shapes[first + index], name)
            self.flush()
            self.line(f"{variables[index]} = {result}")
            self.indent(f"if pos != {stop}:")
            self.line(f"rt.bad_length({name!r}, {stop} - pos)")
            self.dedent()
            self.dedent()
            keyword = "elif"
        self.line(f"pos = {stop}")
        self.dedent()
        return variables

    def value(self, shape: Shape, label: str) -> str:
        """Emit the reading of one value; the expression that holds it after a flush."""
        kind = shape.kind
        if kind == FIXED:
            return self.take(shape.code)
        if kind == UUID:
            raw = self.take("16s")
            return f"rt.read_uuid({raw})"
        if kind in (TEXT, BLOB):
            return self._sized(shape, label)
        if kind == MANY:
            return self._array(shape, label)
        if kind == ROW:
            return self._inline_row(shape, label)
        if kind == UVARINT:
            return self.uvarint()
        self.flush()
        variable = self.fresh("x")
        source = {
            VARINT: f"rt.read_varint(buf, pos, {shape.code or 32})",
            TAGS: "rt.read_tags(buf, pos, end)",
            FOREIGN: "",
        }[kind]
        if kind == FOREIGN:
            source = f"rt.read_foreign({self.constant('foreign', shape.of)}, buf, pos)"
        self.line(f"{variable}, pos = {source}")
        return variable

    def _length(self, shape: Shape, code: str, label: str, result: str) -> str:
        """Emit the reading of a length and what a null means; opens an ``else`` when nullable."""
        if shape.compact:
            size = self.uvarint()
            null, impossible = f"if not {size}:", ""
        else:
            size = self.take(code)
            self.flush()
            null, impossible = (
                f"if {size} < 0:",
                f"if {size} != -1: rt.bad_length({label!r}, {size})",
            )
        self.indent(null)
        if impossible:
            self.line(impossible)
        self.line(f"{result} = None" if shape.nullable else f"rt.bad_null({label!r})")
        self.dedent()
        if shape.nullable:
            self.indent("else:")
        return f"{size} - 1" if shape.compact else size

    def _sized(self, shape: Shape, label: str) -> str:
        result, stop = self.fresh("x"), self.fresh("e")
        size = self._length(shape, "h" if shape.kind == TEXT else "i", label, result)
        self.line(f"{stop} = pos + {size}")
        self.indent(f"if {stop} > end:")
        self.line(f"rt.truncated({label!r})")
        self.dedent()
        if shape.kind == TEXT:
            value = f"str(buf[pos:{stop}], {shape.encoding!r})"
        else:
            value = f"bytes(buf[pos:{stop}])"
        self.line(f"{result} = {value}; pos = {stop}")
        if shape.nullable:
            self.dedent()
        return result

    def _array(self, shape: Shape, label: str) -> str:
        element: Shape = shape.of
        result, count = self.fresh("x"), self.fresh("n")
        size = self._length(shape, "i", label, result)
        self.line(f"{count} = {size}")
        # A count that the rest of the buffer cannot hold is refused before anything is allocated.
        smallest = max(1, element.min_size())
        need = count if smallest == 1 else f"{count} * {smallest}"
        self.indent(f"if {need} > end - pos:")
        self.line(f"rt.bad_length({label!r}, {count})")
        self.dedent()
        if element.kind == FIXED:
            self._fixed_array(element, result, count)
        else:
            add = self.fresh("add")
            self.line(f"{result} = []; {add} = {result}.append")
            self.indent(f"for _ in range({count}):")
            value = self.value(element, label)
            self.flush()
            self.line(f"{add}({value})")
            self.dedent()
        if shape.nullable:
            self.dedent()
        return result

    def _fixed_array(self, element: Shape, result: str, count: str) -> None:
        code = element.code
        size = SIZES[code]
        small = f"small_{ord(code)}"
        if small not in self.names:
            self.names[small] = tuple(
                struct.Struct(f">{n}{code}").unpack_from for n in range(_SMALL_ARRAY)
            )
        self.indent(f"if {count} < {_SMALL_ARRAY}:")
        self.line(f"{result} = list({small}[{count}](buf, pos))")
        self.dedent("else:")
        self.line(f"{result} = rt.read_many_fixed({code!r}, {size}, {count}, buf, pos)")
        self.dedent()
        self.line(f"pos += {size} * {count}")

    def _inline_row(self, shape: Shape, label: str) -> str:
        if not shape.nullable:
            return self.row(shape.of, label)
        self.flush()
        result, flag = self.fresh("x"), self.take("b")
        self.flush()
        self.indent(f"if {flag} < 0:")
        self.line(f"{result} = None")
        self.dedent("else:")
        value = self.row(shape.of, label)
        self.flush()
        self.line(f"{result} = {value}")
        self.dedent()
        return result
