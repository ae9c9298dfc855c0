"""Redial: serverless auto-retry for outbound phone calls."""

__version__ = "0.2.0"
