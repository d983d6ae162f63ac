"""The hot path as C: when it may be imported, and that it says what the sources say."""
