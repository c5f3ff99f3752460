"""Payment gateways: what the service asks of one, and those it can use."""
