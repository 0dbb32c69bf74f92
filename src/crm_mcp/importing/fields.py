"""The fields of each kind of record, and the headers that other systems give them.

A header is compared without case, spaces, underscores and punctuation; of several that fit, the first in the
order below is read.
"""

from typing import NamedTuple

from . import values
from .plan import Kind
from .values import Reader


class Field(NamedTuple):
    """A field: how its cells are read, other headers it goes by, whether a file needs it, a row must fill it."""

    name: str
    read: Reader
    synonyms: str = ""
    required: bool = False
    filled: bool = False


def _must(name: str, read: Reader, synonyms: str = "") -> Field:
    return Field(name, read, synonyms, required=True, filled=True)


NAME, SHORT, LONG = values.text(400), values.text(400), values.text(10_000)
EMAIL, PHONE = values.text(320), values.text(60)
CUSTOMER = "customer_id customer_no customer_number customer_code customer account_id account client_id company_id"
PRODUCT = "product_id product_no product_number product_code product item_id item article_no article sku"
ORDER = "order_id order_no order_number order"

CUSTOMERS = (
    _must("external_id", values.key, f"{CUSTOMER} id"),
    _must("name", NAME, "company_name customer_name account_name organization organisation company name full_name"),
    Field(
        "kind",
        values.choice("organization", "person", company="organization", individual="person"),
        "customer_type kind type",
    ),
    Field("email", EMAIL, "email e_mail email_address mail"),
    Field("phone", PHONE, "phone telephone tel phone_number"),
    Field("domain", values.domain, "domain website web homepage url"),
    Field("segment", SHORT, "segment industry"),
    Field("street", SHORT, "street address street_address address1 address_line_1"),
    Field("city", SHORT, "city town"),
    Field("region", SHORT, "region state province county"),
    Field("postal_code", SHORT, "postal_code zip zip_code postcode"),
    Field("country", SHORT, "country"),
    Field("credit_limit", values.amount, "credit_limit"),
    Field("contact_name", NAME, "contact_name contact contact_person"),
    Field("contact_title", SHORT, "contact_title"),
    Field("contact_email", EMAIL, "contact_email"),
    Field("contact_phone", PHONE, "contact_phone"),
)
CONTACTS = (
    _must("external_id", values.key, "contact_id contact_no person_id id"),
    _must("customer", values.key, CUSTOMER),
    _must("name", NAME, "contact_name full_name name contact"),
    Field("title", SHORT, "title contact_title job_title position"),
    Field("email", EMAIL, "email e_mail email_address mail"),
    Field("phone", PHONE, "phone telephone tel phone_number mobile"),
)
PRODUCTS = (
    _must("external_id", values.key, f"{PRODUCT} id"),
    Field("sku", values.key, "sku article_number item_number stock_code part_number"),
    _must("name", NAME, "product_name name title description"),
    Field("category", SHORT, "category category_name product_group"),
    Field("unit", SHORT, "quantity_per_unit unit unit_of_measure"),
    _must("unit_price", values.amount, "unit_price price net_price list_price"),
    Field("currency", values.currency, "currency currency_code"),
    Field("tax_rate", values.percent, "tax_rate vat_rate tax vat"),
    Field("stock", values.whole, "units_in_stock stock in_stock quantity_in_stock on_hand"),
    Field("reorder_level", values.level, "reorder_level reorder_point min_stock"),
    Field("discontinued", values.flag, "discontinued inactive"),
)
ORDERS = (
    _must("external_id", values.key, f"{ORDER} id"),
    _must("customer", values.key, CUSTOMER),
    _must("placed_at", values.moment, "order_date placed_at ordered_at date created_at"),
    Field("shipped_at", values.moment, "shipped_date shipped_at ship_date"),
    Field(
        "status",
        values.choice("confirmed", "shipped", "completed", "cancelled", canceled="cancelled"),
        "order_status status",
    ),
    Field("currency", values.currency, "currency currency_code"),
    Field("salesperson", SHORT, "salesperson sales_rep seller employee_name"),
    Field("comment", LONG, "comment comments remark remarks note"),
)
LINES = (
    _must("order", values.key, ORDER),
    _must("product", values.key, PRODUCT),
    _must("quantity", values.units, "quantity qty units"),
    _must("unit_price", values.amount, "unit_price price net_price"),
    Field("discount", values.discount, "discount_percent discount"),
    Field("tax_rate", values.percent, "tax_rate vat_rate tax vat"),
    Field("description", SHORT, "description product_name"),
)
FIELDS: dict[Kind, tuple[Field, ...]] = {
    "customers": CUSTOMERS,
    "contacts": CONTACTS,
    "products": PRODUCTS,
    "orders": ORDERS,
}
"""Of the main file of each kind."""
TOGETHER = (*ORDERS, *LINES[1:])
"""Of one file that holds orders with a row a line."""
