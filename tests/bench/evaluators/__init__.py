"""`make bench-evaluators`: are the evaluators right, against what others say of the same runs, and how fast are they."""
