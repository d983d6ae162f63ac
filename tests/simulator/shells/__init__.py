"""A seeded simulator of the scorer's shells: the real `Scorer`, `Sink`, `Partition` and `LedgerConsumer`, as they are, between
a log, a consumer group and a store in miniature, in virtual time.
"""
