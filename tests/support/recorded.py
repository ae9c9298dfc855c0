"""Recorded answers of the past, translated into the contract's current terms."""

from typing import Any

from redial.domain.status import WAITING, Status

OF_THE_ATTEMPT = frozenset(
    [
        "telephony_data",
        "agent_number",
        "initiated_at",
        "conversation_duration",
        "answered_by_voice_mail",
        "error_message",
    ]
)


def in_todays_words(answer: Any) -> Any:
    """Return a recorded answer without the fields that the contract now expresses differently; all others must be
    unchanged.

    The sentence in `termination_reason` is now in `ended_because`. `hangup_provider_code` is an integer. `hangup_by`
    has other values, and it and `ring_duration` are derived where they were null. A waiting retry shows the attempt
    before it instead of nothing.
    """
    if isinstance(answer, list):
        return [in_todays_words(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    said = {name: in_todays_words(value) for name, value in answer.items()}
    if "termination_reason" in said and "ended_because" not in said:  # otherwise it uses the current terms
        said["ended_because"] = said.pop("termination_reason")
    if said.get("hangup_provider_code") is not None:
        said["hangup_provider_code"] = int(said["hangup_provider_code"])
    if "call_type" in said:
        del said["hangup_by"], said["ring_duration"]
    if said.get("retry_count") and Status(said["status"]) in {*WAITING, Status.STOPPED}:
        said = {name: value for name, value in said.items() if name not in OF_THE_ATTEMPT}
    return said
