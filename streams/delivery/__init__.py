"""Delivery: alert events to the tools of people."""
