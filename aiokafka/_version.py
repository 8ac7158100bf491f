"""The version of the package: the one place it is written.

Inner modules read it here; none of them imports the package root.
"""

__version__ = "0.14.1"
