"""Scenarios: what happens to agents, as data, and what Stepwatch must say of it, on the running stack.

`cases/` holds one small description each: seed, volumes, what goes wrong, which series must fire (no other may) and which
cause must be named. `make scenarios` plays all of them at once, each as a workflow of its own, and prints a table.

    scenario.py   reads a description          faults.py   what can go wrong in a run
    casting.py    its runs, seeded             exports.py  how their spans get out
    stage.py      plays them on a stack        heard.py    what came of it, from the topics
    judge.py      was it right?                report.py   the table
"""
