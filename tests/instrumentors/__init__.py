"""Real agent frameworks under their real instrumentation: one workflow, recorded as OTLP, read as one canonical run.

`inside/` runs in an environment per pair (framework and instrumentor), `<pair>/` says which packages and how they are
connected, `goldens/` holds what was exported. Recorded anew by `make instrumentors RECORD=1`.
"""
