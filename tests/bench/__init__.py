"""Benchmarks: CPU time, never wall time, because the machines are shared and noisy."""
