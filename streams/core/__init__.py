"""The pure core: windows, assembly, the engine, alerting. No I/O, no clock, no environment."""
