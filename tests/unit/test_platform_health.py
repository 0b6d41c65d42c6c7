"""Whether a process can do its work right now."""

from services.platform.health import Health


def test_a_process_is_not_ready_before_it_has_started() -> None:
    health = Health()
    assert health.failing() == {"start": "still starting"}
    health.started()
    assert health.failing() == {}


def test_a_check_is_asked_at_each_look() -> None:
    state: dict[str, str | None] = {"kafka": "no broker answers"}
    health = Health()
    health.add("kafka", lambda: state["kafka"])
    health.started()
    assert health.failing() == {"kafka": "no broker answers"}
    state["kafka"] = None
    assert health.failing() == {}
