import pytest


@pytest.fixture
def config_file(toy_set, tmp_path):
    path = tmp_path / 'config.py'
    arguments = ', '.join(repr(str(x)) for x in toy_set)
    path.write_text(
        'from tests.train.tiny import tiny_config\n'
        f'def get_config():\n    return tiny_config({arguments})\n'
    )
    return path
