import pytest


@pytest.mark.parametrize(
    ("price", "currency", "quantity", "discount", "tax", "net", "taxed"),
    [
        ("0.0050", "EUR", 1, "0", "0", "0.01", "0.00"),
        ("0.0049", "EUR", 1, "0", "0", "0.00", "0.00"),
        ("1.0050", "EUR", 1, "0", "0", "1.01", "0.00"),
        ("2.6750", "EUR", 1, "0", "0", "2.68", "0.00"),
        ("100.0000", "EUR", 3, "12.5", "19", "262.50", "49.88"),
        ("10.0000", "EUR", 1, "100", "19", "0.00", "0.00"),
        ("10.5000", "JPY", 1, "0", "10", "11", "1"),
        ("1.2345", "KWD", 1, "0", "0", "1.235", "0.000"),
    ],
)
async def test_each_line_is_rounded_half_up_to_the_currencys_minor_units(
    lab, price, currency, quantity, discount, tax, net, taxed
):
    product = await lab.product(price, 100, currency, tax)
    told = (
        await lab.ask(
            "calculate_pricing", {"lines": [{"product": product, "quantity": quantity, "discount_percent": discount}]}
        )
    )["pricing"]
    assert told["net"] == {"amount": net, "currency": currency}
    assert told["tax"] == {"amount": taxed, "currency": currency}


async def test_the_total_is_the_sum_of_its_rounded_lines(lab):
    product = await lab.product("0.0050", 100)
    told = await lab.ask("calculate_pricing", {"lines": [{"product": product, "quantity": 1}] * 3})
    assert told["pricing"]["gross"]["amount"] == "0.03"


async def test_a_shortage_of_stock_is_named(lab):
    product = await lab.product("5", 3)
    told = await lab.ask("calculate_pricing", {"lines": [{"product": product, "quantity": 10}]})
    assert told["_meta"]["shortOfStock"] == [{"product": product, "missing": 7}]
    assert (
        "shortOfStock"
        not in (await lab.ask("calculate_pricing", {"lines": [{"product": product, "quantity": 3}]}))["_meta"]
    )


async def test_nothing_is_ordered(lab, owner_asks):
    product, before = await lab.product("5", 3), owner_asks("select count(*) from crm.orders")
    await lab.ask("calculate_pricing", {"lines": [{"product": product, "quantity": 1}]})
    assert owner_asks("select count(*) from crm.orders") == before


async def test_two_lines_of_one_product_share_its_stock(lab):
    product = await lab.product("5", 3)
    told = await lab.ask("calculate_pricing", {"lines": [{"product": product, "quantity": 2}] * 2})
    assert told["_meta"]["shortOfStock"] == [{"product": product, "missing": 1}]


async def test_finance_may_ask_what_something_costs(lab, owner_asks):
    product = owner_asks(
        "select 'prod_' || p.id from crm.products p join crm.orgs o on o.id = p.org_id and o.slug = 'demo'"
        " where not p.discontinued order by p.id limit 1"
    )
    told = await lab.ask("calculate_pricing", {"lines": [{"product": product, "quantity": 2}]}, "fin@demo.example")
    assert told["pricing"]["lines"][0]["quantity"] == 2
