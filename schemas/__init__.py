"""What flows: pure values. No I/O, no clock."""
