"""What is restored is what was backed up: every row, right, owner and policy; and nothing old opens anything."""


def test_x(crm, made, fresh):
    said = crm(fresh, "restore", made)
    print(said.output, said.exception)
    assert said.exit_code == 0
    assert crm(fresh, "backup", "--check", made).exit_code == 0
