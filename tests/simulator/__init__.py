"""A seeded simulator of one partition: the real engine between a log, a store, workers that die and zombies that come back."""
