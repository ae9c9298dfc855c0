"""AWS on one machine: moto, with stricter or faster parts where moto is not enough."""
