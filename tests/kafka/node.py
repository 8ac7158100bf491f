"""One Kafka process: a broker, a controller, or both in one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import probe, reaper

# Client compiler only and the simplest collector: a broker that starts quickly and stays small
# beside the tests, on a machine of two cores.
TEST_JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# What a broker is run with when its speed matters.
SERVER_JVM_OPTIONS = ("-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")

START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0

_LOG4J2 = """\
rootLogger.level = {level}
rootLogger.appenderRef.stdout.ref = STDOUT
appender.stdout.type = Console
appender.stdout.name = STDOUT
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{{HH:mm:ss.SSS}} %-5p %m (%c{{1}})%n
"""
_LOG4J1 = """\
log4j.rootLogger={level}, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d{{HH:mm:ss,SSS}} %-5p %m (%c{{1}})%n
"""


class BrokerError(RuntimeError):
    """A broker did not do as it was told; the message has the end of its log."""


class Java:
    """How Java is started: which one, with which class path and logging set-up."""

    def __init__(self, java: str, libs: Path, folder: Path) -> None:
        self._java = java
        self._libs = libs
        self._folder = folder
        self._broker_logging = self._logging(os.environ.get("KAFKA_LOG_LEVEL", "INFO"))
        self._tool_logging = self._logging("ERROR")

    def _logging(self, level: str) -> tuple[str, ...]:
        log4j2 = self._folder / f"log4j2-{level}.properties"
        log4j2.write_text(_LOG4J2.format(level=level.lower()))
        log4j1 = self._folder / f"log4j-{level}.properties"
        log4j1.write_text(_LOG4J1.format(level=level))
        return (
            f"-Dlog4j2.configurationFile={log4j2}",
            f"-Dlog4j.configuration=file:{log4j1}",
        )

    def broker_command(self, properties: Path, options: Sequence[str]) -> list[str]:
        """The command line that runs a Kafka process."""
        return self._command("kafka.Kafka", (str(properties),), (*options, *self._broker_logging))

    def _command(self, main_class: str, args: Sequence[str], options: Sequence[str]) -> list[str]:
        return [
            self._java,
            *options,
            "-Djava.awt.headless=true",
            "-XX:+ExitOnOutOfMemoryError",
            "-cp",
            f"{self._libs}/*",
            main_class,
            *args,
        ]

    def tool_command(self, main_class: str, *args: str) -> list[str]:
        """The command line of a tool, or of a program whose ``.java`` file `main_class` names."""
        return self._command(main_class, args, (*TEST_JVM_OPTIONS, *self._tool_logging))

    def run(self, main_class: str, *args: str, timeout: float = 60.0) -> str:
        """Run a command-line tool of Kafka's to its end; return what it printed."""
        done = subprocess.run(
            self.tool_command(main_class, *args),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise BrokerError(f"{main_class} {' '.join(args)}: {done.stdout[-4000:]}")
        return done.stdout


class KafkaNode:
    """A Kafka process with its properties, data folder, ports and log.

    `listeners` maps the names of the listeners to their ports.  The properties
    can be changed through `properties` while the process is down.  `start`,
    `stop` and `restart` block; the variants that end in ``_async`` do the same
    in a worker thread, so that the event loop of a test goes on.
    """

    def __init__(
        self,
        node_id: int,
        java: Java,
        folder: Path,
        properties: dict[str, str],
        listeners: dict[str, int],
        jvm_options: Sequence[str] = TEST_JVM_OPTIONS,
    ) -> None:
        self.node_id = node_id
        self.properties = properties
        self.listeners = listeners
        self.folder = folder
        self.log_path = folder / "kafka.log"
        self.data_dir = folder / "data"
        self._java = java
        self._jvm_options = tuple(jvm_options)
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False
        folder.mkdir(parents=True, exist_ok=True)
        properties["log.dirs"] = str(self.data_dir)
        self.write_properties()

    def __repr__(self) -> str:
        state = "frozen" if self._frozen else "running" if self.running else "down"
        return f"<{type(self).__name__} {self.node_id} {self.listeners} {state}>"

    # -- what it is ------------------------------------------------------------------------

    @property
    def is_broker(self) -> bool:
        """Whether clients can talk to it (a controller by itself has no client listener)."""
        return "PLAINTEXT" in self.listeners

    @property
    def port(self) -> int:
        """Port of the plain-text listener."""
        return self.listeners["PLAINTEXT"]

    @property
    def bootstrap(self) -> str:
        """``host:port`` of the plain-text listener."""
        return f"127.0.0.1:{self.port}"

    def address(self, listener: str) -> str:
        """``host:port`` of one of its listeners (TLS ones by the name in their certificate)."""
        host = "localhost" if listener.endswith("SSL") else "127.0.0.1"
        return f"{host}:{self.listeners[listener]}"

    @property
    def pid(self) -> int:
        """Process id; `BrokerError` when it is down."""
        if self._process is None:
            raise BrokerError(f"node {self.node_id} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether there is a process, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def frozen(self) -> bool:
        """Whether the process was stopped by `freeze` and not thawed since."""
        return self._frozen

    @property
    def properties_path(self) -> Path:
        return self.folder / "server.properties"

    def write_properties(self) -> None:
        """Write `properties` to the file that the process reads at its next start."""
        lines = [f"{key}={value}\n" for key, value in self.properties.items()]
        self.properties_path.write_text("".join(lines))

    def log_tail(self, lines: int = 60, since: int = 0) -> str:
        """The last `lines` lines of the log, of what was written after byte `since`."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(since)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def log_size(self) -> int:
        """Size of the log so far, in bytes; for `log_tail`."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    # -- life and death --------------------------------------------------------------------

    def launch(self) -> None:
        """Start the process without waiting for it to be ready."""
        if self.running:
            raise BrokerError(f"node {self.node_id} is already running")
        self.write_properties()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._java.broker_command(self.properties_path, self._jvm_options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        self._frozen = False
        reaper.watch_process(self._process.pid)

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until it answers ApiVersions and finds itself alive in the metadata."""
        if not self.is_broker:
            return
        self.wait_for(
            self._answers,
            what="ready",
            timeout=timeout,
        )

    def _answers(self) -> bool:
        return any(
            broker.node_id == self.node_id
            for broker in probe.living_brokers("127.0.0.1", self.port)
        )

    def wait_for(self, condition: Callable[[], bool], *, what: str, timeout: float) -> None:
        """Poll `condition` until it holds; a `probe.ProbeError` out of it means not yet.

        Raises `BrokerError`, with the end of the log, when the time is up or the process ended.
        """
        last: object = "no answer"
        give_up = time.monotonic() + timeout
        while time.monotonic() < give_up:
            if not self.running:
                status = self._process.returncode if self._process else "never started"
                raise BrokerError(
                    f"node {self.node_id} ended (status {status}) before it was {what}; its log:\n"
                    + self.log_tail()
                )
            try:
                if condition():
                    return
                last = "condition not met"
            except probe.ProbeError as exc:
                last = exc
            time.sleep(0.02)
        raise BrokerError(
            f"node {self.node_id} was not {what} within {timeout:.0f} s ({last}); its log:\n"
            + self.log_tail()
        )

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.wait_ready(timeout)

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Shut it down in an orderly way (SIGTERM): leaders move away first."""
        if self._process is None:
            return
        if self._frozen:
            self.thaw()
        if self.running:
            self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            tail = self.log_tail()
            self.kill()
            raise BrokerError(
                f"node {self.node_id} did not shut down within {timeout:.0f} s:\n{tail}"
            ) from None
        self._ended()

    def kill(self) -> None:
        """End it at once (SIGKILL), frozen or not; returns when the process is gone."""
        if self._process is None:
            return
        if self.running:
            self._process.kill()
        self._process.wait()
        self._ended()

    def _ended(self) -> None:
        assert self._process is not None
        reaper.forget_process(self._process.pid)
        self._process = None
        self._frozen = False

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        # The signal takes effect a moment later: wait until every thread stands still.
        os.waitpid(self.pid, os.WUNTRACED)
        self._frozen = True

    def thaw(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)
        self._frozen = False

    def restart(self, *, graceful: bool = True, timeout: float = START_TIMEOUT) -> None:
        """Stop (or, not `graceful`, kill) it and start it again on the same ports and data."""
        if graceful:
            self.stop()
        else:
            self.kill()
        self.start(timeout)

    async def start_async(self, timeout: float = START_TIMEOUT) -> None:
        """`start`, in a worker thread."""
        await asyncio.to_thread(self.start, timeout)

    async def stop_async(self, timeout: float = STOP_TIMEOUT) -> None:
        """`stop`, in a worker thread."""
        await asyncio.to_thread(self.stop, timeout)

    async def restart_async(
        self, *, graceful: bool = True, timeout: float = START_TIMEOUT
    ) -> None:
        """`restart`, in a worker thread."""
        await asyncio.to_thread(self.restart, graceful=graceful, timeout=timeout)
