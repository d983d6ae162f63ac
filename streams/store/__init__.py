"""ClickHouse: connecting, migrating, writing, reading back."""
