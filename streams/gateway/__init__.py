"""OTLP in: from an agent's exporter to Kafka's acknowledgement, and back to the sender with the truth."""
