"""Redaction: what of a span's content may be kept, and what stands in its place. A part of decode, before anything is judged."""
