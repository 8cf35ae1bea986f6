"""`foretell doctor`: a line for each thing it looked for."""


def test_as_json(foretell):
    found = foretell("doctor", "--json").json
    assert {"python", "torch", "store"} <= {finding["name"] for finding in found}
    assert all(finding["ok"] or finding["remedy"] for finding in found)


def test_as_a_table(foretell):
    marks = {line.split()[0] for line in foretell("doctor").out.splitlines()[1:]}
    assert "ok" in marks
    assert marks <= {"ok", "--"}
