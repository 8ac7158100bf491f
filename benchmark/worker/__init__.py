"""What runs inside a contender's child process.

These modules need nothing but the standard library and the client they measure, since each
child runs in the environment of its contender, where neither rich nor matplotlib exists.
"""
