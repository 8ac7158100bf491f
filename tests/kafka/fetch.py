"""Fetches the jars of a Kafka release through Maven.

The jars land in ``.kafka/libs`` at the top of the repository (git-ignored); a
release other than the default one, chosen by ``KAFKA_VERSION``, lands in
``.kafka/libs-<version>``.  A stamp file beside the folder records what is in it,
so a second call costs nothing.  Only the standard library is used, so that the
module also runs outside the virtual environment::

    python tests/kafka/fetch.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

DEFAULT_VERSION = "4.3.1"
MINIMUM_JAVA = 17
ROOT = Path(__file__).resolve().parents[2]

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>aiokafka.tests</groupId>
  <artifactId>kafka-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""
_DEPENDENCY = """\
    <dependency>
      <groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>
    </dependency>"""

_WITHOUT = """\
These work without Java and Maven: make demo, make test-unit, make lint, make types, make docs."""


class KafkaUnavailableError(RuntimeError):
    """A real broker cannot be run here; the message says what to install."""


def kafka_version() -> str:
    """The Kafka release under test: ``KAFKA_VERSION``, or the default one."""
    return os.environ.get("KAFKA_VERSION") or DEFAULT_VERSION


def libs_dir(version: str | None = None) -> Path:
    """Where the jars of `version` are kept, whether or not they are there yet."""
    version = version or kafka_version()
    name = "libs" if version == DEFAULT_VERSION else f"libs-{version}"
    return ROOT / ".kafka" / name


def find_java() -> str:
    """Path of a ``java`` that is new enough (`KafkaUnavailableError` otherwise)."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    candidates.append("java")
    java = next((path for name in candidates if (path := shutil.which(name))), None)
    if java is None:
        raise KafkaUnavailableError(
            "Java was not found: the integration tests start a real Kafka broker, which needs "
            f"Java {MINIMUM_JAVA} or newer.\n"
            "Install it (Debian and Ubuntu: apt-get install openjdk-17-jre-headless; Fedora: "
            "dnf install java-21-openjdk-headless; macOS: brew install openjdk), "
            "or set JAVA_HOME.\n" + _WITHOUT
        )
    asked = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    banner = asked.stderr + asked.stdout
    major = _java_major(banner)
    if major < MINIMUM_JAVA:
        said = banner.strip().splitlines()[0] if banner.strip() else "nothing"
        raise KafkaUnavailableError(
            f"Java {MINIMUM_JAVA} or newer is needed to run a Kafka broker; {java} says: {said}.\n"
            f"Install a newer one, or point JAVA_HOME at it.\n{_WITHOUT}"
        )
    return java


def _java_major(banner: str) -> int:
    """Major version out of ``java -version``: ``"17.0.15"`` -> 17, ``"1.8.0"`` -> 8."""
    _, _, rest = banner.partition('"')
    parts = rest.partition('"')[0].replace("-", ".").replace("_", ".").split(".")
    numbers = [int(part) for part in parts if part.isdigit()]
    if not numbers:
        return 0
    if numbers[0] == 1 and len(numbers) > 1:
        return numbers[1]
    return numbers[0]


def find_maven() -> str:
    """Path of ``mvn`` (`KafkaUnavailableError` when there is none)."""
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            "Maven was not found: the integration tests fetch Kafka "
            f"{kafka_version()} with it, once.\n"
            "Install it (Debian and Ubuntu: apt-get install maven; Fedora: dnf install maven; "
            "macOS: brew install maven).\n" + _WITHOUT
        )
    return maven


def _dependencies(version: str) -> list[tuple[str, str, str]]:
    wanted = [
        ("org.apache.kafka", "kafka_2.13", version),
        ("org.apache.kafka", "kafka-tools", version),
    ]
    if int(version.split(".")[0]) >= 4:
        # Kafka logs through slf4j and its published artifacts bring no binding: without this
        # one the broker would be silent, and a failed test would have no log to show.
        wanted.append(("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"))
    return wanted


def ensure_libs(version: str | None = None) -> Path:
    """Fetch the jars of `version` unless they are already here; return their folder.

    Raises `KafkaUnavailableError` when Maven is missing or could not fetch them.
    """
    version = version or kafka_version()
    libs = libs_dir(version)
    dependencies = _dependencies(version)
    stamp = libs.with_name(libs.name + ".stamp")
    content = "".join(f"{':'.join(dependency)}\n" for dependency in dependencies)
    if stamp.is_file() and stamp.read_text() == content and any(libs.glob("*.jar")):
        return libs
    maven = find_maven()
    stamp.unlink(missing_ok=True)
    shutil.rmtree(libs, ignore_errors=True)
    libs.parent.mkdir(parents=True, exist_ok=True)
    pom = libs.with_name(libs.name + ".pom.xml")
    pom.write_text(
        _POM.format(dependencies="\n".join(_DEPENDENCY.format(*d) for d in dependencies))
    )
    command = [
        maven,
        "--batch-mode",
        "--quiet",
        f"--file={pom}",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={libs}",
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(libs, ignore_errors=True)
        raise KafkaUnavailableError(
            f"Maven could not fetch Kafka {version} (exit status {done.returncode}):\n"
            f"{done.stdout[-4000:]}\n{_WITHOUT}"
        )
    stamp.write_text(content)
    return libs


def main() -> int:
    try:
        java = find_java()
        libs = ensure_libs()
    except KafkaUnavailableError as exc:
        print(exc, file=sys.stderr)
        return 1
    jars = len(list(libs.glob("*.jar")))
    print(f"Kafka {kafka_version()}: {jars} jars in {libs.relative_to(ROOT)}, run with {java}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
