import pytest

from wbc.errors import ConfigError, DataError
from wbc.labels import CLASSES, USUAL_SPELLINGS, ClassNames, names_of_model


def test_the_order_is_fixed():
    assert CLASSES == ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *[(name, name) for name in CLASSES],
        ("neutrophils", "Neutrophil"),
        ("NEUTROPHIL", "Neutrophil"),
        ("NEU", "Neutrophil"),
        ("SNE", "Neutrophil"),
        ("bne", "Neutrophil"),
        ("Segmented_Neutrophils", "Neutrophil"),
        ("band-neutrophil", "Neutrophil"),
        ("neutrophile", "Neutrophil"),
        ("BA", "Basophil"),
        ("BAS", "Basophil"),
        (" Baso ", "Basophil"),
        ("EO", "Eosinophil"),
        ("EOS", "Eosinophil"),
        ("LY", "Lymphocyte"),
        ("LYM", "Lymphocyte"),
        ("Lymphozyten", "Lymphocyte"),
        ("MO", "Monocyte"),
        ("mono", "Monocyte"),
    ],
)
def test_usual_spellings(spelling, name):
    assert ClassNames(CLASSES).find(spelling) == name


def test_no_spelling_stands_for_two_classes():
    spellings = [word.replace(" ", "") for words in USUAL_SPELLINGS.values() for word in words]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize("spelling", ["ig", "erythroblast", "platelet", "", "n", "LYA", "cells"])
def test_other_names_are_no_class(spelling):
    assert ClassNames(CLASSES).find(spelling) is None


def test_the_error_for_unknown_names_says_where_what_and_the_mend():
    problem = ClassNames(CLASSES).unknown(["ig", "blast", "ig"], "folders under cells")
    assert isinstance(problem, DataError)
    for part in ("folders under cells", "'blast', 'ig'", "Basophil", "data.aliases", "data.classes"):
        assert part in str(problem)


def test_own_classes_and_aliases():
    names = ClassNames(["Neutrophil", "Band", "Erythroblasts"], {"BNE": "Band", "NRBC": "Erythroblasts"})
    found = [names.find(word) for word in ("SNE", "bne", "bands", "nrbc", "Basophil")]
    assert found == ["Neutrophil", "Band", "Band", "Erythroblasts", None]


def test_a_class_of_that_name_wins_over_a_usual_spelling():
    assert ClassNames(["Neutrophil", "SNE"]).find("sne") == "SNE"


@pytest.mark.parametrize(
    ("classes", "aliases", "complaint"),
    [
        (["Basophil"], {}, "two classes or more"),
        (["Basophil", "baso phil"], {}, "'Basophil' and 'baso phil' read alike"),
        (["Basophil", "--"], {}, "'--'"),
        (["Basophil", "Monocyte"], {"NEU": "Neutrophil"}, "'NEU' leads to 'Neutrophil'"),
        (["Basophil", "Monocyte"], {"monocyte": "Basophil"}, "'monocyte' is a class itself"),
    ],
)
def test_contradictory_names_are_refused(classes, aliases, complaint):
    with pytest.raises(ConfigError, match=complaint):
        ClassNames(classes, aliases)


def test_a_model_reads_the_spellings_of_its_own_lab_and_takes_no_other_class():
    provenance = {"config": {"data": {"aliases": {"poly": "Neutrophil"}}}}
    names = names_of_model(CLASSES, provenance)
    assert names.find("Poly") == "Neutrophil"
    assert "data.classes" not in str(names.unknown(["Blast"], "here"))
    assert names_of_model(CLASSES, {"adapted": {}}).find("poly") is None  # a file that does not tell
