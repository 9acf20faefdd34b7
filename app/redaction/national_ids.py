"""Checks of people's national numbers, by python-stdnum: `stdnum-COUNTRY-NAME`. None raises."""

from collections.abc import Callable
from importlib import import_module

MODULES = (
    "at.vnr", "be.nn", "bg.egn", "br.cpf", "ca.sin", "ch.ssn", "cl.rut", "cn.ric", "cz.rc", "de.idnr", "dk.cpr",
    "ee.ik", "es.dni", "es.nie", "fi.hetu", "fr.nir", "gb.nhs", "gr.amka", "hr.oib", "ie.pps", "il.idnr", "in_.aadhaar",
    "in_.pan", "it.codicefiscale", "jp.in_", "kr.rrn", "lt.asmens", "mx.curp", "my.nric", "nl.bsn", "no.fodselsnummer",
    "pl.pesel", "pt.cc", "ro.cnp", "ru.inn", "se.personnummer", "th.pin", "tr.tckimlik", "ua.rntrc", "us.ssn",
    "za.idnr",
)  # fmt: skip


def _valid(module: str) -> Callable[[str], bool]:
    def valid(text: str) -> bool:
        return bool(import_module(f"stdnum.{module}").is_valid(text))

    return valid


NATIONAL_IDS: dict[str, Callable[[str], bool]] = {
    f"stdnum-{module.replace('_', '').replace('.', '-')}": _valid(module) for module in MODULES
}
