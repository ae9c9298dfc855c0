"""Browser pages that call the API: refused by default, else allowed from the origins of a parameter."""

from typing import Any

import pytest

from local.cloudformation import TemplateError
from tests.support.api import Api
from tests.support.local_stack import LocalClient, local_stack, request

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

ORIGIN, OTHER = "https://app.example.com", "http://localhost:8080"
NUMBER = "+12025550199"


def cors(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("access-control-")}


def preflight(client: LocalClient, origin: str, path: str = "/call", method: str = "POST") -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    headers["Access-Control-Request-Headers"] = "authorization,content-type,idempotency-key"
    return request("OPTIONS", client.stack.url + path, None, headers)


def test_a_page_of_an_allowed_origin_makes_a_call_and_reads_the_headers() -> None:
    with local_stack(parameters={"CorsOrigins": f"{ORIGIN},{OTHER}"}) as client:
        for origin in (ORIGIN, OTHER):
            asked = preflight(client, origin)
            assert (asked.status, asked.body) == (204, b"")
            allowed = cors(asked.headers)
            assert allowed["access-control-allow-origin"] == origin
            assert allowed["access-control-allow-methods"].split(",") == ["GET", "POST", "PUT", "PATCH", "DELETE"]
            headers = {one.lower() for one in allowed["access-control-allow-headers"].split(",")}
            assert headers == {"authorization", "content-type", "idempotency-key"}
        body = {"agent_id": client.stack.agent_id, "recipient_phone_number": NUMBER}
        first, second = (client.api("POST", "/call", body, Origin=ORIGIN, Idempotency_Key="one") for _ in range(2))
        for made in (first, second):
            assert made.status == 200
            assert made.headers["access-control-allow-origin"] == ORIGIN
            exposed = {one.lower() for one in made.headers["access-control-expose-headers"].split(",")}
            assert exposed == {"link", "x-total-count", "idempotency-replayed"}
        assert second.headers["idempotency-replayed"] == "true"
        refused = client.api("POST", "/call", {}, Origin=ORIGIN)
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (400, ORIGIN)
        unknown = request("GET", f"{client.stack.url}/user/me", None, {"Origin": ORIGIN})
        assert (unknown.status, unknown.headers["access-control-allow-origin"]) == (401, ORIGIN)
        client.assert_sound()


@pytest.mark.parametrize("origin", ["https://evil.example.com", f"{ORIGIN}.evil.example.com", "null", ""])
def test_a_foreign_origin_gets_no_cors_headers(origin: str) -> None:
    with local_stack(parameters={"CorsOrigins": ORIGIN}) as client:
        assert cors(preflight(client, origin).headers) == {}
        assert cors(client.api("GET", "/user/me", Origin=origin).headers) == {}
        assert cors(client.api("GET", "/user/me").headers) == {}


def test_every_origin_may_be_allowed() -> None:
    with local_stack(parameters={"CorsOrigins": "*"}) as client:
        assert cors(preflight(client, ORIGIN).headers)["access-control-allow-origin"] == "*"
        answer = client.api("GET", "/user/me", Origin=ORIGIN)
        assert answer.headers["access-control-allow-origin"] == "*"


def test_it_is_off_by_default() -> None:
    with local_stack() as client:
        assert cors(preflight(client, ORIGIN).headers) == {}
        answer = client.api("GET", "/user/me", Origin=ORIGIN)
        assert (answer.status, cors(answer.headers)) == (200, {})


@pytest.mark.parametrize("origins", ["app.example.com", "https://app.example.com/", "*,https://app.example.com"])
def test_a_value_that_cloudformation_refuses_is_refused_locally(origins: str) -> None:
    with pytest.raises(TemplateError, match="CorsOrigins: must be"), local_stack(parameters={"CorsOrigins": origins}):
        raise AssertionError("started")


def test_the_function_answers_a_preflight_that_reaches_it(api: Api) -> None:
    """API Gateway's `$default` route may pass a preflight on; a browser needs 2xx, and sends no key."""
    headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
    answer = api.send("OPTIONS", "/call", key=None, headers=headers)
    assert answer.status == 204
    assert api.send("OPTIONS", "/call", key=None, headers={"origin": ORIGIN}).status == 401
    assert api.send("OPTIONS", "/call").status == 405
