"""Writes down what Stripe's SDKs say of objects and endpoints: contract/stripe-{objects,endpoints}.json.

    extract.py --python-sdk DIR --node-sdk DIR --out DIR

DIR of the Python SDK is the installed package `stripe`; of the Node SDK, node_modules/stripe. Types come
from the former, what may be absent and what may be null from the latter. The output is sorted, so that
the same SDKs give the same bytes. See contract/README.md for the format.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from sdk import Sdk, Types, Unreadable, requests
from typescript import Declarations, Unparsed

# The objects that the contract describes. What they refer to beyond these (an Issuing card, say) stays a
# name: its id is accepted, the whole object is not.
OBJECTS = """
    account balance_transaction billing.alert billing.alert_triggered billing.credit_balance_summary
    billing.credit_balance_transaction billing.credit_grant billing.feedback_option billing.meter
    billing.meter_event billing.meter_event_adjustment billing.meter_event_summary
    billing_portal.configuration billing_portal.session cash_balance charge checkout.session coupon
    credit_note credit_note_line_item customer customer_balance_transaction
    customer_cash_balance_transaction customer_session discount entitlements.active_entitlement
    entitlements.feature event invoice invoice_payment invoice_rendering_template invoiceitem item
    line_item payment_intent payment_method plan price product product_feature promotion_code refund
    setup_intent shipping_rate subscription subscription_item subscription_schedule tax_code tax_id
    tax_rate test_helpers.test_clock v2.billing.meter_event v2.billing.meter_event_adjustment
    v2.billing.meter_event_session v2.core.event v2.core.event_destination webhook_endpoint
""".split()

# Fields that are sent only when asked for with `expand`. No SDK marks them; Stripe's reference does.
INCLUDABLE = {
    "checkout.session": ["line_items"],
    "coupon": ["applies_to", "currency_options"],
    "customer": [
        "cash_balance",
        "invoice_credit_balance",
        "sources",
        "subscriptions",
        "tax",
        "tax_ids",
    ],
    "invoice": ["confirmation_secret", "payments"],
    "plan": ["tiers"],
    "price": ["currency_options", "tiers"],
}

# Which endpoints are described with all their parameters: group -> service files of the Python SDK.
GROUPS = {
    "Meters, credits and alerts": ["billing/*_service.py"],
    "Billing v2": ["v2/billing/*_service.py"],
    "Core v2": ["v2/core/**/*_service.py"],
    "Products and prices": [
        "_product_service.py",
        "_product_feature_service.py",
        "_price_service.py",
        "_plan_service.py",
        "entitlements/*_service.py",
    ],
    "Customers": ["_customer_service.py", "_customer_*_service.py"],
    "Subscriptions": ["_subscription_service.py", "_subscription_*_service.py"],
    "Invoices": ["_invoice_service.py", "_invoice_*_service.py"],
    "Credit notes": ["_credit_note_service.py", "_credit_note_*_service.py"],
    "Discounts": ["_coupon_service.py", "_promotion_code_service.py"],
    "Taxes": ["_tax_rate_service.py", "_tax_id_service.py", "_tax_code_service.py"],
    "Events and webhooks": ["_event_service.py", "_webhook_endpoint_service.py"],
    "Customer portal": ["billing_portal/*_service.py"],
    "Checkout": ["checkout/*_service.py"],
    "Payments": [
        "_payment_method_service.py",
        "_payment_intent_service.py",
        "_setup_intent_service.py",
        "_charge_service.py",
        "_refund_service.py",
        "_balance_transaction_service.py",
    ],
    "Accounts": ["_account_service.py"],
    "Test clocks": ["test_helpers/_test_clock_service.py"],
}


class Disagreement(Exception):
    """The two SDKs, or a table above and an SDK, do not say the same."""


def objects(sdk, types, nodes, declarations):
    """{object name: {"fields": ..., "deleted": ...}}."""
    described = {}
    for name in OBJECTS:
        module, node = nodes[name]
        if "int64_string" in module.path.read_text(encoding="utf-8"):
            raise Disagreement(f"{name} has integers in strings: teach the contract that type")
        fields = types.struct(node, module, [])
        deletable = fields.pop("deleted", None)
        living, gone = declarations.objects(name)
        if living is None:
            raise Disagreement(f"the Node SDK has no object {name}")
        if gone and not deletable:
            raise Disagreement(f"only the Node SDK deletes {name}")
        entry = {"fields": with_presence(fields, living, declarations, name)}
        if gone:
            entry["deleted"] = deleted_stub(types.struct(node, module, []), gone, declarations, name)
        for field in INCLUDABLE.get(name, []):
            if not entry["fields"][field].get("optional"):
                raise Disagreement(f"{name}.{field} is always sent, so it is not includable")
            entry["fields"][field]["includable"] = True
        described[name] = entry
    return described


def deleted_stub(fields, interface, declarations, name):
    """The fields of a deleted object: a subset of the living one's."""
    stub = {}
    for field in interface.fields:
        if field == "deleted":
            stub[field] = {"type": "true", "nullable": True}
        else:
            stub[field] = fields[field]
        absent, null, _ = interface.fields[field]
        stub[field]["nullable"] = absent or null
    return with_presence(stub, interface, declarations, f"deleted {name}")


