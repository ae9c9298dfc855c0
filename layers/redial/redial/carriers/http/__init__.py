"""A platform that speaks Redial's own signed HTTP contract. docs/carriers.md describes the contract for implementers.

    POST <api_url>/calls               place one call: JSON, identified by its dial key
    GET  <api_url>/calls?dial_key=…    the call of one attempt, or none
    GET  <api_url>/calls?call_id=…     one call, or none
    POST <api_url>/calls/cancel        end a call before it is answered
    POST <callback URL>                the platform reports on a call

All requests are signed as in Standard Webhooks, with one secret.
"""

from datetime import timedelta

from redial.ports import CarrierLimits

LIMITS = CarrierLimits(
    ring_seconds=(5, 600),
    call_seconds=(1, 86_400),
    absence_proves_after=timedelta(seconds=60),  # the contract: no call is placed by an older request
    variables=True,
)
