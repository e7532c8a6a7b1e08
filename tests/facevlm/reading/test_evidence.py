from facevlm.reading.evidence import said_about


def test_the_first_sentence_that_claims_it():
    text = "The brows are lowered (AU4). AU12 is not seen. Cheeks raised, AU6 and AU7; AU4 is strong."
    assert said_about(text) == {4: "The brows are lowered (AU4).", 6: "Cheeks raised, AU6 and AU7;",
                                7: "Cheeks raised, AU6 and AU7;"}  # fmt: skip


def test_by_name_and_without_thinking():
    assert said_about("A lip corner puller shows.") == {12: "A lip corner puller shows."}
    assert said_about(None) == {} and said_about("") == {}
