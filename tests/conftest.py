"""Properties ask no clock: how long an example takes says something of the machine and nothing of the code."""

from hypothesis import HealthCheck, settings

settings.register_profile("stepwatch", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stepwatch")
