"""HTTP on one machine: the server, the API as it runs behind API Gateway, and the webhook inbox."""
