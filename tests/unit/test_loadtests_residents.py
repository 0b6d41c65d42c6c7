"""The people of load tests are people the doors let in."""

from loadtests.residents import residents
from services.domain.documents import DocumentType, canonical
from services.domain.phones import canonical_phone


def test_every_resident_passes_the_checks_of_the_doors() -> None:
    for resident in residents(3_000, seed=1):
        assert canonical(resident.document_type, resident.document_number)
        assert canonical_phone(resident.phone) == resident.phone


def test_all_residents_are_different_people_with_all_kinds_of_documents() -> None:
    people = list(residents(5_000, seed=2))
    assert len({(each.document_type, canonical(each.document_type, each.document_number)) for each in people}) == 5_000
    assert len({each.phone for each in people}) == 5_000
    assert {each.document_type for each in people} == set(DocumentType)


def test_the_same_seed_gives_the_same_people_and_another_one_others() -> None:
    assert list(residents(50, seed=3)) == list(residents(50, seed=3))
    assert list(residents(50, seed=3)) != list(residents(50, seed=4))
