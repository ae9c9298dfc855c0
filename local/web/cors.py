"""CORS as in API Gateway's HTTP API: it answers preflights itself, and adds headers to a function's answers.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
"""

from dataclasses import dataclass, replace

from local.web.server import Request, Response

_PREFIX = "access-control-"


@dataclass(frozen=True)
class Cors:
    """The HTTP API's CorsConfiguration. `origins` may be `*`."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int

    @staticmethod
    def is_preflight(request: Request) -> bool:
        """Whether the request is a browser's question whether a page may send a request."""
        names = {name.lower() for name, _ in request.headers}
        return request.method == "OPTIONS" and {"origin", f"{_PREFIX}request-method"} <= names

    def preflight(self, request: Request) -> Response:
        """The answer to a preflight. For a foreign origin it has no headers, so the browser refuses the request."""
        allowed = [
            (f"{_PREFIX}allow-methods", ",".join(self.methods)),
            (f"{_PREFIX}allow-headers", ",".join(self.headers)),
            (f"{_PREFIX}max-age", str(self.max_age)),
        ]
        origin = self._origin(request)
        return Response(204, headers=origin + allowed if origin else [])

    def added(self, request: Request, response: Response) -> Response:
        """The response with CORS headers instead of the function's own, if the request has an allowed origin."""
        kept = [(name, value) for name, value in response.headers if not name.lower().startswith(_PREFIX)]
        origin = self._origin(request)
        exposed = [(f"{_PREFIX}expose-headers", ",".join(self.exposed))] if origin else []
        return replace(response, headers=[*kept, *origin, *exposed])

    def _origin(self, request: Request) -> list[tuple[str, str]]:
        origin = request.header("origin")
        if origin is None or not {origin, "*"} & set(self.origins):
            return []
        return [(f"{_PREFIX}allow-origin", "*" if "*" in self.origins else origin)]
