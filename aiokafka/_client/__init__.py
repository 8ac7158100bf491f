"""The parts of :mod:`aiokafka.client`: nodes, connections, metadata, bootstrap, waits."""
