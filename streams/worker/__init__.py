"""The scorer: the shell around the trajectory engine (Faust app 1)."""
