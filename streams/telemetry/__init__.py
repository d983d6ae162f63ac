"""What Stepwatch says of itself: metrics, health, versions. Ids and codes only, never content of a span."""
