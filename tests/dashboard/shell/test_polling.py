"""Parts of a page that are drawn again by a timer."""

from __future__ import annotations

import re
from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

ROOT = Path(__file__).resolve().parents[3]


def _page() -> None:
    import streamlit as st

    from ddrs_core.dashboard.shell.polling import Watch, draw_each_second, draw_every

    def draw() -> bool:
        st.text("part")
        return False

    st.header("first")
    draw_every(1.0, lambda: st.text("part") and None)
    Watch().draw(lambda: st.text("part") and None)
    draw_each_second(draw, moving=True)
    st.header("last")


def test_every_polled_part_is_alone_in_its_container() -> None:
    app = AppTest.from_function(_page).run()
    assert not app.exception
    first, *parts, last = app.main.children.values()
    assert (first.type, len(parts), last.type) == ("header", 3, "header")
    for part in parts:
        assert isinstance(part, Block)
        (fragment,) = part.children.values()
        assert isinstance(fragment, Block)
        assert [e.value for e in fragment.text] == ["part"]


def _page_of_a_job_that_ends_while_it_is_drawn() -> None:
    from types import SimpleNamespace

    import streamlit as st

    from ddrs_core.dashboard.shell.polling import Watch

    class Job:
        id, is_moving = "job", True

        def touch(self) -> None:
            pass

        @property
        def state(self) -> SimpleNamespace:
            return SimpleNamespace(is_moving=self.is_moving)

    job = st.session_state.setdefault("job", Job())
    watch = Watch(job)
    st.button("Run", disabled=job.is_moving)
    job.is_moving = False
    watch.draw(lambda: None)


def test_a_job_that_ends_between_buttons_and_picture_is_drawn_again() -> None:
    app = AppTest.from_function(_page_of_a_job_that_ends_while_it_is_drawn).run()
    assert not app.button[0].disabled


def test_nobody_else_draws_by_a_timer() -> None:
    files = [*ROOT.glob("ddrs_core/dashboard/**/*.py"), *ROOT.glob("pages/*.py")]
    calls = {f.name for f in files if re.search(r"(st\.|@)fragment\(|run_every=", f.read_text())}
    assert calls == {"polling.py", "streamlit_patches.py"}  # the latter only mentions it
