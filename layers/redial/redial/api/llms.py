"""`/llms.txt`: a description of Redial with links to its documentation, for programs that read plain text
(https://llmstxt.org)."""

from redial import __version__

DOCS = "https://github.com/redial/redial/raw/main/docs"
"""URL of the pages of docs/ as plain Markdown."""
PAGES = {
    "api.md": "all routes, listings, errors, generated clients",
    "webhooks.md": "events, their delivery, signatures, a test event",
    "batches.md": "a CSV of contacts: create, preflight, start, pause, results",
    "agents.md": "how calls are placed and answered: caller ids, answer, limits, defaults",
    "calling-rules.md": "calling hours, suppressions, consents, caps, plan and explain",
    "policies.md": "named sets of calling rules",
    "statistics.md": "which retries pay off, and what they cost",
    "carriers.md": "carriers, faults, the signed HTTP contract",
    "keys.md": "API keys and their scopes",
    "limits.md": "limits",
    "deploy.md": "deployment into an AWS account",
    "operating.md": "operation, costs, setup checks",
    "runbook.md": "alarms, and what to do",
    "architecture.md": "how it works, and where everything is in the source",
}
"""Pages of docs/ and their topics."""


def llms_text() -> str:
    """The text, in Markdown."""
    pages = "\n".join(f"- [{page.removesuffix('.md')}]({DOCS}/{page}): {about}" for page, about in PAGES.items())
    return f"""# Redial {__version__}

> Redial places outbound phone calls and tries again until the contact answers. It is open source and serverless, and
> runs in your own AWS account.

Send `Authorization: Bearer <api key>` with every request. `POST /call` makes a call, `POST /batches` calls a CSV of
contacts; both accept a `retry_config`. Every status change is posted to the agent's `webhook_url`.
`GET /executions/{{execution_id}}/explain` says why a call was dialled, waits or is over. An `Idempotency-Key` makes
`POST /call` safe to repeat.

## This API

- [OpenAPI 3.1](/openapi.json): every route, body, response and event
- [The same as an HTML page](/docs)

## Documentation in plain Markdown

{pages}
"""
