"""Local code becomes S3 objects named by their content."""

from __future__ import annotations

import io
import zipfile

import pytest

from local_account.deploy.package import package, zip_folder


class Bucket:
    """Objects by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[Key] = Body


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "functions/greet/__pycache__").mkdir(parents=True)
    (tmp_path / "functions/greet/app.py").write_text("x = 1\n")
    (tmp_path / "functions/greet/__pycache__/app.pyc").write_bytes(b"junk")
    return tmp_path


def names(body: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return archive.namelist()


def test_the_same_files_are_the_same_bytes_and_caches_stay_home(checkout):
    first = zip_folder(checkout / "functions/greet")
    (checkout / "functions/greet/app.py").touch()
    assert zip_folder(checkout / "functions/greet") == first
    assert names(first) == ["app.py"]


def test_a_built_layer_has_its_files_where_python_looks_for_them(checkout):
    bucket = Bucket()
    layer = {
        "Type": "AWS::Serverless::LayerVersion",
        "Metadata": {"BuildMethod": "python3.11"},
        "Properties": {"ContentUri": "functions/"},
    }
    done = package({"Resources": {"L": layer}}, checkout, s3=bucket, bucket="b")
    key = done["Resources"]["L"]["Properties"]["ContentUri"].removeprefix("s3://b/")
    assert names(bucket.objects[key]) == ["python/greet/app.py"]


def test_a_path_that_is_not_there_is_named(checkout):
    function = {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "functions/gone/"}}
    with pytest.raises(FileNotFoundError, match="F names functions/gone/"):
        package({"Resources": {"F": function}}, checkout, s3=Bucket(), bucket="b")
