"""Vast's offers: their summary by GPU, and the figures that they give to the price table."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import pytest

from tests.fleet.fleet import quick
from tests.prices.market import OFFERS, offer
from worker.errors import VastKeyRefused, VastUnreachable
from worker.fleet.vast.account import Account
from worker.fleet.vast.offer_rows import read_offers
from worker.prices.offers import Offer, live_figures, summarize
from worker.prices.price_file import load_prices
from worker.prices.vast_billing import VastRates
from worker.simulators.vast_account import AccountFaultConfig, CallFault, LocalAccount, run_in_thread

TODAY = datetime.date(2026, 11, 30)


@pytest.fixture
def local() -> Iterator[LocalAccount]:
    """An account at a market with a few offers."""
    with run_in_thread() as local:
        local.holdings.offers += OFFERS
        yield local


@pytest.fixture
def account(local: LocalAccount) -> Iterator[Account]:
    """A client of the account with short retries."""
    with quick(local) as account:
        yield account


def test_offers_are_summarized_by_gpu(account: Account) -> None:
    """Each GPU has its number of offers, median and quartiles. The cheapest one is first.

    A 4090 costs 0.30, 0.40, 0.50, 0.60 or 0.80: the median is 0.50, and the quartiles are 0.40 and 0.60. The A100s are
    told apart by their memory: one with 40 GB for 0.90, and two with 80 GB for 1.10 and 1.30, whose quartiles are 1.15
    and 1.25. Machines with two GPUs, those that are rented, and those that are not verified do not count.
    """
    rows = [
        (row.gpu, row.count, row.lower_quartile, row.median, row.upper_quartile) for row in summarize(account.offers())
    ]
    assert rows == [
        ("RTX 4090", 5, 0.40, 0.50, 0.60),
        ("A100 40GB", 1, 0.90, 0.90, 0.90),
        ("A100 80GB", 2, pytest.approx(1.15), pytest.approx(1.20), pytest.approx(1.25)),
        ("H100", 1, 2.40, 2.40, 2.40),
        ("Quantum 9", 1, 9.99, 9.99, 9.99),
    ]


def test_hosts_set_storage_and_traffic(account: Account) -> None:
    """The prices of storage and traffic are medians: of 0.15, 0.10, 0.20, 0.15 and 0.15 it is 0.15."""
    summary = summarize(account.offers())[0]
    assert (summary.storage_usd_gb_month, summary.download_usd_gb, summary.upload_usd_gb) == (0.15, 0.003, 0.002)


def test_offers_complete_the_price_table(account: Account) -> None:
    """Offers replace the prices of their GPUs, with their date, and give the prices that no page publishes."""
    table = load_prices().merged(live_figures(account.offers(), TODAY))
    price = table.gpu("vast", "RTX 4090")
    assert (price.amount, price.date, price.source) == (0.50, "2026-11-30", "Vast's offers, 5")
    assert [figure.amount for figure in table.gpu_range("vast", "RTX 4090")] == [0.40, 0.60]
    assert table.gpu("vast", "B200") == load_prices().gpu("vast", "B200")
    rates = VastRates.of(table, "RTX 4090")
    assert rates.storage_usd_gb_s == pytest.approx(0.15 / 30 / 24 / 3600)
    assert rates.download_usd_gb == 0.003


@pytest.mark.parametrize(
    "row",
    [
        offer("RTX 4090", -1.0),
        offer("RTX 4090", float("nan")),
        {**offer("RTX 4090", 1.0), "dph_total": "1.0"},
        {**offer("RTX 4090", 1.0), "dph_total": True},
        {**offer("RTX 4090", 1.0), "gpu_name": None},
        "no row",
    ],
    ids=str,
)
def test_rows_without_a_price_are_left_out(row: object) -> None:
    """Vast's JSON is checked: a row without a GPU or without a price is no offer."""
    assert read_offers([row, offer("RTX 3090", 0.2)]) == (Offer("RTX 3090", 0.2, 0.15, 0.003, 0.002),)


def test_a_response_without_a_list_has_no_offers() -> None:
    """A response of another shape has no offers, and no offers have no figures."""
    assert read_offers({"offers": 1}) == ()
    assert summarize(()) == ()
    assert live_figures((), TODAY) == {}


def test_a_failed_search_is_repeated(local: LocalAccount, account: Account) -> None:
    """A search is repeated after a failure, like other calls, until the time for retries is over."""
    local.configure(AccountFaultConfig(faults={1: CallFault.ERROR_502, 2: CallFault.LIMITED}))
    assert len(account.offers()) == 10
    local.configure(AccountFaultConfig(faults=dict.fromkeys(range(1, 99), CallFault.ERROR_500)))
    with quick(local, 0.5) as hasty, pytest.raises(VastUnreachable):
        hasty.offers()


def test_a_wrong_key_is_an_error(local: LocalAccount) -> None:
    """Vast rejects a search with a wrong key."""
    with Account("wrong", local.url) as account, pytest.raises(VastKeyRefused, match="invalid user key"):
        account.offers()
