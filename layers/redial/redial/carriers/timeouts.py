"""How long a function waits for any carrier."""

CONNECT_TIMEOUT_SECONDS = 5.0
PLACE_TIMEOUT_SECONDS = 15.0
"""For one request to place a call, from look-up to answer. Giving up earlier would only make more dials unknown."""
ASK_TIMEOUT_SECONDS = 10.0
"""For one question."""
