"""Random fault schedules against a consumer's promises, alone and in groups, under virtual time.

``scenario`` draws what happens from a seed; ``writer`` fills the topics, ``application`` is a
member of a group or a reader by itself, and writes down what it was given; ``workload`` lets
everything happen, ``invariants`` judges, ``runner`` joins them and says how to repeat a failure::

    AIOKAFKA_SIM_SEED=1234 AIOKAFKA_SIM_COUNT=1 python -m pytest tests/unit/simulation_consumer
"""
