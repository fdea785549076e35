"""Unleashed's streams, the same for each account: Teelixir and Elevate Wholesale.

Documents carry their lines, which become child streams. Dates are instants; `/Date(ms)/` is read by the connector.
"""

from __future__ import annotations

from masterops_dagster.sources.stream import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    TEXT,
    TIMESTAMP,
    Column,
    Mode,
    Stream,
    Type,
    columns,
)

ENTITY = columns(
    guid=(TEXT, "Guid"), created_on=(TIMESTAMP, "CreatedOn"), last_modified_on=(TIMESTAMP, "LastModifiedOn")
)
CUSTOMER = columns(
    customer_guid=(TEXT, "Customer.Guid"),
    customer_code=(TEXT, "Customer.CustomerCode"),
    customer_name=(TEXT, "Customer.CustomerName"),
)
TOTALS = columns(sub_total=(DECIMAL, "SubTotal"), tax_total=(DECIMAL, "TaxTotal"), total=(DECIMAL, "Total"))
CURRENCY = columns(currency=(TEXT, "Currency.CurrencyCode"), exchange_rate=(DECIMAL, "ExchangeRate"))
WAREHOUSE = columns(warehouse_code=(TEXT, "Warehouse.WarehouseCode"))
PRODUCT = columns(
    product_guid=(TEXT, "Product.Guid"),
    product_code=(TEXT, "Product.ProductCode"),
    product_description=(TEXT, "Product.ProductDescription"),
)
LINE = columns(guid=(TEXT, "Guid"), line_number=(INTEGER, "LineNumber")) + PRODUCT


def entity(name: str, resource: str, description: str, own: tuple[Column, ...]) -> Stream:
    """A resource without a business date: read live by `modifiedSince`, never backfilled."""
    return Stream(
        name,
        resource=resource,
        key=("guid",),
        modified="last_modified_on",
        columns=ENTITY + own,
        description=description,
    )


def document(name: str, resource: str, date: str, description: str, own: tuple[Column, ...]) -> Stream:
    """A dated document read live by `modifiedSince`, in a backfill by `startDate` and `endDate` of `date`."""
    return Stream(
        name,
        resource=resource,
        key=("guid",),
        modified="last_modified_on",
        business_date=date,
        columns=ENTITY + own,
        description=description,
    )


def lines(name: str, parent: str, items: str, own: tuple[Column, ...]) -> Stream:
    """The lines of a document, replaced with it; `parent_guid` is the document's Guid."""
    return Stream(
        name,
        resource="",
        key=("parent_guid", "guid"),
        parent=parent,
        parent_key="parent_guid",
        items=items,
        columns=(Column("parent_guid", TEXT, ""), *LINE, *own),
        description=f"Lines of {parent}.",
    )


PRICED = columns(
    unit_price=(DECIMAL, "UnitPrice"),
    discount_rate=(DECIMAL, "DiscountRate"),
    line_total=(DECIMAL, "LineTotal"),
    line_tax=(DECIMAL, "LineTax"),
)

