"""Currencies by ISO 4217, which one a country has, and how small its unit is."""

from __future__ import annotations

from kilowatch.catalog.tables import Organisation
from kilowatch.model.errors import KilowatchError

_COUNTRIES = {
    "EUR": "AD AT AX BE BG BL CY DE EE ES FI FR GF GP GR HR IE IT LT LU LV MC ME MF MQ MT NL PM PT "
    "RE SI SK SM TF VA XK YT",
    "USD": "AS BQ EC FM GU IO MH MP PR PW SV TC TL UM US VG VI",
    "GBP": "GB GG GS IM JE",
    "AUD": "AU CC CX HM KI NF NR TV",
    "NZD": "CK NU NZ PN TK",
    "CHF": "CH LI",
    "DKK": "DK FO GL",
    "NOK": "BV NO SJ",
    "XOF": "BF BJ CI GW ML NE SN TG",
    "XAF": "CF CG CM GA GQ TD",
    "XCD": "AG AI DM GD KN LC MS VC",
    "XPF": "NC PF WF",
    "XCG": "CW SX",
    "ILS": "IL PS",
    "MAD": "EH MA",
    "AED": "AE", "AFN": "AF", "ALL": "AL", "AMD": "AM", "AOA": "AO", "ARS": "AR", "AWG": "AW",
    "AZN": "AZ", "BAM": "BA", "BBD": "BB", "BDT": "BD", "BHD": "BH", "BIF": "BI", "BMD": "BM",
    "BND": "BN", "BOB": "BO", "BRL": "BR", "BSD": "BS", "BTN": "BT", "BWP": "BW", "BYN": "BY",
    "BZD": "BZ", "CAD": "CA", "CDF": "CD", "CLP": "CL", "CNY": "CN", "COP": "CO", "CRC": "CR",
    "CUP": "CU", "CVE": "CV", "CZK": "CZ", "DJF": "DJ", "DOP": "DO", "DZD": "DZ", "EGP": "EG",
    "ERN": "ER", "ETB": "ET", "FJD": "FJ", "FKP": "FK", "GEL": "GE", "GHS": "GH", "GIP": "GI",
    "GMD": "GM", "GNF": "GN", "GTQ": "GT", "GYD": "GY", "HKD": "HK", "HNL": "HN", "HTG": "HT",
    "HUF": "HU", "IDR": "ID", "INR": "IN", "IQD": "IQ", "IRR": "IR", "ISK": "IS", "JMD": "JM",
    "JOD": "JO", "JPY": "JP", "KES": "KE", "KGS": "KG", "KHR": "KH", "KMF": "KM", "KPW": "KP",
    "KRW": "KR", "KWD": "KW", "KYD": "KY", "KZT": "KZ", "LAK": "LA", "LBP": "LB", "LKR": "LK",
    "LRD": "LR", "LSL": "LS", "LYD": "LY", "MDL": "MD", "MGA": "MG", "MKD": "MK", "MMK": "MM",
    "MNT": "MN", "MOP": "MO", "MRU": "MR", "MUR": "MU", "MVR": "MV", "MWK": "MW", "MXN": "MX",
    "MYR": "MY", "MZN": "MZ", "NAD": "NA", "NGN": "NG", "NIO": "NI", "NPR": "NP", "OMR": "OM",
    "PAB": "PA", "PEN": "PE", "PGK": "PG", "PHP": "PH", "PKR": "PK", "PLN": "PL", "PYG": "PY",
    "QAR": "QA", "RON": "RO", "RSD": "RS", "RUB": "RU", "RWF": "RW", "SAR": "SA", "SBD": "SB",
    "SCR": "SC", "SDG": "SD", "SEK": "SE", "SGD": "SG", "SHP": "SH", "SLE": "SL", "SOS": "SO",
    "SRD": "SR", "SSP": "SS", "STN": "ST", "SYP": "SY", "SZL": "SZ", "THB": "TH", "TJS": "TJ",
    "TMT": "TM", "TND": "TN", "TOP": "TO", "TRY": "TR", "TTD": "TT", "TWD": "TW", "TZS": "TZ",
    "UAH": "UA", "UGX": "UG", "UYU": "UY", "UZS": "UZ", "VES": "VE", "VND": "VN", "VUV": "VU",
    "WST": "WS", "YER": "YE", "ZAR": "ZA", "ZMW": "ZM", "ZWG": "ZW",
}  # fmt: skip
CURRENCIES: tuple[str, ...] = tuple(sorted(_COUNTRIES))
"""Codes in use, in the order of letters (ISO 4217, January 2026: Bulgaria has the euro)."""

_BY_COUNTRY = {
    country: currency for currency, countries in _COUNTRIES.items() for country in countries.split()
}
_TENS = {
    1: "BOB BWP CNY CZK DKK DOP EGP ERN ETB GHS GTQ HKD HNL LSL MAD MDL MOP MRU MVR MXN NAD NIO "
    "NOK PHP SAR SCR SEK SRD SZL THB TJS TMT TRY TWD UAH UYU VES ZAR ZMW ZWG",
    2: "AFN ALL AOA BDT BTN CUP CVE DJF DZD FKP GMD GYD HTG HUF INR ISK JMD JPY KES KGS KMF LKR "
    "LRD MKD MUR MZN NPR PKR RSD RUB SDG SOS TTD VUV XPF YER",
    3: "AMD ARS CDF CLP COP CRC IQD KPW KRW KZT MMK MNT MWK NGN RWF SSP TZS XAF XOF",
    5: "BIF GNF IDR IRR KHR LAK LBP MGA PYG SLE STN SYP UGX UZS VND",
}
_SCALE = {code: 10.0**tens for tens, codes in _TENS.items() for code in codes.split()}


def currency_of(organisation: Organisation) -> str:
    """Return an organisation's currency: what it chose, or else its country's."""
    return organisation.currency or _BY_COUNTRY.get(organisation.country, "EUR")


def check_currency(code: str) -> str:
    """Return a currency's code in capitals.

    Raises:
        KilowatchError: ``unknown_currency``.
    """
    wanted = code.strip().upper()
    if wanted not in _COUNTRIES:
        raise KilowatchError(
            "unknown_currency",
            f"{code!r} is not a currency.",
            remedy="Use three letters of ISO 4217, such as EUR, GBP or USD.",
            data={"field": "currency"},
        )
    return wanted


def scale_of(currency: str) -> float:
    """Return roughly how many of it are worth a euro, rounded up to a power of ten.

    It is only for refusing prices that can only be slips; it is no rate of exchange.
    """
    return _SCALE.get(currency, 1.0)
