"""The states of resources and the actions that change them."""

import pytest

from headgate.errors import HeadgateError
from headgate.model.lifecycle import Op, ResourceState, after, changeable, check_report, read_op, removable
from headgate.model.resources import Kind

EDGES = {
    (ResourceState.DRAFT, Op.PUBLISH): ResourceState.ENABLED,
    (ResourceState.ENABLED, Op.DISABLE): ResourceState.DISABLED,
    (ResourceState.DISABLED, Op.ENABLE): ResourceState.ENABLED,
}
PASSING = {"initializing", "enabling", "disabling", "updating", "deleting"}


@pytest.mark.parametrize("op", Op)
@pytest.mark.parametrize("state", ResourceState)
def test_every_state_and_action(state: ResourceState, op: Op) -> None:
    if (state, op) in EDGES:
        assert after(state, op) is EDGES[state, op]
        return
    with pytest.raises(HeadgateError) as raised:
        after(state, op)
    if op in (Op.FINALIZE, Op.FINALIZE_UPDATE):
        assert raised.value.code == "FLOW-1409-400"
    else:
        assert raised.value.code == ("FLOW-1421-400" if state.value in PASSING else "FLOW-1422-400")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.CONNECTION, "FLOW-1416-400"),
        (Kind.SOURCE_CONNECTION, "FLOW-1457-400"),
        (Kind.TARGET_CONNECTION, "FLOW-1457-400"),
        (Kind.FLOW, "FLOW-1420-400"),
    ],
)
@pytest.mark.parametrize("state", ResourceState)
def test_states_that_pass_forbid_changes(state: ResourceState, kind: Kind, code: str) -> None:
    if state.value not in PASSING:
        changeable(kind, state)
        return
    with pytest.raises(HeadgateError, match=state.value) as raised:
        changeable(kind, state)
    assert raised.value.code == code


@pytest.mark.parametrize("kind", [Kind.CONNECTION, Kind.SOURCE_CONNECTION, Kind.TARGET_CONNECTION, Kind.FLOW])
@pytest.mark.parametrize("state", ResourceState)
def test_states_that_pass_forbid_deletion(state: ResourceState, kind: Kind) -> None:
    if state.value not in PASSING:
        removable(kind, state)
        return
    with pytest.raises(HeadgateError, match=state.value) as raised:
        removable(kind, state)
    assert raised.value.code == ("FLOW-1416-400" if kind is Kind.CONNECTION else "FLOW-1458-400")


@pytest.mark.parametrize(
    ("word", "op"),
    [
        ("publish", Op.PUBLISH),
        ("PUBLISH", Op.PUBLISH),
        ("Enable", Op.ENABLE),
        ("FINALIZE_UPDATE", Op.FINALIZE_UPDATE),
        ("finalize-update", Op.FINALIZE_UPDATE),
        ("finalizeUpdate", Op.FINALIZE_UPDATE),
    ],
)
def test_words_of_one_action(word: str, op: Op) -> None:
    assert read_op(Kind.FLOW, word, None, by_service=True) is op


@pytest.mark.parametrize(
    ("kind", "word", "sub_ops", "by_service", "code"),
    [
        (Kind.FLOW, "", None, True, "CONNECTOR-1398-400"),
        (Kind.FLOW, "bogus", None, True, "CONNECTOR-1398-400"),
        (Kind.CONNECTION, "enable", None, True, "CONNECTOR-1398-400"),
        (Kind.FLOW, "finalize", None, False, "FLOW-1402-400"),
        (Kind.CONNECTION, "finalize_update", None, False, "FLOW-1402-400"),
        (Kind.FLOW, "finalize", "bogus", True, "FLOW-1435-400"),
        (Kind.FLOW, "finalize", "apply,", True, "FLOW-1435-400"),
        (Kind.FLOW, "finalize", "PROGRESS,APPLY", True, "FLOW-1406-400"),
        (Kind.FLOW, "enable", "APPLY", False, "FLOW-1436-400"),
        (Kind.FLOW, "publish", "rollback", False, "FLOW-1436-400"),
    ],
)
def test_actions_that_are_refused(kind: Kind, word: str, sub_ops: str | None, by_service: bool, code: str) -> None:
    with pytest.raises(HeadgateError) as raised:
        read_op(kind, word, sub_ops, by_service=by_service)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("report", "sub_ops"),
    [
        ({}, None),
        ({"percentCompleted": 40}, "progress"),
        ({"percentCompleted": 100, "status": {"value": "COMPLETED"}}, None),
        ({"percentCompleted": 40, "status": {"value": "IN_PROGRESS"}}, "PROGRESS"),
        ({"percentCompleted": 100.0, "status": {"value": "partial-failure"}}, "rollback"),
        ({"status": "SUCCESS"}, "apply"),
    ],
)
def test_reports_that_make_sense(report: dict[str, object], sub_ops: str | None) -> None:
    check_report(report, sub_ops)


@pytest.mark.parametrize(
    ("report", "sub_ops", "code"),
    [
        ({"status": {"value": "DONE"}}, None, "FLOW-1437-400"),
        ({"status": {}}, None, "FLOW-1437-400"),
        ({"status": 7}, None, "FLOW-1437-400"),
        ({"status": {"value": "FAILED"}}, "progress", "FLOW-1407-400"),
        ({"status": {"value": "SUCCESS"}, "percentCompleted": 99}, "apply", "FLOW-1408-400"),
        ({"status": {"value": "FAILED"}, "percentCompleted": "all"}, None, "FLOW-1408-400"),
    ],
)
def test_reports_that_are_refused(report: dict[str, object], sub_ops: str | None, code: str) -> None:
    with pytest.raises(HeadgateError) as raised:
        check_report(report, sub_ops)
    assert raised.value.code == code
