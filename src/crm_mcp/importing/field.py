"""What a file may say of a record: a field, how its cells are read, the headers it goes by."""

from typing import NamedTuple

from . import values
from .values import Reader


class Field(NamedTuple):
    """A field: how its cells are read, other headers it goes by, whether a file needs it, a row must fill it.

    `named` is False where a header of the field's own name is not it.
    """

    name: str
    read: Reader
    synonyms: str = ""
    required: bool = False
    filled: bool = False
    named: bool = True

    def words(self) -> list[str]:
        """Return the headers that are this field, the first of a file counts."""
        return [self.name, *self.synonyms.split()] if self.named else self.synonyms.split()


def must(name: str, read: Reader, synonyms: str = "") -> Field:
    """Return a field that every file has and every row fills."""
    return Field(name, read, synonyms, required=True, filled=True)


NAME, SHORT, LONG = values.text(400), values.text(400), values.text(10_000)
CUSTOMER = "customer_id customer_no customer_number customer_code customer account_id account client_id company_id"
ORGANIZATION = "organization_id organisation_id org_id"
INDIVIDUAL = "individual_id"
DEAL = "deal_id deal"
LEAD = "lead_id lead"
PROJECT = "project_id project"
OWNER = "owner_email owner"
CONTACT = "contact_id contact_no contact person_id"
PRODUCT = "product_id product_no product_number product_code product item_id item article_no article sku"
ORDER = "order_id order_no order_number order"
INVOICE = "invoice_id invoice_no invoice_number invoice"
PAYMENT = "payment_id payment_no payment_number payment transaction_id"
ISSUE = "issue_id issue_no issue_number issue ticket_id ticket_no ticket_number ticket case_id"
