"""A Kafka topic: which of its records are read together, and how they become rows.

``planning`` cuts each partition into ranges of offsets, by the timestamps of its records; so the
same topic is cut in the same way whenever it is read. ``client`` asks the broker, ``journal``
keeps in the run's folder what was decided by the clock on the wall, and ``decode`` makes rows of
records. ``docs/kafka.md`` has the rules.
"""
