"""Encoders from validated rows to arrays; physics first."""
