"""The tables as the unit of work sees them; a test holds them equal to the migrated schema."""

from .exports import Export
from .finance import CreditNote, ExchangeRate, Invoice, InvoiceLine, Payment, PaymentAllocation, TaxRate
from .goods import Product, StockMovement, StockReservation, Warranty
from .knowledge import Article
from .mail import Blob, Delivery, Email, EmailAttachment
from .memory import Learning, PersonalSettings, Preference
from .orders import Order, OrderLine, Quote, QuoteLine
from .org import CustomField, ExternalRef, OrgSettings, OwnReport, PolicyEdition, Provenance
from .parties import Contact, Customer, CustomerParty, Individual, Organization
from .pipeline import (
    Deal,
    Job,
    Lead,
    LeadPart,
    Opportunity,
    Partnership,
    Pipeline,
    PipelinePosition,
    PipelineStage,
    StageTransition,
)
from .record import Amount, Base, Mergeable, Record, references
from .work import Activity, Document, Issue, Note, Project, Task

__all__ = [
    "Activity",
    "Amount",
    "Article",
    "Base",
    "Blob",
    "Contact",
    "CreditNote",
    "CustomField",
    "Customer",
    "CustomerParty",
    "Deal",
    "Delivery",
    "Document",
    "Email",
    "EmailAttachment",
    "ExchangeRate",
    "Export",
    "ExternalRef",
    "Individual",
    "Invoice",
    "InvoiceLine",
    "Issue",
    "Job",
    "Lead",
    "LeadPart",
    "Learning",
    "Mergeable",
    "Note",
    "Opportunity",
    "Order",
    "OrderLine",
    "OrgSettings",
    "Organization",
    "OwnReport",
    "Partnership",
    "Payment",
    "PaymentAllocation",
    "PersonalSettings",
    "Pipeline",
    "PipelinePosition",
    "PipelineStage",
    "PolicyEdition",
    "Preference",
    "Product",
    "Project",
    "Provenance",
    "Quote",
    "QuoteLine",
    "Record",
    "StageTransition",
    "StockMovement",
    "StockReservation",
    "Task",
    "TaxRate",
    "Warranty",
    "references",
]
