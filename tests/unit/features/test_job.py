import pytest

from features.job import JobFailed, job_parser, metric, run


def ends(tmp_path, main, **arguments):
    return run(job_parser("a job"), main, ["--message-file", str(tmp_path / "output" / "message")])


def test_a_finished_job_leaves_its_message(tmp_path):
    assert ends(tmp_path, lambda _: "Completed: 3 rows") == 0
    assert (tmp_path / "output" / "message").read_text() == "Completed: 3 rows"


def raising(error):
    def main(_):
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(JobFailed("no events before 2026-03-01"), "no events before 2026-03-01", id="told as it is"),
        pytest.param(KeyError("title"), "KeyError: 'title'", id="a fault of the program names the exception"),
        pytest.param(OSError(2, "No such file or directory", "x"), "No such file or directory: x", id="a missing file"),
        pytest.param(MemoryError(), "out of memory", id="memory"),
    ],
)
def test_a_failed_job_says_why_in_one_sentence(tmp_path, capsys, error, sentence):
    assert ends(tmp_path, raising(error)) == 1
    assert capsys.readouterr().err.splitlines()[-1] == sentence
    assert (tmp_path / "output" / "message").read_text() == sentence


def wrapped(error):
    try:
        raise error
    except OSError:
        try:
            raise ValueError("no whole .tar.gz")
        except ValueError as outer:
            return outer


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(
            OSError(28, "any text", "out/x"), "the disk is full at out/x: No space left on device", id="plain"
        ),
        pytest.param(wrapped(OSError(28, "any text")), "the disk is full: No space left on device", id="wrapped"),
        pytest.param(RuntimeError("I/O error: x (os error 28)"), "the disk is full: No space left", id="from Rust"),
        pytest.param(RuntimeError("Detail: No space left on device"), "the disk is full: No space left", id="from C++"),
        pytest.param(
            OSError(27, "any text"), "a file reached the largest size it may have: File too large", id="limit"
        ),
    ],
)
def test_a_full_disk_is_told_whoever_met_it(tmp_path, capsys, error, sentence):
    assert ends(tmp_path, raising(error)) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(sentence)
    assert said.endswith("give the job a larger volume (VolumeSizeInGB)")


def test_of_many_ranks_the_first_that_fails_is_told(tmp_path, monkeypatch):
    """A rank that dies takes the others' connections with it; their complaints come later and say less."""
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(tmp_path / "output" / "data"))
    run(job_parser("a job"), raising(JobFailed("loss is not finite")), [])
    run(job_parser("a job"), raising(RuntimeError("Connection closed by peer")), [])
    assert (tmp_path / "output" / "failure").read_text() == "loss is not finite"


def test_a_training_jobs_failure_lies_where_sagemaker_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(tmp_path / "output" / "data"))
    assert run(job_parser("a job"), raising(JobFailed("loss is NaN")), []) == 1
    assert (tmp_path / "output" / "failure").read_text() == "loss is NaN"


def test_a_message_is_cut_to_a_kilobyte_at_a_characters_end(tmp_path):
    ends(tmp_path, lambda _: "é" * 2000)
    written = (tmp_path / "output" / "message").read_bytes()
    assert len(written) <= 1024
    assert set(written.decode()) == {"é"}


def test_metrics_are_printed_as_the_log_regexes_read_them(capsys):
    metric(recall_at_10=0.25, loss=1.5)
    assert capsys.readouterr().out == "recall_at_10=0.25; loss=1.5;\n"
