"""The metering and credit back end behind the Usage tab."""
