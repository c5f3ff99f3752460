"""DynamoDB: items, keys, heads, event pages and the transaction builder."""
