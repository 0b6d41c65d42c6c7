"""Templates: what people wrote is text, whatever it looks like."""

from services.platform.markup import Html, Templates, joined, safe

COUNTER = Templates("services.counter.pages", "counter.css")


def test_what_is_filled_in_is_escaped_unless_it_was_made_here() -> None:
    line = COUNTER.fill("remark", {}, remark='<script>"{name}" & more')
    assert "&lt;script&gt;&quot;{name}&quot; &amp; more" in line
    assert "<b>bold</b>" in COUNTER.fill("remark", {}, remark=Html("<b>bold</b>"))
    assert isinstance(line, Html)
    assert safe(line) is line


def test_values_come_before_words() -> None:
    assert "mine" in COUNTER.fill("remark", {"remark": "theirs"}, remark="mine")


def test_a_stylesheet_has_another_path_when_it_has_another_content() -> None:
    path, content = COUNTER.stylesheet()
    assert path.startswith("/counter-")
    assert path.endswith(".css")
    assert content
    assert Templates("services.console.pages", "console.css").stylesheet()[0] != path


def test_pieces_stand_one_behind_the_other() -> None:
    assert joined([Html("<a>"), Html("</a>")]) == "<a>\n</a>"
