"""AWS on one machine: moto, and stricter or faster parts where moto is not enough."""
