"""Clusters of real Kafka brokers on the loopback interface.

    with KafkaCluster() as kafka:
        kafka.bootstrap                    # "127.0.0.1:23456"

    with KafkaCluster(3) as kafka:         # replication factor 3, min.insync.replicas 2
        kafka.brokers[1].freeze()
        kafka.brokers[1].thaw()
        kafka.brokers[2].kill()
        kafka.brokers[2].start()

One broker is its own controller (node id 0).  More brokers (node ids 0, 1, ...)
have a controller process beside them (node id 100), so that any of them can be
killed or frozen without taking the quorum along.

Every broker has the listeners

* ``PLAINTEXT``, the one of `bootstrap`;
* ``PROXIED``, plain text too, whose advertised address is the port where a test
  may run a `Proxy` (see `KafkaCluster.proxy`): a client that bootstraps through
  the proxy goes through the proxies for everything;
* and those asked for in `listeners`: ``SSL``, ``SASL_PLAINTEXT``, ``SASL_SSL``,
  with SASL PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 for the users in `users`.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from . import probe, reaper
from .certs import Certificates
from .fetch import ensure_libs, find_java
from .node import START_TIMEOUT, TEST_JVM_OPTIONS, BrokerError, Java, KafkaNode
from .ports import free_port
from .proxy import Proxy
from .truth import Truth

CONTROLLER_ID = 100
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

# The user every SASL listener knows; a super user, as is everybody without SASL.
ADMIN_USER, ADMIN_PASSWORD = "admin", "admin-secret"

_PROTOCOLS = {
    "PLAINTEXT": "PLAINTEXT",
    "PROXIED": "PLAINTEXT",
    "CONTROLLER": "PLAINTEXT",
    "SSL": "SSL",
    "SASL_PLAINTEXT": "SASL_PLAINTEXT",
    "SASL_SSL": "SASL_SSL",
}


_living: list[KafkaCluster] = []


def living_clusters() -> list[KafkaCluster]:
    """The clusters of this process that have been started and not stopped."""
    return list(_living)


def _random_id() -> str:
    """A random UUID in Kafka's notation: base64 without padding, not starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text


