"""Ends the brokers of a test run that was itself ended without warning.

One helper process is started with the first broker.  It is told the process id
of every broker, and the folder to remove, through a pipe; when the pipe closes,
because this process ended in whatever way, it kills what is still registered.
(``PR_SET_PDEATHSIG`` would not do: it follows the *thread* that started the
child, and brokers are also started from worker threads.)
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from pathlib import Path

_CODE = r"""
import os, shutil, signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
pids, folders = set(), set()
for line in sys.stdin:
    verb, _, what = line.rstrip("\n").partition(" ")
    if verb == "+pid":
        pids.add(int(what))
    elif verb == "-pid":
        pids.discard(int(what))
    elif verb == "+dir":
        folders.add(what)
    elif verb == "-dir":
        folders.discard(what)
for pid in pids:
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass
for folder in folders:
    shutil.rmtree(folder, ignore_errors=True)
"""

_lock = threading.Lock()
_process: subprocess.Popen[str] | None = None


def _tell(line: str) -> None:
    global _process
    with _lock:
        if _process is None or _process.poll() is not None:
            _process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CODE],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
            # At an ordinary exit every broker has ended by then, and nothing is left to kill.
            atexit.register(close)
        assert _process.stdin is not None
        _process.stdin.write(line + "\n")
        _process.stdin.flush()


def watch_process(pid: int) -> None:
    """Kill the process group `pid` should this process end first."""
    _tell(f"+pid {pid}")


def forget_process(pid: int) -> None:
    """The process group `pid` has ended."""
    _tell(f"-pid {pid}")


def watch_folder(folder: Path) -> None:
    """Remove `folder` should this process end without doing so."""
    _tell(f"+dir {folder}")


def forget_folder(folder: Path) -> None:
    """`folder` has been removed, or is to stay."""
    _tell(f"-dir {folder}")


def close() -> None:
    """End the helper; whatever is still registered is ended with it."""
    global _process
    with _lock:
        if _process is not None:
            assert _process.stdin is not None
            _process.stdin.close()
            _process.wait()
            _process = None
