"""The table of contents: every route, event handler and schedule of the service."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any


gc.disable()  # what is imported stays, and looking for garbage in it meanwhile is a tenth of a cold start

from chalicelib.api import (
    accounts,
    commitments,
    console,
    credit,
    documentation,
    events,
    interactions,
    jobs,
    products,
    purchases,
    rate_cards,
    reports,
    series,
    usage,
    webhooks,
)
from chalicelib.api.application import Application
from chalicelib.bootstrap import connect
from chalicelib.events import metering_stream, outbox_stream, report_builder, schedules, work_queue
from chalicelib.events.schedules import EVERY_NIGHT, EVERY_QUARTER_OF_AN_HOUR


if TYPE_CHECKING:
    from chalice.app import CloudWatchEvent, KinesisEvent, SQSEvent


app = Application("usage-tab", connect)

app.register_blueprint(accounts.routes)  # PUT, GET /v1/accounts/{account}
app.register_blueprint(products.routes)  # PUT /v1/products/{resource}, GET /v1/products
app.register_blueprint(rate_cards.routes)  # PUT /v1/rate-cards/{card}/versions/{date}, GET …/{account}/rate-card
app.register_blueprint(events.routes)  # POST /v1/events
app.register_blueprint(usage.routes)  # GET …/{account}/usage, /balances, /invoices, …; POST …/warnings/{id}/dismiss
app.register_blueprint(interactions.routes)  # GET …/{account}/usage/{resource}/events
app.register_blueprint(series.routes)  # GET …/{account}/usage/series
app.register_blueprint(reports.routes)  # GET …/{account}/reports/cost, /transactions, /files/{file}
app.register_blueprint(commitments.routes)  # PUT, DELETE …/{account}/commitments/{pool}
app.register_blueprint(credit.routes)  # POST …/{account}/credits/grants, /{id}/void, GET …/{account}/ledger
app.register_blueprint(purchases.routes)  # POST …/credits/purchases, GET …/{id}, GET, PUT …/{account}/auto-recharge
app.register_blueprint(webhooks.routes)  # POST /v1/webhooks/stripe
app.register_blueprint(jobs.routes)  # GET /v1/jobs, POST /v1/jobs/{job}/runs, GET, PUT /v1/test-clock
app.register_blueprint(documentation.routes)  # GET /openapi.json, /docs, /docs/style.css
app.register_blueprint(console.routes)  # GET /, /console/{name}, /health
app.take_preflights()  # OPTIONS of every path above


@app.schedule(EVERY_QUARTER_OF_AN_HOUR)
def expire_credit(event: CloudWatchEvent) -> dict[str, Any]:  # noqa: ARG001 - every run does what is due by now
    """Take away credit that has expired."""
    return schedules.run_job(app.services, "expire-credit")


@app.schedule(EVERY_QUARTER_OF_AN_HOUR)
def recharge_commitments(event: CloudWatchEvent) -> dict[str, Any]:  # noqa: ARG001 - as above
    """Recharge committed credit on its days."""
    return schedules.run_job(app.services, "recharge-commitments")


@app.schedule(EVERY_QUARTER_OF_AN_HOUR)
def compute_storage_peaks(event: CloudWatchEvent) -> dict[str, Any]:  # noqa: ARG001 - as above
    """Charge storage peaks on the 28th."""
    return schedules.run_job(app.services, "compute-storage-peaks")


@app.schedule(EVERY_QUARTER_OF_AN_HOUR)
def issue_invoices(event: CloudWatchEvent) -> dict[str, Any]:  # noqa: ARG001 - as above
    """Issue invoices and start the new month."""
    return schedules.run_job(app.services, "issue-invoices")


@app.schedule(EVERY_QUARTER_OF_AN_HOUR)
def settle_payments(event: CloudWatchEvent) -> dict[str, Any]:  # noqa: ARG001 - as above
    """Settle payments whose outcome is not known, and try auto recharge again."""
    return schedules.run_job(app.services, "settle-payments")


@app.schedule(EVERY_QUARTER_OF_AN_HOUR)
def sweep_outbox(event: CloudWatchEvent) -> dict[str, Any]:  # noqa: ARG001 - as above
    """Carry out effects that the stream has missed."""
    return schedules.run_job(app.services, "sweep-outbox")


@app.schedule(EVERY_NIGHT)
def audit(event: CloudWatchEvent) -> dict[str, Any]:  # noqa: ARG001 - as above
    """Audit the accounts whose turn it is."""
    return schedules.run_job(app.services, "audit")


@app.on_kinesis_record(
    stream="usage-tab-events", batch_size=500, starting_position="TRIM_HORIZON", maximum_batching_window_in_seconds=1
)
def meter_events(event: KinesisEvent) -> dict[str, Any]:
    """Take the usage events that the metering system writes to its stream."""
    return metering_stream.meter(app.services, event.to_dict())


@app.on_sqs_message(queue="usage-tab-work", batch_size=1)  # where one crashes, no other comes back with it
def do_work(event: SQSEvent) -> dict[str, Any]:
    """Do what jobs have handed over."""
    return work_queue.do_work(app.services, event.to_dict())


@app.on_sqs_message(queue="usage-tab-reports", batch_size=1)
def build_reports(event: SQSEvent) -> dict[str, Any]:
    """Write reports that are too large for an answer."""
    return report_builder.write_reports(app.services, event.to_dict())


@app.lambda_function(name="carry_out_effects")
def carry_out_effects(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - as Lambda calls it
    """Carry out what commits cause outside the store, as the table's stream tells of it."""
    return outbox_stream.carry_out(app.services, event)


gc.freeze()
gc.enable()
