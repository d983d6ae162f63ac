"""Random kills of every part while recorded runs go through real servers; at the end all must be right."""
