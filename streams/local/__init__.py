"""The laptop stack: Kafka and ClickHouse without Docker, and Stepwatch's own parts, under one data folder."""
