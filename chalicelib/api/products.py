"""`/v1/products`: the catalogue."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from chalice.app import Blueprint, Response
from msgspec import Meta, Struct

from chalicelib.api.calls import ANY_CONTENT, Call, answering, ok
from chalicelib.api.fields import Quantity
from chalicelib.api.parameters import check_name, page_of, read_cursor, read_limit
from chalicelib.api.problems import invalid
from chalicelib.domain.money import NotADecimalError, format_decimal, parse_quantity
from chalicelib.domain.products import SHARED_POOL, Display, Meter, Product


routes = Blueprint(__name__)

_Text = Annotated[str, Meta(min_length=1, max_length=100)]
_POSITION = "product#"


class DisplayBody(Struct, forbid_unknown_fields=True):
    """The unit people read, and how many of the product's units it is."""

    unit: _Text
    divisor: Quantity


class ProductBody(Struct, forbid_unknown_fields=True):
    """A product as a whole."""

    name: _Text
    unit: _Text
    pool: Literal["contact_center_services", "own"] = "contact_center_services"
    commit_available: bool = False
    meter: Literal["sum", "daily_peak"] = "sum"
    display: DisplayBody | None = None


@routes.route("/v1/products/{resource}", methods=["PUT"], content_types=ANY_CONTENT)
@answering(routes)
def put_product(call: Call, resource: str) -> Response:
    """Create or replace a product."""
    call.require_operator("admin")
    check_name("/resource", resource)
    return ok(_show(call.services.catalogue.put_product(_product(resource, call.read(ProductBody)))))


@routes.route("/v1/products", methods=["GET"], content_types=ANY_CONTENT)
@answering(routes)
def list_products(call: Call) -> Response:
    """List the catalogue in the order of resource codes."""
    call.require_operator("admin")
    limit, before = read_limit(call.query), read_cursor(call.query, _POSITION)
    products = ((_POSITION + product.resource, product) for product in call.services.catalogue.products())
    return ok(page_of((entry for entry in products if before is None or entry[0] > before), limit, _show))


def _product(resource: str, body: ProductBody) -> Product:
    return Product(
        resource=resource,
        name=body.name,
        unit=body.unit,
        display=Display(body.unit, Decimal(1)) if body.display is None else _display(body.display),
        has_own_pool=body.pool == "own",
        commit_available=body.commit_available,
        meter=Meter(body.meter),
    )


def _display(body: DisplayBody) -> Display:
    try:
        divisor = parse_quantity(body.divisor)
    except NotADecimalError as error:
        raise invalid("/display/divisor", str(error)) from error
    if not divisor:
        raise invalid("/display/divisor", "must be above zero")
    return Display(body.unit, divisor)


def _show(product: Product) -> dict[str, Any]:
    return {
        "resource": product.resource,
        "name": product.name,
        "unit": product.unit,
        "display": {"unit": product.display.unit, "divisor": format_decimal(product.display.divisor)},
        "pool": "own" if product.has_own_pool else SHARED_POOL,
        "commit_available": product.commit_available,
        "meter": product.meter.value,
    }