STREAMS = (
    entity(
        "products",
        "Products",
        "Articles that are bought, held and sold.",
        columns(
            product_code=(TEXT, "ProductCode"),
            product_description=(TEXT, "ProductDescription"),
            barcode=(TEXT, "Barcode"),
            product_group=(TEXT, "ProductGroup.GroupName"),
            unit_of_measure=(TEXT, "UnitOfMeasure.Name"),
            default_purchase_price=(DECIMAL, "DefaultPurchasePrice"),
            default_sell_price=(DECIMAL, "DefaultSellPrice"),
            average_land_price=(DECIMAL, "AverageLandPrice"),
            min_stock_alert_level=(DECIMAL, "MinStockAlertLevel"),
            is_sellable=(BOOLEAN, "IsSellable"),
            is_component=(BOOLEAN, "IsComponent"),
            is_obsolete=(BOOLEAN, "Obsolete"),
            taxable_sales=(BOOLEAN, "TaxableSales"),
        ),
    ),
    Stream(
        "product_groups",
        resource="ProductGroups",
        mode=Mode.FULL,
        key=("guid",),
        columns=ENTITY + columns(group_name=(TEXT, "GroupName")),
        description="Groups of products.",
    ),
    entity(
        "customers",
        "Customers",
        "Wholesale customers, and the buyers of mirrored Shopify orders.",
        columns(
            customer_code=(TEXT, "CustomerCode"),
            customer_name=(TEXT, "CustomerName"),
            customer_type=(TEXT, "CustomerType"),
            contact_first_name=(TEXT, "ContactFirstName"),
            contact_last_name=(TEXT, "ContactLastName"),
            email=(TEXT, "Email"),
            phone_number=(TEXT, "PhoneNumber"),
            abn=(TEXT, "GSTVATNumber"),
            payment_term=(TEXT, "PaymentTerm"),
            discount_rate=(DECIMAL, "DiscountRate"),
            currency=(TEXT, "Currency.CurrencyCode"),
            taxable=(BOOLEAN, "Taxable"),
            stop_credit=(BOOLEAN, "StopCredit"),
            is_obsolete=(BOOLEAN, "Obsolete"),
            addresses=(Type.JSON, "Addresses"),
        ),
    ),
    entity(
        "suppliers",
        "Suppliers",
        "Whom stock is bought from.",
        columns(
            supplier_code=(TEXT, "SupplierCode"),
            supplier_name=(TEXT, "SupplierName"),
            email=(TEXT, "Email"),
            phone_number=(TEXT, "PhoneNumber"),
            abn=(TEXT, "GSTVATNumber"),
            is_obsolete=(BOOLEAN, "Obsolete"),
        ),
    ),
    Stream(
        "warehouses",
        resource="Warehouses",
        mode=Mode.FULL,
        key=("guid",),
        columns=ENTITY
        + columns(
            warehouse_code=(TEXT, "WarehouseCode"),
            warehouse_name=(TEXT, "WarehouseName"),
            is_default=(BOOLEAN, "IsDefault"),
            is_obsolete=(BOOLEAN, "Obsolete"),
        ),
        description="Places where stock is held.",
    ),
    Stream(
        "sales_persons",
        resource="SalesPersons",
        mode=Mode.FULL,
        key=("guid",),
        columns=ENTITY
        + columns(full_name=(TEXT, "FullName"), email=(TEXT, "Email"), is_obsolete=(BOOLEAN, "Obsolete")),
        description="Who sells.",
    ),
    document(
        "sales_orders",
        "SalesOrders",
        "order_date",
        "Orders of all states; some mirror Shopify orders, recognised by reference.",
        columns(
            order_number=(TEXT, "OrderNumber"),
            order_status=(TEXT, "OrderStatus"),
            order_date=(TIMESTAMP, "OrderDate"),
            required_date=(TIMESTAMP, "RequiredDate"),
            completed_date=(TIMESTAMP, "CompletedDate"),
            customer_ref=(TEXT, "CustomerRef"),
            comments=(TEXT, "Comments"),
            sales_person=(TEXT, "SalesPerson.FullName"),
        )
        + CUSTOMER
        + WAREHOUSE
        + CURRENCY
        + TOTALS,
    ),
    lines(
        "sales_order_lines",
        "sales_orders",
        "SalesOrderLines",
        columns(order_quantity=(DECIMAL, "OrderQuantity"))
        + PRICED
        + columns(average_landed_price=(DECIMAL, "AverageLandedPriceAtTimeOfSale")),
    ),
    document(
        "invoices",
        "Invoices",
        "invoice_date",
        "What was billed; payments live in the accounting system.",
        columns(
            invoice_number=(TEXT, "InvoiceNumber"),
            order_number=(TEXT, "OrderNumber"),
            invoice_status=(TEXT, "InvoiceStatus"),
            invoice_date=(TIMESTAMP, "InvoiceDate"),
            due_date=(TIMESTAMP, "DueDate"),
        )
        + CUSTOMER
        + TOTALS,
    ),
    lines(
        "invoice_lines",
        "invoices",
        "InvoiceLines",
        columns(invoice_quantity=(DECIMAL, "InvoiceQuantity")) + PRICED,
    ),
    document(
        "credit_notes",
        "CreditNotes",
        "credit_date",
        "What was taken back: negative revenue on its own day.",
        columns(
            credit_note_number=(TEXT, "CreditNoteNumber"),
            status=(TEXT, "Status"),
            credit_date=(TIMESTAMP, "CreditDate"),
            invoice_number=(TEXT, "InvoiceNumber"),
        )
        + CUSTOMER
        + TOTALS,
    ),
    lines(
        "credit_note_lines",
        "credit_notes",
        "CreditLines",
        columns(credit_quantity=(DECIMAL, "CreditQuantity")) + PRICED,
    ),
    document(
        "purchase_orders",
        "PurchaseOrders",
        "order_date",
        "What was ordered from suppliers.",
        columns(
            order_number=(TEXT, "OrderNumber"),
            order_status=(TEXT, "OrderStatus"),
            order_date=(TIMESTAMP, "OrderDate"),
            required_date=(TIMESTAMP, "RequiredDate"),
            received_date=(TIMESTAMP, "ReceivedDate"),
            supplier_guid=(TEXT, "Supplier.Guid"),
            supplier_code=(TEXT, "Supplier.SupplierCode"),
            supplier_name=(TEXT, "Supplier.SupplierName"),
        )
        + WAREHOUSE
        + TOTALS,
    ),
    lines(
        "purchase_order_lines",
        "purchase_orders",
        "PurchaseOrderLines",
        columns(
            order_quantity=(DECIMAL, "OrderQuantity"),
            unit_price=(DECIMAL, "UnitPrice"),
            line_total=(DECIMAL, "LineTotal"),
        ),
    ),
    document(
        "stock_adjustments",
        "StockAdjustments",
        "adjustment_date",
        "Counts and corrections of stock.",
        columns(
            adjustment_number=(TEXT, "AdjustmentNumber"),
            adjustment_date=(TIMESTAMP, "AdjustmentDate"),
            adjustment_reason=(TEXT, "AdjustmentReason"),
            status=(TEXT, "Status"),
        )
        + WAREHOUSE,
    ),
    lines(
        "stock_adjustment_lines",
        "stock_adjustments",
        "StockAdjustmentLines",
        columns(new_quantity=(DECIMAL, "NewQuantity"), new_actual_value=(DECIMAL, "NewActualValue")),
    ),
    Stream(
        "stock_on_hand",
        resource="StockOnHand",
        mode=Mode.SNAPSHOT,
        key=("snapshot_date", "product_guid", "warehouse_code"),
        modified="last_modified_on",
        columns=(
            Column("snapshot_date", Type.DATE, ""),
            *columns(
                product_guid=(TEXT, "ProductGuid"),
                product_code=(TEXT, "ProductCode"),
                warehouse_code=(TEXT, "WarehouseCode"),
                qty_on_hand=(DECIMAL, "QtyOnHand"),
                available_qty=(DECIMAL, "AvailableQty"),
                allocated_qty=(DECIMAL, "AllocatedQty"),
                on_purchase=(DECIMAL, "OnPurchase"),
                avg_cost=(DECIMAL, "AvgCost"),
                total_cost=(DECIMAL, "TotalCost"),
                days_since_last_sale=(INTEGER, "DaysSinceLastSale"),
                last_modified_on=(TIMESTAMP, "LastModifiedOn"),
            ),
        ),
        description="Stock per product and warehouse, kept once per day.",
    ),
)
