"""What ``make demo`` is made of; ``examples/demo.py`` puts it together."""