class KafkaCluster:
    """`n` brokers of a real Kafka, started by `start` (or ``with``) and ended by `stop`.

    `properties` are broker settings on top of the harness's own, `broker_properties`
    the same for single node ids.  `listeners` are further listeners, `users` the
    names and passwords that SASL accepts besides ``admin``.

    Raises `KafkaUnavailableError` from the constructor when Java or Maven is missing.
    """

    def __init__(
        self,
        n: int = 1,
        *,
        properties: Mapping[str, object] | None = None,
        broker_properties: Mapping[int, Mapping[str, object]] | None = None,
        listeners: Sequence[str] = (),
        users: Mapping[str, str] | None = None,
        jvm_options: Sequence[str] = TEST_JVM_OPTIONS,
        version: str | None = None,
    ) -> None:
        self.cluster_id = _random_id()
        self.users = {ADMIN_USER: ADMIN_PASSWORD, **(users or {})}
        self.keep = bool(os.environ.get("KAFKA_KEEP"))
        java, libs = find_java(), ensure_libs(version)
        self.folder = Path(tempfile.mkdtemp(prefix="aiokafka-test-kafka-"))
        if not self.keep:
            reaper.watch_folder(self.folder)
        atexit.register(self.stop)
        self._java = Java(java, libs, self.folder)
        self._formatted = False
        names = ["PLAINTEXT", "PROXIED", *listeners]
        self._tls = any(name.endswith("SSL") for name in names)
        self._sasl = any(name.startswith("SASL") for name in names)
        self._certificates = Certificates.make(self.folder / "certs") if self._tls else None
        self._controller_port = free_port()
        self._proxied_ports: dict[int, int] = {}
        self._jvm_options = jvm_options
        self._extra = {key: str(value) for key, value in (properties or {}).items()}
        self._n = n
        self.controller: KafkaNode
        self.brokers: list[KafkaNode] = []
        if n == 1:
            only = self._node(0, "broker,controller", names, (broker_properties or {}).get(0, {}))
            self.controller = only
            self.brokers = [only]
        else:
            self.controller = self._node(CONTROLLER_ID, "controller", [], {})
            for node_id in range(n):
                extra = (broker_properties or {}).get(node_id, {})
                self.brokers.append(self._node(node_id, "broker", names, extra))
        self.truth = Truth(self.brokers)

    # -- description -----------------------------------------------------------------------

    @property
    def nodes(self) -> list[KafkaNode]:
        """Every process: the controller first."""
        return [self.controller, *(node for node in self.brokers if node is not self.controller)]

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers of the plain-text listeners."""
        return self.bootstrap_of("PLAINTEXT")

    def bootstrap_of(self, listener: str) -> str:
        """Bootstrap servers of another listener, such as ``SASL_SSL``."""
        return ",".join(broker.address(listener) for broker in self.brokers)

    @property
    def proxied_bootstrap(self) -> str:
        """Where the proxies of all brokers listen, as soon as a test has started them."""
        return ",".join(f"127.0.0.1:{self._proxied_ports[b.node_id]}" for b in self.brokers)

    @property
    def certificates(self) -> Certificates:
        """Certificates of the TLS listeners (`ValueError` for a cluster without one)."""
        if self._certificates is None:
            raise ValueError("this cluster has no TLS listener")
        return self._certificates

    def proxy(self, node_id: int = 0) -> Proxy:
        """A proxy (not started yet) in front of a broker's ``PROXIED`` listener."""
        broker = self.brokers[node_id]
        return Proxy(
            ("127.0.0.1", broker.listeners["PROXIED"]),
            port=self._proxied_ports[broker.node_id],
        )

    # -- configuration ---------------------------------------------------------------------

    def _node(
        self, node_id: int, roles: str, names: Sequence[str], extra: Mapping[str, object]
    ) -> KafkaNode:
        ports = {name: free_port() for name in names}
        if "controller" in roles:
            ports["CONTROLLER"] = self._controller_port
        properties = {
            "process.roles": roles,
            "node.id": str(node_id),
            "controller.quorum.voters": (
                f"{0 if self._n == 1 else CONTROLLER_ID}@127.0.0.1:{self._controller_port}"
            ),
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in _PROTOCOLS.items()
            ),
            **self._common_properties(),
        }
        if "broker" in roles:
            self._proxied_ports[node_id] = free_port()
            properties |= self._broker_only_properties(node_id, ports)
        if self._certificates is not None:
            properties |= self._certificates.broker_properties()
        if self._sasl:
            properties |= self._sasl_properties(names)
        properties |= self._extra
        properties |= {key: str(value) for key, value in extra.items()}
        return KafkaNode(
            node_id, self._java, self.folder / f"node-{node_id}", properties, ports,
            self._jvm_options,
        )  # fmt: skip

    def _common_properties(self) -> dict[str, str]:
        factor, in_sync = (3, 2) if self._n >= 3 else (1, 1)
        return {
            # Kafka's own values are 9 s and 2 s.  A killed broker keeps its leaderships, and is
            # not let in again, until its session is over: shorter ones make for shorter tests.
            "broker.session.timeout.ms": "6000" if self._n == 1 else "4000",
            "broker.heartbeat.interval.ms": "1000" if self._n == 1 else "500",
            "num.partitions": "2",
            "auto.create.topics.enable": "true",
            "delete.topic.enable": "true",
            "default.replication.factor": str(factor),
            "min.insync.replicas": str(in_sync),
            "offsets.topic.replication.factor": str(factor),
            "offsets.topic.num.partitions": "5",
            "transaction.state.log.replication.factor": str(factor),
            "transaction.state.log.min.isr": str(in_sync),
            "transaction.state.log.num.partitions": "5",
            "share.coordinator.state.topic.replication.factor": str(factor),
            "share.coordinator.state.topic.min.isr": str(in_sync),
            "group.initial.rebalance.delay.ms": "0",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
            "super.users": f"User:{ADMIN_USER};User:ANONYMOUS",
        }

    def _broker_only_properties(self, node_id: int, ports: Mapping[str, int]) -> dict[str, str]:
        advertised = []
        for name, port in ports.items():
            if name == "PROXIED":
                port = self._proxied_ports[node_id]
            if name != "CONTROLLER":
                host = "localhost" if name.endswith("SSL") else "127.0.0.1"
                advertised.append(f"{name}://{host}:{port}")
        return {
            "advertised.listeners": ",".join(advertised),
            "inter.broker.listener.name": "PLAINTEXT",
        }

    def _sasl_properties(self, names: Sequence[str]) -> dict[str, str]:
        module = "org.apache.kafka.common.security"
        users = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        plain = f"{module}.plain.PlainLoginModule required {users};"
        scram = f"{module}.scram.ScramLoginModule required;"
        properties = {"sasl.enabled.mechanisms": ",".join(SASL_MECHANISMS)}
        for name in names:
            if name.startswith("SASL"):
                prefix = f"listener.name.{name.lower()}"
                properties[f"{prefix}.plain.sasl.jaas.config"] = plain
                properties[f"{prefix}.scram-sha-256.sasl.jaas.config"] = scram
                properties[f"{prefix}.scram-sha-512.sasl.jaas.config"] = scram
        return properties

    # -- life and death --------------------------------------------------------------------

    def _format(self) -> None:
        """Make the data folders, with the SCRAM users in the first metadata records."""
        scram = []
        if self._sasl:
            for mechanism in SASL_MECHANISMS[1:]:
                for name, password in self.users.items():
                    scram += ["--add-scram", f"{mechanism}=[name={name},password={password}]"]
        self._java.run(
            "kafka.tools.StorageTool", "format",
            "--cluster-id", self.cluster_id,
            "--config", str(self.controller.properties_path),
            *scram,
        )  # fmt: skip
        for node in self.nodes[1:]:
            # All that a broker's formatted folder has of its own is this file; a Java process
            # for each would only cost time.
            node.data_dir.mkdir()
            (node.data_dir / "meta.properties").write_text(
                f"version=1\ncluster.id={self.cluster_id}\n"
                f"node.id={node.node_id}\ndirectory.id={_random_id()}\n"
            )
        self._formatted = True

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Format the storage at the first call, start what is down, wait until all are ready."""
        if not self._formatted:
            self._format()
        for node in self.nodes:
            if not node.running:
                node.launch()
        try:
            self.wait_ready(timeout)
        except BaseException:
            self.stop()
            raise
        if self not in _living:
            _living.append(self)

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until every broker answers and lists all the others as alive."""
        wanted = {broker.node_id for broker in self.brokers}

        def lists_all(broker: KafkaNode) -> None:
            broker.wait_for(
                lambda: (
                    {b.node_id for b in probe.living_brokers("127.0.0.1", broker.port)} == wanted
                ),
                what="in a complete cluster",
                timeout=timeout,
            )

        with ThreadPoolExecutor(len(self.brokers)) as pool:
            for done in [pool.submit(lists_all, broker) for broker in self.brokers]:
                done.result()

    @property
    def healthy(self) -> bool:
        """Whether every process runs, none frozen."""
        return all(node.running and not node.frozen for node in self.nodes)

    def heal(self, timeout: float = START_TIMEOUT) -> None:
        """Thaw and start whatever a test left frozen or down; wait until all are ready."""
        for node in self.nodes:
            if node.frozen:
                node.thaw()
            if not node.running:
                node.launch()
        self.wait_ready(timeout)

    def stop(self) -> None:
        """Kill every process and remove their data (kept when ``KAFKA_KEEP`` is set)."""
        atexit.unregister(self.stop)
        if self in _living:
            _living.remove(self)
        self.truth.close()
        for node in self.nodes:
            node.kill()
        if self.keep:
            print(f"Kafka's data and logs are kept in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            reaper.forget_folder(self.folder)

    def __enter__(self) -> KafkaCluster:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @contextlib.contextmanager
    def frozen(self, *node_ids: int) -> Iterator[None]:
        """Brokers frozen for the length of a ``with`` block."""
        brokers = [self.brokers[node_id] for node_id in node_ids]
        try:
            for broker in brokers:
                broker.freeze()
            yield
        finally:
            for broker in brokers:
                if broker.frozen:
                    broker.thaw()

    # -- Kafka's own tools -----------------------------------------------------------------

    def tool(self, main_class: str, *args: str) -> str:
        """Run one of Kafka's command-line tools, for what no client offers; about a second.

        For example ``tool("kafka.admin.ConfigCommand", "--alter", ...)``; the
        bootstrap address is added.  Returns what it printed, `BrokerError` on failure.
        """
        return self._java.run(main_class, "--bootstrap-server", self.bootstrap, *args)

    def java_command(self, source: Path, *args: str) -> list[str]:
        """The command line that runs a Java program of one file with Kafka's class path.

        The bootstrap address is its first argument, then `args`.
        """
        return self._java.tool_command(str(source), self.bootstrap, *args)

    def logs(self, lines: int = 60) -> str:
        """The end of every process's log, for the report of a failure."""
        return "\n".join(
            f"--- node {node.node_id} ---\n{node.log_tail(lines)}" for node in self.nodes
        )


__all__ = ["BrokerError", "KafkaCluster", "KafkaNode"]
