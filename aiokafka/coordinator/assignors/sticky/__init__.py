"""The sticky assignor: members keep what they have as far as balance allows (KIP-54).

Pure: no sockets, no clock, no tasks, no futures.
"""

from __future__ import annotations
