"""What moves: the pure core, and the shells that carry spans in and rows, outcomes and alerts out."""
