"""The API's resolver keeps the request that it answers."""

from typing import Any

from redial.api.app import app


def event(path: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": path}, "stage": "$default"},
        "isBase64Encoded": False,
    }


def test_a_resolver_keeps_its_request_while_another_one_answers() -> None:
    """Lambda has one resolver per process; the local stack has several, which answer concurrently."""
    one, other = type(app)(), type(app)()
    other.get("/other")(dict)

    @one.get("/one")
    def answer() -> dict[str, Any]:
        other.resolve(event("/other"), None)
        return {"path": one.current_event.path}

    assert one.resolve(event("/one"), None)["body"] == '{"path":"/one"}'
