"""The parts of :mod:`aiokafka.client`: routing, nodes, connections, metadata, bootstrap,
waits."""
