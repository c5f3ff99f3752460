"""The event bus that notifications are published to."""
