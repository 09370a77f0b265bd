"""One Spark session for all files of this folder."""

import pytest
import sparks


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    session = sparks.start(tmp_path_factory.mktemp("spark"))
    yield session
    sparks.stop(session)
