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
        pytest.param(OSError(28, "No space left on device", "/tmp/x"), "No space left on device: /tmp/x", id="disk"),  # noqa: S108
        pytest.param(MemoryError(), "out of memory", id="memory"),
    ],
)
def test_a_failed_job_says_why_in_one_sentence(tmp_path, capsys, error, sentence):
    assert ends(tmp_path, raising(error)) == 1
    assert capsys.readouterr().err.splitlines()[-1] == sentence
    assert (tmp_path / "output" / "message").read_text() == sentence


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
