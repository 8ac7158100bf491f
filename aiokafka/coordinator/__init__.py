"""What a consumer group agrees on: its embedded protocol, and how partitions are shared out.

Pure: no sockets, no clock, no tasks, no futures.
"""

from __future__ import annotations
