"""Parts of :mod:`aiokafka.conn` that are not its public face."""
