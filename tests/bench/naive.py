"""The usual design: one transaction for each event, which puts the event once and adds to a balance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.domain.usage_events import decode_cloud_event, read_usage_event


SCALE = Decimal(10) ** 12
PRICE = Decimal("0.0124")


def naive_models(endpoint: str) -> tuple[type[Model], type[Model], Connection]:
    """Create the tables of events and balances at *endpoint*."""

    class _Meta:
        host = endpoint
        region = "eu-west-1"
        billing_mode = "PAY_PER_REQUEST"
        aws_access_key_id = "local"
        aws_secret_access_key = "local"

    class Event(Model):
        """An event, kept once."""

        class Meta(_Meta):
            """Where events are kept."""

            table_name = "naive-events"

        account = UnicodeAttribute(hash_key=True)
        identity = UnicodeAttribute(range_key=True)
        body = UnicodeAttribute()

    class Balance(Model):
        """What a product has used."""

        class Meta(_Meta):
            """Where balances are kept."""

            table_name = "naive-balances"

        account = UnicodeAttribute(hash_key=True)
        resource = UnicodeAttribute(range_key=True)
        quantity = NumberAttribute(default=0)
        amount = NumberAttribute(default=0)

    for model in (Event, Balance):
        model.create_table(wait=True)
    connection = Connection(region="eu-west-1", host=endpoint, aws_access_key_id="local", aws_secret_access_key="local")
    return Event, Balance, connection


def take_naively(models: tuple[Any, Any, Connection], body: bytes) -> int:
    """Take a batch event by event, and return how many write units that cost by DynamoDB's rule."""
    event_model, balance_model, connection = models
    units = 0
    for raw in msgspec.json.decode(body, type=list[msgspec.Raw]):
        event = read_usage_event(decode_cloud_event(raw))
        record = event_model(event.account, f"{event.source}#{event.id}#{event.time}", body=bytes(raw).decode())
        balance = balance_model(event.account, event.resource)
        amount = int(event.quantity * PRICE * SCALE)
        with TransactWrite(connection=connection) as transaction:
            transaction.save(record, condition=event_model.identity.does_not_exist())
            transaction.update(
                balance,
                actions=[
                    balance_model.quantity.add(int(event.quantity)),
                    balance_model.amount.add(amount),
                ],
            )
        units += 2 * 2  # two items of less than 1 KB, twice in a transaction
    return units
