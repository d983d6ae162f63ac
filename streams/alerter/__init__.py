"""The alerter's shell: the pure alert fold on Kafka, its checkpoints, its history in ClickHouse."""
