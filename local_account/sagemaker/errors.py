"""SageMaker's refusals in its own words: facts in, the sentence out."""

from __future__ import annotations

from local_account.account import ACCOUNT_ID, REGION
from local_account.wire import AwsError


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:{kind}/{name}"


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def not_found(noun: str, kind: str, name: str) -> AwsError:
    return invalid(f'Could not find {noun} "{arn(kind, name)}".')


def already_exists(noun: str, kind: str, name: str) -> AwsError:
    return invalid(f'Cannot create already existing {noun} "{arn(kind, name)}".')


def job_not_found(kind: str, name: str) -> AwsError:
    if kind == "training-job":
        return invalid("Requested resource not found.")
    return invalid(f"Could not find requested job with name: {name}")


def not_there(kind: str, name: str) -> AwsError:
    return AwsError("ResourceNotFound", f"Requested resource not found: {arn(kind, name)}")


def job_in_use(kind: str, name: str) -> AwsError:
    return AwsError(
        "ResourceInUse",
        f"Job name must be unique within an AWS account and region, and a job with this name already exists ({arn(kind, name)})",
    )


class JobFailed(Exception):
    """A job cannot go on; the message is its FailureReason (at most 1,024 characters reach it)."""
