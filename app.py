"""The table of contents: every route, event handler and schedule of the service."""

from __future__ import annotations

from chalicelib.api import (
    accounts,
    commitments,
    console,
    credit,
    events,
    jobs,
    products,
    purchases,
    rate_cards,
    usage,
    webhooks,
)
from chalicelib.api.application import Application
from chalicelib.bootstrap import connect


app = Application("usage-tab", connect)

app.register_blueprint(accounts.routes)  # PUT, GET /v1/accounts/{account}
app.register_blueprint(products.routes)  # PUT /v1/products/{resource}, GET /v1/products
app.register_blueprint(rate_cards.routes)  # PUT /v1/rate-cards/{card}/versions/{date}, GET …/{account}/rate-card
app.register_blueprint(events.routes)  # POST /v1/events
app.register_blueprint(usage.routes)  # GET …/{account}/usage, /balances, /invoices, …; POST …/warnings/{id}/dismiss
app.register_blueprint(commitments.routes)  # PUT, DELETE …/{account}/commitments/{pool}
app.register_blueprint(credit.routes)  # POST …/{account}/credits/grants, /{id}/void, GET …/{account}/ledger
app.register_blueprint(purchases.routes)  # POST …/credits/purchases, GET …/{id}, GET, PUT …/{account}/auto-recharge
app.register_blueprint(webhooks.routes)  # POST /v1/webhooks/stripe
app.register_blueprint(jobs.routes)  # GET /v1/jobs, POST /v1/jobs/{job}/runs, GET, PUT /v1/test-clock
app.register_blueprint(console.routes)  # GET /, /console/{name}, /health
