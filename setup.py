"""Builds the compiled parts; everything else is in pyproject.toml.

The extensions are optional: without a working C compiler, or with
AIOKAFKA_NO_EXTENSIONS set, the package is installed as plain Python.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CRECORDS = "aiokafka/record/_crecords"

# C sources compiled into an extension besides its own .pyx.
EXTRA_SOURCES = {"aiokafka.record._crecords.cutil": [f"{CRECORDS}/crc32c.c"]}

# Set in CI and when wheels are built: there, a missing extension is a bug.
REQUIRED = bool(os.environ.get("AIOKAFKA_REQUIRE_EXTENSIONS"))


def warn(reason: object) -> None:
    print(
        "*" * 75,
        "WARNING: aiokafka is installed WITHOUT some of its compiled extensions.",
        "It works the same, but records are encoded and decoded several times slower.",
        f"Reason: {reason}",
        "*" * 75,
        sep="\n",
        file=sys.stderr,
    )


def extensions() -> list[Extension]:
    """The extensions to build, translated by Cython; none when that is not possible."""
    if os.environ.get("AIOKAFKA_NO_EXTENSIONS"):
        return []
    found = []
    for path in sorted(ROOT.glob("aiokafka/**/*.pyx")):
        source = path.relative_to(ROOT).as_posix()
        name = source.removesuffix(".pyx").replace("/", ".")
        found.append(
            Extension(
                name,
                [source, *EXTRA_SOURCES.get(name, ())],
                include_dirs=[CRECORDS],
                extra_compile_args=[] if sys.platform == "win32" else ["-O3"],
                optional=not REQUIRED,
            )
        )
    try:
        from Cython.Build import cythonize

        # Generated C stays out of the source tree.
        built: list[Extension] = cythonize(found, build_dir="build/cython")
    except Exception as exc:
        if REQUIRED:
            raise
        # Whatever is wrong (no Cython, a translation error), an installation that
        # works beats none.
        warn(exc)
        return []
    return built


class OptionalBuildExt(build_ext):
    """`build_ext` that leaves out what the compiler cannot build, and says so.

    At import the package falls back to plain Python for what is missing.
    """

    def run(self) -> None:
        try:
            super().run()
        except Exception as exc:
            if REQUIRED:
                raise
            warn(exc)
            # Nothing is left for an in-place copy or a wheel to look for.
            self.extensions = []
            return
        built = [ext for ext in self.extensions if Path(self._path(ext)).exists()]
        if len(built) < len(self.extensions):
            names = ", ".join(ext.name for ext in self.extensions if ext not in built)
            warn(f"could not compile {names}")
            self.extensions = built

    def _path(self, ext: Extension) -> str:
        return str(self.get_ext_fullpath(ext.name))


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuildExt})
