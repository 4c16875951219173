"""Every question of the notebooks can be answered, and is explained."""


def test_a_question_asks_for_statements_or_numbers_and_explains_the_answer(question):
    assert question.text.endswith("?")
    assert question.why.endswith((".", "*.", "*", ")"))
    assert len(question.options) != 1
    assert question.low < question.high
    assert len(set(question.options)) == len(question.options)