def with_presence(fields, interface, declarations, where):
    """Splits the Python SDK's `Optional` into `nullable` and `optional`, as the Node SDK has it."""
    missing = set(interface.fields) - set(fields) - {"deleted"}
    if missing:
        raise Disagreement(f"{where}: only the Node SDK has {sorted(missing)}")
    for field, schema in fields.items():
        place = f"{where}.{field}"
        if field not in interface.fields:
            raise Disagreement(f"{place}: only the Python SDK has it")
        absent, null, _ = interface.fields[field]
        optional = schema.pop("nullable", False)
        if (absent or null) and not optional:
            raise Disagreement(f"{place}: only the Node SDK has it optional")
        absent = absent or (optional and not null)
        if null:
            schema["nullable"] = True
        if absent:
            schema["optional"] = True
        struct = innermost_struct(schema)
        if struct:
            nested = declarations.nested(interface, field)
            if nested is None:
                raise Disagreement(f"{place}: the Node SDK has no structure for it")
            with_presence(struct, nested, declarations, place)
    return fields


def innermost_struct(schema):
    """The fields of the structure that a type holds, through arrays, lists and maps."""
    while "of" in schema and isinstance(schema["of"], dict):
        schema = schema["of"]
    return schema.get("fields")


def endpoints(sdk, types):
    """(the described endpoints, the `METHOD path` of all others)."""
    described, grouped = [], set()
    for group, patterns in GROUPS.items():
        paths = sorted({path for pattern in patterns for path in sdk.root.glob(pattern)})
        if not paths:
            raise Disagreement(f"no service files for {group}")
        for path in paths:
            grouped.add(path)
            module, calls = requests(sdk, path)
            described += [endpoint(call, group, module, sdk, types) for call in calls]
    others = set()
    for path in set(sdk.root.rglob("*_service.py")) - grouped:
        others |= {f"{call['method']} {call['path']}" for call in requests(sdk, path)[1]}
    described.sort(key=lambda it: (list(GROUPS).index(it["group"]), it["path"], it["method"]))
    keys = [f"{it['method']} {re.sub('{[^}]*}', '{}', it['path'])}" for it in described]
    if len(keys) != len(set(keys)):
        raise Disagreement("two services make the same request")
    return described, sorted(others)


def endpoint(call, group, module, sdk, types):
    """One endpoint: {group, method, path, service, returns, params}."""
    params = {}
    if call["params"]:
        where, node, _ = sdk.resolve(call["params"], module, [])
        params = as_params(types.struct(node, where, []))
    answered = call["returns"].value != "None"
    returns = types.read(call["returns"], module, []) if answered else None
    return {
        "group": group,
        "method": call["method"],
        "params": params,
        "path": call["path"],
        "returns": returns,
        "service": call["service"],
    }


def as_params(fields):
    """Turns `not_required` around: what must be sent is the exception worth marking."""
    for schema in fields.values():
        if not schema.pop("not_required", False):
            schema["required"] = True
        for inner in structs_within(schema):
            as_params(inner)
    return fields


def structs_within(schema):
    """The structures that a parameter's type holds, through arrays, maps and unions."""
    if "fields" in schema:
        yield schema["fields"]
    of = schema.get("of", [])
    for inner in of if isinstance(of, list) else [of]:
        yield from structs_within(inner)


def versions(sdk, node_root):
    """Which SDKs and which API version were read."""
    version = (sdk.root / "_version.py").read_text(encoding="utf-8")
    api = (sdk.root / "_api_version.py").read_text(encoding="utf-8")
    node = json.loads((Path(node_root) / "package.json").read_text(encoding="utf-8"))
    return {
        "api_version": re.search(r'CURRENT = "([^"]+)"', api).group(1),
        "stripe-node": node["version"],
        "stripe-python": re.search(r'VERSION = "([^"]+)"', version).group(1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python-sdk", required=True)
    parser.add_argument("--node-sdk", required=True)
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    sdk = Sdk(arguments.python_sdk)
    nodes = sdk.objects()
    types = Types(sdk, nodes)
    source = versions(sdk, arguments.node_sdk)
    described = objects(sdk, types, nodes, Declarations(arguments.node_sdk))
    errors = sdk.module("stripe._error_object")
    calls, others = endpoints(sdk, types)
    arguments.out.mkdir(parents=True, exist_ok=True)
    # Invoices are where the SDKs list the codes of errors.
    codes = described["invoice"]["fields"]["last_finalization_error"]["fields"]["code"]["values"]
    error = {"codes": codes, "fields": sorted(types.struct(errors.classes["ErrorObject"], errors, []))}
    write(
        arguments.out / "stripe-objects.json",
        {"source": source, "objects": described, "error": error},
    )
    write(
        arguments.out / "stripe-endpoints.json",
        {"source": source, "endpoints": calls, "others": others},
    )


def write(path, value):
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (Disagreement, Unparsed, Unreadable) as problem:
        sys.exit(f"extract: {problem}")
