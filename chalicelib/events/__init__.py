"""What AWS calls the service with: schedules, queues and streams turned into calls of services."""
