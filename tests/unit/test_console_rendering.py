"""What the console's own filters write."""

from headgate.console.rendering import cells, coded


def test_each_cell_of_a_row_has_its_role_and_the_name_of_its_column() -> None:
    rows = '<tr class="a"><td>1</td><td class="b">&lt;td></td></tr><tr><td>2</td></tr>'
    assert cells(rows, ["A", 'B "c"']) == (
        '<tr role="row" class="a"><td role="cell" data-label="A">1</td>'
        '<td role="cell" data-label="B &#34;c&#34;" class="b">&lt;td></td></tr>'
        '<tr role="row"><td role="cell" data-label="A">2</td></tr>'
    )


def test_what_stands_between_backticks_is_code() -> None:
    assert coded("Send `a <b>`, not `c") == "Send <code>a &lt;b&gt;</code>, not `c"
