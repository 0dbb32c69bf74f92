"""The fields of each kind of record, and the headers that other systems give them.

A header is compared without case, spaces, underscores and punctuation; of several that fit, the first in the
order below is read.
"""

from . import values
from .field import (
    CUSTOMER,
    DEAL,
    INDIVIDUAL,
    LEAD,
    LONG,
    NAME,
    ORDER,
    ORGANIZATION,
    OWNER,
    PRODUCT,
    SHORT,
    Field,
    must,
)
from .money_fields import ALLOCATIONS, EXCHANGE_RATES, INVOICE_LINES, INVOICES, PAYMENTS, TAX_RATES
from .plan import Kind
from .work_fields import ACTIVITIES, DOCUMENTS, ISSUES, NOTES, TASKS

EMAIL, PHONE = values.text(320), values.text(60)
CUSTOMERS = (
    must("external_id", values.key, f"{CUSTOMER} id"),
    must("name", NAME, "company_name customer_name account_name organization organisation company name full_name"),
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
    Field("tax_zone", values.label, "tax_zone tax_area"),
    Field("tax_number", values.text(50), "tax_number vat_number vat_id vat_no tax_id"),
    Field("payment_terms_days", values.between(0, 365), "payment_terms_days payment_terms terms_days net_days"),
    Field("owner", values.text(320), OWNER),
    Field("contact_name", NAME, "contact_name contact contact_person"),
    Field("contact_title", SHORT, "contact_title"),
    Field("contact_email", EMAIL, "contact_email"),
    Field("contact_phone", PHONE, "contact_phone"),
)
_PLACE = (
    Field("street", SHORT, "address street_address address1 address_line_1"),
    Field("city", values.text(200), "town"),
    Field("region", values.text(200), "state province county"),
    Field("postal_code", values.text(40), "zip zip_code postcode"),
    Field("country", values.text(100)),
)
_LINKEDIN = Field("linkedin_url", values.text(2000), "linkedin linkedin_profile")
CONTACTS = (
    must("external_id", values.key, "contact_id contact_no person_id id"),
    Field("customer", values.key, CUSTOMER),
    Field("customer_name", NAME),
    Field("organization", values.key, ORGANIZATION),
    Field("organization_name", NAME),
    Field("individual", values.key, INDIVIDUAL),
    must("name", NAME, "contact_name full_name name contact"),
    Field("title", SHORT, "title contact_title job_title position"),
    Field("email", EMAIL, "email e_mail email_address mail"),
    Field("phone", PHONE, "phone telephone tel phone_number mobile"),
    _LINKEDIN,
    Field("first_name", values.text(200), named=False),
    Field("last_name", values.text(200), named=False),
)
ORGANIZATIONS = (
    must("external_id", values.key, f"{ORGANIZATION} company_id account_id id"),
    must("name", NAME, "organization_name organisation_name company_name company"),
    Field("domain", values.domain),
    Field("website", values.text(2000), "web homepage url"),
    Field("industry", values.text(200)),
    Field("employees", values.level, "number_of_employees"),
    Field("email", EMAIL, "e_mail email_address mail"),
    Field("phone", PHONE, "telephone tel phone_number"),
    *_PLACE,
    _LINKEDIN,
    Field("technologies", values.listed),
    Field("description", LONG),
    Field("owner", values.text(320), OWNER),
)
INDIVIDUALS = (
    must("external_id", values.key, f"{INDIVIDUAL} person_id id"),
    Field("name", NAME, "full_name"),
    Field("first_name", values.text(200), "given_name"),
    Field("last_name", values.text(200), "family_name surname"),
    Field("title", values.text(200), "job_title position"),
    Field("email", EMAIL, "e_mail email_address mail"),
    Field("phone", PHONE, "telephone tel phone_number mobile"),
    *_PLACE,
    _LINKEDIN,
    Field("description", LONG),
    Field("owner", values.text(320), OWNER),
)
_STAGE = (
    Field("stage", values.text(100), named=False),
    Field("pipeline", values.text(100), named=False),
    Field("stage_entered_at", values.moment, named=False),
)
DEALS = (
    must("external_id", values.key, f"{DEAL} id"),
    must("name", NAME, "deal_name title"),
    Field("status", values.choice("open", "won", "lost"), "deal_status"),
    Field("amount", values.amount, "value"),
    Field("currency", values.currency, "currency_code"),
    Field("probability", values.percent),
    Field("expected_close_on", values.day, "expected_close_date close_date"),
    Field("closed_at", values.moment),
    Field("signed_on", values.day),
    Field("lost_reason", values.text(1000)),
    Field("source", values.text(400)),
    Field("description", LONG),
    Field("customer", values.key, CUSTOMER),
    Field("customer_name", NAME),
    Field("organization", values.key, ORGANIZATION),
    Field("organization_name", NAME),
    Field("contact", values.key, "contact_id"),
    Field("contact_name", NAME),
    Field("lead", values.key, LEAD),
    Field("owner", values.text(320), OWNER),
    *_STAGE,
)
_LEAD_STATUSES = values.choice("new", "contacted", "qualified", "interview", "proposal", "converted", "lost")
LEADS = (
    must("external_id", values.key, f"{LEAD} id"),
    must("name", NAME, "lead_name title"),
    Field("kind", values.choice("job", "opportunity", "partnership"), "lead_kind lead_type"),
    Field("status", _LEAD_STATUSES, "lead_status"),
    Field("source", values.text(400), "lead_source"),
    Field("description", LONG),
    Field("organization", values.key, ORGANIZATION),
    Field("organization_name", NAME),
    Field("individual", values.key, INDIVIDUAL),
    Field("individual_name", NAME),
    Field("customer", values.key, CUSTOMER),
    Field("customer_name", NAME),
    Field("owner", values.text(320), OWNER),
    Field("contacted_at", values.moment),
    Field("converted_at", values.moment),
    Field("lost_reason", values.text(1000)),
    Field("role", values.text(400)),
    Field("seniority", values.text(100)),
    Field("location", values.text(400)),
    Field("is_remote", values.flag),
    Field("salary_min", values.amount),
    Field("salary_max", values.amount),
    Field("currency", values.currency, "currency_code"),
    Field("url", values.text(2000)),
    Field("posted_on", values.day),
    Field("closes_on", values.day),
    Field("amount", values.amount, "value"),
    Field("expected_close_on", values.day, "expected_close_date"),
    Field("need", values.text(4000)),
    Field("budget_confirmed", values.flag),
    Field("decision_maker", values.text(400)),
    Field("timeline", values.text(400)),
    Field("partnership_type", values.text(100)),
    Field("scope", values.text(4000)),
    Field("territory", values.text(400)),
    Field("starts_on", values.day),
    Field("ends_on", values.day),
    Field("person_name", NAME, named=False),
    Field("person_first", values.text(200), named=False),
    Field("person_last", values.text(200), named=False),
    Field("person_title", values.text(200), named=False),
    Field("person_email", EMAIL, named=False),
    Field("person_phone", PHONE, named=False),
    *_STAGE,
)
PROJECTS = (
    must("external_id", values.key, "project_id id"),
    must("name", NAME, "project_name title"),
    Field("status", values.choice("planned", "active", "on_hold", "done", "cancelled"), "project_status"),
    Field("description", LONG),
    Field("customer", values.key, CUSTOMER),
    Field("customer_name", NAME),
    Field("organization", values.key, ORGANIZATION),
    Field("organization_name", NAME),
    Field("deal", values.key, DEAL),
    Field("owner", values.text(320), OWNER),
    Field("starts_on", values.day),
    Field("due_on", values.day),
    Field("completed_at", values.moment),
)
PRODUCTS = (
    must("external_id", values.key, f"{PRODUCT.removesuffix(' sku')} id sku"),
    Field("sku", values.key, "sku article_number item_number stock_code part_number"),
    must("name", NAME, "product_name name title description"),
    Field("category", SHORT, "category category_name product_group"),
    Field("unit", SHORT, "quantity_per_unit unit unit_of_measure"),
    must("unit_price", values.amount, "unit_price price net_price list_price"),
    Field("currency", values.currency, "currency currency_code"),
    Field("tax_rate", values.percent, "tax_rate vat_rate tax vat"),
    Field("tax_class", values.label, "tax_class tax_category tax_code"),
    Field("warranty_months", values.between(0, 600), "warranty_months warranty"),
    Field("stock", values.whole, "units_in_stock stock in_stock quantity_in_stock on_hand"),
    Field("reorder_level", values.level, "reorder_level reorder_point min_stock"),
    Field("discontinued", values.flag, "discontinued inactive"),
)
ORDERS = (
    must("external_id", values.key, f"{ORDER} id"),
    Field("number", values.key, "number order_number order_no"),
    must("customer", values.key, CUSTOMER),
    must("placed_at", values.moment, "order_date placed_at ordered_at date created_at"),
    Field("shipped_at", values.moment, "shipped_date shipped_at ship_date"),
    Field(
        "status",
        values.choice("confirmed", "shipped", "completed", "cancelled", canceled="cancelled"),
        "order_status status",
    ),
    Field("completed_at", values.moment, "completed_at completed_date"),
    Field("cancelled_at", values.moment, "cancelled_at canceled_at cancelled_date"),
    Field("cancel_reason", values.text(2000), "cancel_reason"),
    Field("order_discount", values.discount, "order_discount_percent order_discount"),
    Field("currency", values.currency, "currency currency_code"),
    Field("salesperson", SHORT, "salesperson sales_rep seller employee_name"),
    Field("comment", LONG, "comment comments remark remarks note"),
)
LINES = (
    must("order", values.key, ORDER),
    must("product", values.key, PRODUCT),
    must("quantity", values.units, "quantity qty units"),
    must("unit_price", values.amount, "unit_price price net_price"),
    Field("discount", values.discount, "discount_percent discount"),
    Field("tax_rate", values.percent, "tax_rate vat_rate tax vat"),
    Field("description", SHORT, "description product_name"),
    Field("net_amount", values.amount, "net_amount line_net"),
    Field("tax_amount", values.amount, "tax_amount line_tax"),
)
FIELDS: dict[Kind, tuple[Field, ...]] = {
    "customers": CUSTOMERS,
    "organizations": ORGANIZATIONS,
    "individuals": INDIVIDUALS,
    "contacts": CONTACTS,
    "leads": LEADS,
    "deals": DEALS,
    "projects": PROJECTS,
    "products": PRODUCTS,
    "orders": ORDERS,
    "invoices": INVOICES,
    "payments": PAYMENTS,
    "issues": ISSUES,
    "tasks": TASKS,
    "notes": NOTES,
    "activities": ACTIVITIES,
    "documents": DOCUMENTS,
    "tax_rates": TAX_RATES,
    "exchange_rates": EXCHANGE_RATES,
}
"""Of the main file of each kind."""
BELOW: dict[Kind, tuple[Field, ...]] = {"orders": LINES, "invoices": INVOICE_LINES, "payments": ALLOCATIONS}
"""Of the file of lines, whose first field names the document."""


def together(kind: Kind) -> tuple[Field, ...]:
    """Return the fields of one file with a row a line; of a name that both have, the document's is read."""
    heads = FIELDS[kind]
    taken = {word for one in heads for word in (one.name, *one.synonyms.split())}
    below = [
        one._replace(synonyms=" ".join(word for word in one.synonyms.split() if word not in taken))
        for one in BELOW[kind][1:]
        if one.name not in taken
    ]
    if kind != "orders":
        below = [one._replace(required=False, filled=False) for one in below]
    return (*heads, *below)
