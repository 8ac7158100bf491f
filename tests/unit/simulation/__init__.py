"""Random fault schedules against a producer's promises, under virtual time.

``scenario`` draws what happens from a seed, ``workload`` lets it happen and writes down what
came of it, ``invariants`` judges, ``runner`` joins them and says how to repeat a failure::

    AIOKAFKA_SIM_SEED=1234 AIOKAFKA_SIM_COUNT=1 python -m pytest tests/unit/simulation
"""
