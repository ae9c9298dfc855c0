"""SIP response codes, as carriers report them: RFC 3261 section 21, RFC 8197 (607), RFC 8688 (608)."""

WORDS = {
    403: "the network does not allow the call",
    404: "the number does not exist",
    408: "the phone could not be reached in time",
    410: "the number is no longer in service",
    480: "the phone is unavailable at the moment",
    484: "the number is incomplete",
    486: "the line was busy",
    487: "the call was ended before it was answered",
    500: "the network failed",
    502: "the network failed",
    503: "the network is unavailable at the moment",
    504: "the network did not answer in time",
    600: "the line was busy everywhere",
    603: "the call was declined",
    604: "the number does not exist anywhere",
    607: "the called party does not want such calls",
    608: "the network blocked the call as unwanted",
}
PERMANENT = frozenset({404, 410, 484, 604, 607})
"""Codes for permanent failures: dialling the number again cannot succeed."""
INVALID_NUMBER = PERMANENT - {607}
"""Permanent failures because the number itself is wrong."""
REFUSED = frozenset({603, 608})
"""Codes that show who refused a call (the called party or the network), whatever status the carrier reports."""
