"""HTTP on one machine: the server, the API as API Gateway runs it, and the webhook inbox."""
