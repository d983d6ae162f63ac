"""Scenarios: what happens to agents, as data, and what Stepwatch must say of it, on the running stack.

`cases/` holds one small description each: seed, volumes, what goes wrong, which series must fire (no other may) and which
cause must be named. `make scenarios` plays all of them at once, each as a workflow of its own, and prints a table.

    scenario.py   reads a description          evidence.py   counts again what events tell
    faults.py     what can go wrong in a run   judge.py      was it right?
    casting.py    the runs, seeded             report.py     the table
    exports.py    how their spans get out      chaos.py      kills, fences, repetitions
    stage.py      plays them on a stack        day.py        a day in fast replay
    heard.py      what came of it              rehearsal.py  all of it without a server
"""
