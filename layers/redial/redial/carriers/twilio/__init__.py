"""Twilio.

Sources: [O] Twilio's OpenAPI description, twilio/twilio-oai, spec/json/twilio_api_v2010.json; [E] the error dictionary,
https://www.twilio.com/docs/api/errors/<code>; [V] https://www.twilio.com/docs/voice/api/call-resource and
…/call-event-resource; [S] the SDK's request_validator, twilio 9.13.0; [W] https://www.twilio.com/docs/usage/webhooks;
[D] https://www.twilio.com/docs/voice/api/dialingpermissions-country-resource.

Twilio has no idempotency key for new calls [O]: after a request without a usable response, its call must be searched.
"""

from datetime import timedelta

from redial.carriers.twilio.twiml import connect_stream
from redial.domain.execution import UNKNOWN_DEADLINE
from redial.ports import CarrierLimits

LIMITS = CarrierLimits(
    ring_seconds=(5, 600),  # `Timeout` is at most 600 [O]; shorter than 5 rings no phone
    call_seconds=(1, 86_400),  # `TimeLimit` is at most a day [O]
    absence_proves_after=UNKNOWN_DEADLINE,
    check_stream_url=connect_stream,
)
STATUS_OVERRIDE = "#rc=3&rp=all"
"""Connection override of the status callback's URL [W]: three retries after any error. The default is one."""
LATEST_CREATION = UNKNOWN_DEADLINE + timedelta(minutes=1)
"""A call created later than this after the attempt's claim belongs to another attempt. Twilio may place the attempt's
call until the attempt is given up, plus a minute, because the sweeper runs once a minute."""
