"""Which records are one buyer: whatever shares an e-mail, a valid ABN, or a customer code or number known to the CRM.

Records are nodes, named so that no two systems' are mixed up: `unleashed:<business>:<Guid>`, `woo:<id>`,
`shopify:<number>`, `bigcommerce:<id>`, `contact:<id>`, `guest:<e-mail>`, `order:<id>`.
"""

from __future__ import annotations

from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.simulator.world.books.common import plain_abn, plain_email
from masterops_dagster.simulator.world.store import World


class Customers:
    """Who is who, as the records of all systems tell together."""

    def __init__(self, world: World) -> None:
        self._parents: dict[str, str] = {}
        self._of_shopify: set[str] = set()
        for account in ACCOUNTS:
            match account.system:
                case "unleashed":
                    self._read_unleashed(world, account)
                case "woocommerce":
                    self._read_woocommerce(world, account)
                case "bigcommerce":
                    self._read_bigcommerce(world, account)
                case "shopify":
                    self._read_shopify(world, account)
        self._read_hubspot(world)

    def of(self, node: str) -> str:
        """The buyer whom a record stands for; the same for all records of that buyer."""
        if node.startswith("guest:"):
            return self._root("email:" + node.removeprefix("guest:"))
        return self._root(node)

    def _read_unleashed(self, world: World, account: Account) -> None:
        for record in world.scan(account.key, "Customers"):
            node = f"unleashed:{account.business_key}:{record.id}"
            self._join_if(node, "email", plain_email(record.body["Email"]))
            self._join_if(node, "abn", plain_abn(record.body["GSTVATNumber"]))
            self._join(node, f"code:{account.business_key}:{record.body['CustomerCode']}")

    def _read_woocommerce(self, world: World, account: Account) -> None:
        for record in world.scan(account.key, "customers"):
            self._join_if(f"woo:{record.body['id']}", "email", plain_email(record.body["email"]))

    def _read_bigcommerce(self, world: World, account: Account) -> None:
        for record in world.scan(account.key, "customers"):
            self._join_if(f"bigcommerce:{record.body['id']}", "email", plain_email(record.body["email"]))

    def _read_shopify(self, world: World, account: Account) -> None:
        for record in world.scan(account.key, "customers"):
            number = str(record.body["legacyResourceId"])
            self._of_shopify.add(number)
            address = (record.body["defaultEmailAddress"] or {}).get("emailAddress")
            self._join_if(f"shopify:{number}", "email", plain_email(address))

    def _read_hubspot(self, world: World) -> None:
        for record in world.scan("hubspot", "contacts"):
            node = f"contact:{record.id}"
            properties = record.body["properties"]
            for address in (properties.get("email"), *(properties.get("hs_additional_emails") or "").split(";")):
                self._join_if(node, "email", plain_email(address))
            for merged in filter(None, (properties.get("hs_merged_object_ids") or "").split(";")):
                self._join(node, f"contact:{merged}")
            code = properties.get("unleashed_customer_code")
            if code:
                self._join(node, f"code:{properties.get('source_business')}:{code}")
            number = (properties.get("shopify_customer_id") or "").strip()
            if number in self._of_shopify:
                self._join(node, f"shopify:{number}")

    def _join_if(self, node: str, kind: str, value: str | None) -> None:
        if value is not None:
            self._join(node, f"{kind}:{value}")

    def _join(self, one: str, other: str) -> None:
        self._parents[self._root(one)] = self._root(other)

    def _root(self, node: str) -> str:
        root = node
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while (parent := self._parents.get(node, root)) != root:
            self._parents[node] = root
            node = parent
        return root
