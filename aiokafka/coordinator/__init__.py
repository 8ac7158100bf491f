"""What a consumer group agrees on: its embedded protocol, and how partitions are shared out.

Pure: no sockets, no clock, no tasks, no futures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka._on_demand import on_demand, submodules

if not TYPE_CHECKING:
    __getattr__ = on_demand(__name__, submodules(__name__, "assignors", "protocol"))
