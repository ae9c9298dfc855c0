"""Emulated carriers: scripted calls, and the API and callbacks of each carrier."""
