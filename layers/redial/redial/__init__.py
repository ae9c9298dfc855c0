"""Redial: serverless auto-retry for outbound phone calls."""
