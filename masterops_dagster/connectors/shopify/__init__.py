"""Shopify, the stores of Teelixir and Elevate Wholesale: connector, models, bulk operations, webhook signatures."""

from masterops_dagster.connectors.shopify.api import TooCostly, access_token, client_credentials
from masterops_dagster.connectors.shopify.bulk import BulkPatience
from masterops_dagster.connectors.shopify.client import Shopify
from masterops_dagster.connectors.shopify.models import InventoryChange, InventoryQuantity, Order, OrderLine

__all__ = [
    "BulkPatience",
    "InventoryChange",
    "InventoryQuantity",
    "Order",
    "OrderLine",
    "Shopify",
    "TooCostly",
    "access_token",
    "client_credentials",
]
