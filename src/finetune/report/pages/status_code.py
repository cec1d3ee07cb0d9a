"""Which code made a study's runs, where there is a difference, as plain text for the terminal."""

from finetune.report.results.code_used import Code, code_of
from finetune.report.results.formatting import count_text, join_words
from finetune.report.results.study_state import StudyState


def code_text(state: StudyState) -> str:
    """Where runs were made by different code, or what is left would be; empty where there is no difference."""
    codes = state.codes()
    here = code_of(state.checkout, state.checkout_code)
    submitted = code_of(state.submitted, state.submitted_code)
    unfinished = any(run.state != "done" for run in state.runs)
    mixed = sum(bool(run.code_before) for run in state.runs)
    differs = here is not None and unfinished and not all(code.is_same(here) for code in codes)
    since = submitted is not None and unfinished and here is not None and not submitted.is_same(here)
    if len(codes) < 2 and not differs and not since and not mixed:
        return ""
    said = []
    if codes:
        made = [f"{count_text(n, 'run')} by {_text(code)}" for code, n in codes.items()]
        said.append(join_words(made))
    if mixed:
        said.append(f"{mixed} of them begun by other code")
    if since:
        said.append(f"submitted at {_text(submitted)}{', which the jobs run' if state.frozen else ''}")
    if here is not None and unfinished:
        said.append(f"the checkout is at {_text(here)}")
    return f"Code: {'; '.join(said)}."


def _text(code: Code | None) -> str:
    if code is None:
        return "code that is not known"
    parts = [code.commit[:12]] if code.commit else []
    parts += ["with uncommitted changes"] if code.dirty else []
    name = f"code {code.name}" if code.name else ""
    if parts and name:
        return f"{' '.join(parts)} ({name})"
    return " ".join(parts) or name
