"""What evaluators read of a run: views that follow its steps, and readings of calls, texts and names. Pure."""
