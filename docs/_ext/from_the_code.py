"""Parts of the documentation that are read from the code when it is built, so as not to go stale.

``.. state-machine:: module:TABLE``
    A table of legal transitions (state to a set of states) as a diagram in text.
``.. error-classes:: client`` or ``broker``
    The error classes of :mod:`aiokafka.errors` with their flags: the client's own, or those that
    stand for a broker's error code.
``.. toctree-if-any::``
    A ``toctree`` of what else is in the folder, or nothing.
``.. setting:: name`` and ``:setting:`name```
    A keyword of the configuration reference, and a link to it.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree
from sphinx.util.docutils import SphinxDirective

# Nothing but names, of which more follow in the next line.
_NAMES = re.compile(r" +(\w+, )*\w+,")

# The docstrings of the brokers' errors end with the name and the number of the code.
_CODE = re.compile(r" \([A-Z_]+, code -?\d+\)")

FLAGS = ("retriable", "invalid_metadata", "coordinator_gone", "abortable", "fatal")


def load(reference: str) -> Any:
    """The object that ``module:name`` names."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def ordered(states: Iterable[enum.Enum], table: Mapping[enum.Enum, Any]) -> list[enum.Enum]:
    """States in the order of their definition; a set has none of its own."""
    order = list(table)
    return sorted(states, key=order.index)


def diagram(table: Mapping[enum.Enum, Iterable[enum.Enum]]) -> list[str]:
    """Each state with an arrow to each state that may follow it."""
    width = max(len(state.name) for state in table)
    lines: list[str] = []
    for state, following in table.items():
        targets = ordered(following, table)
        # The usual way out is drawn like any other: the table does not rank them.
        if not targets:
            lines.append(f"{state.name.ljust(width)}     (the end)")
        for number, target in enumerate(targets):
            only, first, last = len(targets) == 1, number == 0, number == len(targets) - 1
            joint = "──" if only else "┬─" if first else "└─" if last else "├─"
            head = state.name.ljust(width) + " ─" if first else " " * (width + 2)
            again = "  (again)" if target is state else ""
            lines.append(f"{head}{joint}▶ {target.name}{again}")
        lines.append("")
    return lines[:-1]


class StateMachine(SphinxDirective):
    """``.. state-machine:: module:TABLE``"""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = "\n".join(diagram(load(self.arguments[0])))
        block = nodes.literal_block(text, text)
        block["language"] = "text"
        return [block]


def error_classes(broker: bool) -> list[type[BaseException]]:
    """The public error classes: those of the brokers by code, the others by name."""
    errors = importlib.import_module("aiokafka.errors")
    found = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    roots = {errors.KafkaError, errors.BrokerResponseError}
    # A timeout of ours may also be of the class of a broker's error, for old handlers' sake.
    answered = {
        cls
        for cls in found - roots
        if issubclass(cls, errors.BrokerResponseError)
        and not issubclass(cls, errors.KafkaTimeoutError)
    }
    if broker:
        return sorted(answered, key=lambda cls: (cls.errno, cls.__name__))
    return sorted(found - answered, key=lambda cls: (cls not in roots, cls.__name__))


class ErrorClasses(SphinxDirective):
    """``.. error-classes:: client`` or ``broker``"""

    required_arguments = 1
    has_content = False
    kinds: ClassVar = {"client": False, "broker": True}

    def run(self) -> list[nodes.Node]:
        broker = self.kinds[self.arguments[0]]
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
        header = ["Code", "Class", "Means", "Flags"] if broker else ["Class", "Means", "Flags"]
        rows = [header, *(self._row(cls, broker) for cls in error_classes(broker))]
        for row in rows:
            for number, cell in enumerate(row):
                lines.append(f"   {'* -' if number == 0 else '  -'} {cell}")
        lines.append("")
        return self.parse_text_to_nodes("\n".join(lines))

    @staticmethod
    def _row(cls: type[BaseException], broker: bool) -> list[str]:
        meaning = (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")
        meaning = _CODE.sub("", meaning)
        flags = [f"``{flag}``" for flag in FLAGS if getattr(cls, flag, False)]
        row = [f"``{cls.__name__}``", meaning or "\\", ", ".join(flags) or "\\"]
        return [str(getattr(cls, "errno", "")), *row] if broker else row


class TocTreeIfAny(TocTree):
    """``.. toctree-if-any::``"""

    def run(self) -> list[nodes.Node]:
        folder, _, this = self.env.docname.rpartition("/")
        others = [
            name
            for name in self.env.found_docs
            if name.rpartition("/")[0] == folder and name != f"{folder}/{this}"
        ]
        self.env.note_reread()  # pages come and go
        if not others:
            return []
        self.content = StringList(["*"], self.env.docname)
        self.options["glob"] = True
        return super().run()


def plain_sections(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Bring our docstrings into the form that napoleon reads.

    ``Parameters (all keyword):`` becomes a sentence and the section ``Parameters:``, and names of
    parameters that go on in the next line are joined.
    """
    result: list[str] = []
    for line in lines:
        text = line.lstrip()
        if text.startswith("Parameters (") and text.endswith("):"):
            indent = line[: len(line) - len(text)]
            remark = text.removeprefix("Parameters (").removesuffix("):")
            sentence = f"{remark[0].upper()}{remark[1:]}."
            result += [indent + sentence, "", f"{indent}Parameters:"]
        elif result and _NAMES.fullmatch(result[-1]):
            result[-1] = f"{result[-1]} {text}"
        else:
            result.append(line)
    lines[:] = result


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("state-machine", StateMachine)
    app.add_directive("error-classes", ErrorClasses)
    app.add_directive("toctree-if-any", TocTreeIfAny)
    app.add_object_type("setting", "setting", indextemplate="pair: %s; setting")
    # Before napoleon, which reads the sections.
    app.connect("autodoc-process-docstring", plain_sections, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
