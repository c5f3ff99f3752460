"""HTTP: routes, tokens, problem+json, request and answer schemas."""
