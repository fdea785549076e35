"""Published clients run against the stand-ins, so that these are right and not only in agreement with us.

`hubspot-api-client` (HubSpot's own), `unleashed-py` and `WooCommerce` (Automattic's own), over real HTTP.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
import unleashed_py
import woocommerce
from hubspot import HubSpot
from hubspot.crm import companies, contacts
from hubspot.crm.associations import v4 as associations_v4

from tests.stand_ins import StandIns

# ---- HubSpot


@pytest.fixture
def hubspot(stand_ins: StandIns) -> HubSpot:
    """The official client; every API group takes the host from the configuration."""
    endpoint = stand_ins.endpoint("hubspot")
    return HubSpot(access_token=endpoint["access_token"], host=endpoint["base_url"])


def new_contact(client: HubSpot, **properties: str) -> Any:
    given = contacts.SimplePublicObjectInputForCreate(
        properties={"email": f"{uuid4().hex}@example.com", **properties}, associations=[]
    )
    return client.crm.contacts.basic_api.create(simple_public_object_input_for_create=given)


def test_hubspots_client_lists_all_contacts_page_by_page(stand_ins: StandIns, hubspot: HubSpot) -> None:
    everyone = hubspot.crm.contacts.get_all(properties=["email", "contact_type"])
    assert [row.id for row in everyone] == [record.id for record in stand_ins.world().scan("hubspot", "contacts")]
    page = hubspot.crm.contacts.basic_api.get_page(limit=3, archived=False)
    assert len(page.results) == 3
    assert page.paging.next.after
    assert page.paging.next.link
    assert page.results[0].created_at.tzinfo is not None


def test_hubspots_client_lists_the_archived(hubspot: HubSpot) -> None:
    contact = new_contact(hubspot)
    hubspot.crm.contacts.basic_api.archive(contact.id)
    archived = hubspot.crm.contacts.get_all(archived=True)
    assert contact.id in {row.id for row in archived}
    assert all(row.archived and row.archived_at for row in archived)


def test_hubspots_client_creates_updates_and_archives(hubspot: HubSpot) -> None:
    contact = new_contact(hubspot, firstname="Ada")
    change = contacts.SimplePublicObjectInput(properties={"firstname": "Grace"})
    updated = hubspot.crm.contacts.basic_api.update(contact.id, simple_public_object_input=change)
    assert updated.properties["firstname"] == "Grace"
    hubspot.crm.contacts.basic_api.archive(contact.id)
    with pytest.raises(contacts.ApiException) as missing:
        hubspot.crm.contacts.basic_api.get_by_id(contact.id)
    assert missing.value.status == 404


def test_hubspots_client_hears_of_a_taken_email(hubspot: HubSpot) -> None:
    contact = new_contact(hubspot)
    with pytest.raises(contacts.ApiException) as conflict:
        new_contact(hubspot, email=contact.properties["email"])
    assert conflict.value.status == 409
    assert contact.id in json.loads(conflict.value.body)["message"]


def test_hubspots_client_searches(hubspot: HubSpot) -> None:
    contact = new_contact(hubspot, source_business="teelixir")
    request = contacts.PublicObjectSearchRequest(
        filter_groups=[
            {
                "filters": [
                    {"propertyName": "email", "operator": "EQ", "value": contact.properties["email"]},
                    {"propertyName": "source_business", "operator": "IN", "values": ["teelixir", "red_hill_fresh"]},
                ]
            }
        ],
        sorts=["-createdate"],
        properties=["email"],
        limit=5,
    )
    found = hubspot.crm.contacts.search_api.do_search(public_object_search_request=request)
    assert (found.total, [row.id for row in found.results]) == (1, [contact.id])


def test_hubspots_client_reads_creates_updates_upserts_and_archives_batches(hubspot: HubSpot) -> None:
    batch_api = hubspot.crm.contacts.batch_api
    addresses = [f"{uuid4().hex}@example.com" for _ in range(3)]
    created = batch_api.create(
        batch_input_simple_public_object_batch_input_for_create={
            "inputs": [{"properties": {"email": address}, "associations": []} for address in addresses]
        }
    )
    assert created.status == "COMPLETE"
    assert created.completed_at >= created.started_at
    ids = [row.id for row in created.results]
    updated = batch_api.update(
        batch_input_simple_public_object_batch_input={
            "inputs": [{"id": id, "properties": {"city": "Cairns"}} for id in ids]
        }
    )
    assert {row.id for row in updated.results} == set(ids)
    upserted = batch_api.upsert(
        batch_input_simple_public_object_batch_input_upsert={
            "inputs": [
                {"id": address, "idProperty": "email", "properties": {"state": "QLD"}}
                for address in (addresses[0], f"{uuid4().hex}@example.com")
            ]
        }
    )
    assert [row.new for row in upserted.results] == [False, True]
    read = batch_api.read(
        batch_read_input_simple_public_object_id=contacts.BatchReadInputSimplePublicObjectId(
            inputs=[contacts.SimplePublicObjectId(id=address) for address in addresses],
            id_property="email",
            properties=["city", "state"],
            properties_with_history=[],
        )
    )
    assert [row.properties["city"] for row in read.results] == ["Cairns"] * 3
    assert read.results[0].properties["state"] == "QLD"
    batch_api.archive(batch_input_simple_public_object_id={"inputs": [{"id": id} for id in ids]})
    assert not set(ids) & {row.id for row in hubspot.crm.contacts.get_all()}


def test_hubspots_client_reads_a_batch_that_failed_in_part(hubspot: HubSpot) -> None:
    """Its model of an error wants fields that HubSpot itself leaves out, so its own validation is off here."""
    hubspot.config["client_side_validation"] = False
    contact = new_contact(hubspot)
    read = hubspot.crm.contacts.batch_api.read(
        batch_read_input_simple_public_object_id=contacts.BatchReadInputSimplePublicObjectId(
            inputs=[contacts.SimplePublicObjectId(id=id) for id in (contact.id, "1")],
            properties=["email"],
            properties_with_history=[],
        )
    )
    assert [row.id for row in read.results] == [contact.id]
    assert read.num_errors == 1
    assert (read.errors[0].category, read.errors[0].context) == ("OBJECT_NOT_FOUND", {"ids": ["1"]})


def test_hubspots_client_merges_and_deletes_for_privacy(hubspot: HubSpot) -> None:
    survivor, merged = new_contact(hubspot), new_contact(hubspot)
    pair = contacts.PublicMergeInput(primary_object_id=survivor.id, object_id_to_merge=merged.id)
    assert hubspot.crm.contacts.basic_api.merge(public_merge_input=pair).id == survivor.id
    forget = contacts.PublicGdprDeleteInput(object_id=survivor.id)
    hubspot.crm.contacts.basic_api.purge(public_gdpr_delete_input=forget)
    assert not {survivor.id, merged.id} & {row.id for row in hubspot.crm.contacts.get_all()}


def test_hubspots_client_associates(hubspot: HubSpot) -> None:
    contact = new_contact(hubspot)
    company = hubspot.crm.companies.basic_api.create(
        simple_public_object_input_for_create=companies.SimplePublicObjectInputForCreate(
            properties={"name": "Bilby Pantry"}, associations=[]
        )
    )
    api = hubspot.crm.associations.v4
    spec = associations_v4.AssociationSpec(association_category="HUBSPOT_DEFINED", association_type_id=279)
    made = api.batch_api.create(
        "contacts",
        "companies",
        batch_input_public_association_multi_post={
            "inputs": [{"from": {"id": contact.id}, "to": {"id": company.id}, "types": [spec]}]
        },
    )
    assert made.results[0].to_object_id == company.id
    read = api.batch_api.get_page(
        "contacts",
        "companies",
        batch_input_public_fetch_associations_batch_request={"inputs": [{"id": contact.id}]},
    )
    assert [(end.to_object_id, end.association_types[0].type_id) for end in read.results[0].to] == [(company.id, 279)]
    listed = api.basic_api.get_page("companies", company.id, "contacts")
    assert [end.to_object_id for end in listed.results] == [contact.id]
    api.batch_api.archive(
        "contacts",
        "companies",
        batch_input_public_association_multi_archive={
            "inputs": [{"from": {"id": contact.id}, "to": [{"id": company.id}]}]
        },
    )
    assert api.basic_api.get_page("contacts", contact.id, "companies").results == []
    api.basic_api.create_default("contacts", contact.id, "companies", company.id)
    assert len(api.basic_api.get_page("contacts", contact.id, "companies").results) == 1
    api.basic_api.archive("contacts", contact.id, "companies", company.id)
    assert api.basic_api.get_page("contacts", contact.id, "companies").results == []


def test_hubspots_client_knows_every_kind_of_object(stand_ins: StandIns, hubspot: HubSpot) -> None:
    for kind in ("companies", "deals", "products", "line_items"):
        rows = hubspot.crm.objects.get_all(kind)
        assert [row.id for row in rows] == [record.id for record in stand_ins.world().scan("hubspot", kind)], kind


def test_hubspots_client_reads_owners_properties_and_pipelines(stand_ins: StandIns, hubspot: HubSpot) -> None:
    owners = hubspot.crm.owners.get_all()
    assert [owner.id for owner in owners] == [record.id for record in stand_ins.world().scan("hubspot", "owners")]
    assert hubspot.crm.owners.owners_api.get_by_id(int(owners[0].id)).email == owners[0].email
    definitions = {one.name: one for one in hubspot.crm.properties.core_api.get_all("contacts").results}
    assert definitions["contact_type"].type == "enumeration"
    assert {option.value for option in definitions["contact_type"].options} >= {"customer", "distributor", "stockist"}
    assert hubspot.crm.properties.core_api.get_by_name("contacts", "email").has_unique_value
    pipelines = hubspot.crm.pipelines.pipelines_api.get_all("deals").results
    assert hubspot.crm.pipelines.pipelines_api.get_by_id("deals", pipelines[0].id).stages


def test_hubspots_client_refreshes_a_token(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("hubspot")
    granted = HubSpot(host=endpoint["base_url"]).oauth.tokens_api.create(
        grant_type="refresh_token",
        client_id=endpoint["client_id"],
        client_secret=endpoint["client_secret"],
        refresh_token=endpoint["refresh_token"],
    )
    assert granted.expires_in == 1800
    client = HubSpot(access_token=granted.access_token, host=endpoint["base_url"])
    assert client.crm.contacts.basic_api.get_page(limit=1).results


# ---- Unleashed


def test_unleashed_py_reads_every_page(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("unleashed_teelixir")
    credentials = (endpoint["api_id"], endpoint["api_key"], endpoint["base_url"])
    for resource in ("Products", "Customers", "SalesOrders", "Invoices", "StockOnHand"):
        client = unleashed_py.Resource(resource, *credentials, pageSize=20)
        rows = json.loads(client.all_results())
        assert rows == [record.body for record in stand_ins.world().scan("unleashed_teelixir", resource)], resource


def test_unleashed_py_filters_with_a_date_in_the_query(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("unleashed_teelixir")
    credentials = (endpoint["api_id"], endpoint["api_key"], endpoint["base_url"])
    everything = json.loads(unleashed_py.Resource("SalesOrders", *credentials).all_results())
    some = unleashed_py.Resource("SalesOrders", *credentials, startDate="2026-09-01T00:00:00.000", pageSize=50)
    found = json.loads(some.all_results())
    assert 0 < len(found) < len(everything)
    assert len(found) == sum(order["OrderDate"] >= "/Date(1788220800000" for order in everything)
    status = unleashed_py.Resource("SalesOrders", *credentials, orderStatus="Placed")
    assert {order["OrderStatus"] for order in json.loads(status.all_results())} <= {"Placed"}


def test_unleashed_py_with_a_wrong_key_is_told_so(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("unleashed_teelixir")
    client = unleashed_py.Resource("Products", endpoint["api_id"], "wrong", endpoint["base_url"])
    with pytest.raises(KeyError):  # it looks for `Items` in the error body
        client.first_page()


# ---- WooCommerce


def all_pages(shop: woocommerce.API, path: str, **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = shop.get(path, params={"per_page": 50, "page": page, **query})
        assert answer.status_code == 200, answer.text
        rows += answer.json()
        if page >= int(answer.headers["x-wp-totalpages"]):
            return rows
        page += 1


def test_woocommerces_client_reads_over_http_with_oauth(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("woocommerce_red_hill_fresh")
    shop = woocommerce.API(endpoint["base_url"], endpoint["consumer_key"], endpoint["consumer_secret"])
    for resource in ("orders", "refunds", "customers", "products"):
        ids = [row["id"] for row in all_pages(shop, resource, orderby="id", order="asc")]
        records = stand_ins.world().scan("woocommerce_red_hill_fresh", resource)
        assert ids == [record.number for record in records], resource
    changed = all_pages(shop, "orders", modified_after="2026-09-01T00:00:00", dates_are_gmt="true", status="completed")
    assert {order["status"] for order in changed} == {"completed"}
    assert all(order["date_modified_gmt"] > "2026-09-01T00:00:00" for order in changed)


def test_woocommerces_client_with_a_wrong_secret_is_refused(stand_ins: StandIns) -> None:
    endpoint = stand_ins.endpoint("woocommerce_red_hill_fresh")
    answer = woocommerce.API(endpoint["base_url"], endpoint["consumer_key"], "cs_wrong").get("orders")
    assert (answer.status_code, answer.json()["code"]) == (401, "woocommerce_rest_authentication_error")


@pytest.mark.parametrize("in_query", [False, True])
def test_woocommerces_client_reads_over_https_with_its_key(
    stand_ins_over_tls: StandIns, monkeypatch: pytest.MonkeyPatch, in_query: bool
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stand_ins_over_tls.state / "authority.pem"))
    endpoint = stand_ins_over_tls.endpoint("woocommerce_red_hill_fresh")
    assert endpoint["base_url"].startswith("https://")
    shop = woocommerce.API(
        endpoint["base_url"], endpoint["consumer_key"], endpoint["consumer_secret"], query_string_auth=in_query
    )
    assert len(shop.get("orders", params={"per_page": 7}).json()) == 7
