"""Three consumers of a group through kills, freezes, cut connections, joins and leaves.

`group` is the program that consumes, in a process of its own so that released clients can run it
in their environment, `run` the cluster's faults beside it, `figures` what comes of both, and
``python -m tests.integration.faults`` repeats it and compares clients.
"""
