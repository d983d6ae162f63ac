"""What is judged: pure evaluators over spans and trajectories. Imports `schemas` only."""
