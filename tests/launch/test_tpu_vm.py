"""launch/tpu_vm/train.sh, with executables that stand in for gcloud and for two hosts."""

import os
import pathlib
import subprocess

import pytest

from tests.launch import stand_in

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / 'launch' / 'tpu_vm' / 'train.sh'
# Stands in for gair: ends round after round with the codes of its host.
GAIR = """
import os, pathlib, sys
home = pathlib.Path(os.environ['HOME'])
names = ('JAX_COORDINATOR_ADDRESS', 'JAX_NUM_PROCESSES', 'JAX_PROCESS_ID')
before = len((home / 'rounds').read_text()) if (home / 'rounds').exists() else 0
(home / 'rounds').write_text('x' * (before + 1))
(home / 'gair.stop').touch() if 'STOP' in os.environ else None
told = [*(os.environ[n] for n in names), os.getcwd() == str(home / 'gair_jax')]
# In one write: both hosts speak into one pipe, and in pieces they would cut each other's lines.
os.write(1, f'told {told}\\nasked {sys.argv[1:]}\\n'.encode())
sys.exit(int(os.environ['CODES'].split(';')[before].split()[int(os.environ['HOST'])]))
"""


@pytest.fixture
def cloud(tmp_path):
    """A folder with the stand-ins and two hosts."""
    tools = ('gcloud', 'sudo', 'curl', 'systemctl', 'systemd_run')
    for name in tools:
        source = getattr(stand_in, name.upper())
        stand_in.executable(tmp_path, name.replace('_', '-'), source)
    stand_in.executable(tmp_path, 'git', '')
    for host in ('host0', 'host1'):
        (tmp_path / host / 'gair_venv' / 'bin').mkdir(parents=True)
        stand_in.executable(tmp_path / host / 'gair_venv' / 'bin', 'gair', GAIR)
    return tmp_path


def run(cloud, *arguments, **more):
    environ = {
        **os.environ, 'PATH': stand_in.path_of(cloud), 'NAME': 'gair', 'ZONE': 'here',
        'TYPE': 'v5litepod-8', 'VERSION': 'base', 'SHARE': '10.0.0.9:/share', 'PAUSE': '0', **more,
    }  # fmt: skip
    return subprocess.run(
        ['bash', SCRIPT, *arguments], capture_output=True, text=True, timeout=60, env=environ
    )


def rounds(cloud):
    return [len((cloud / host / 'rounds').read_text()) for host in ('host0', 'host1')]


def asked_of_gcloud(cloud):
    return (cloud / 'gcloud.log').read_text().splitlines()


def test_every_host_runs_gair_train_in_its_place(cloud):
    ran = run(cloud, 'run', '--config=a.py', '--config.data.dir=a b', CODES='0 0')
    assert ran.returncode == 0, ran.stderr
    for host in (0, 1):
        log = (cloud / f'host{host}' / 'gair.log').read_text().splitlines()
        assert log[0] == f'told {["10.0.0.1:8476", "2", str(host), True]}'
        assert log[1] == f'asked {["train", "--config=a.py", "--config.data.dir=a b"]}'
        assert log[0] in ran.stdout  # what the hosts say is seen here
        # What may still run from the round before is ended first.
        assert (cloud / f'host{host}' / 'systemctl.log').read_text() == 'stop gair'


@pytest.mark.parametrize(
    ('codes', 'restarts', 'expected', 'count'),
    [
        ('76 137;75 75;0 0', 10, 0, 3),
        ('76 3;0 0', 10, 3, 1),
        ('2 76;0 0', 10, 2, 1),
        ('76 76', 0, 76, 1),
    ],
)
def test_a_run_is_started_again_unless_it_would_end_alike(cloud, codes, restarts, expected, count):
    ran = run(cloud, 'run', CODES=codes, RESTARTS=str(restarts))
    assert ran.returncode == expected, ran.stderr
    assert rounds(cloud) == [count, count]


def test_a_run_that_was_stopped_is_left(cloud):
    ran = run(cloud, 'run', CODES='75 75;0 0', STOP='during the run')
    assert ran.returncode == 75
    assert rounds(cloud) == [1, 1]
    assert run(cloud, 'stop').returncode == 0
    assert (cloud / 'host1' / 'gair.stop').exists()
    assert run(cloud, 'run', CODES=';0 0').returncode == 0  # what was asked before is forgotten


def test_hosts_that_cannot_be_reached_are_tried_again(cloud):
    stand_in.executable(cloud, 'curl', 'import os; os.kill(os.getppid(), 9)')
    ran = run(cloud, 'run', CODES='0 0', RESTARTS='1')
    assert ran.returncode == 76
    assert '0 restarts left' in ran.stderr


def test_flags_of_create_go_to_gcloud(cloud):
    assert run(cloud, 'create', '--spot').returncode == 0
    assert asked_of_gcloud(cloud) == [
        'create gair --zone=here --accelerator-type=v5litepod-8 --version=base --spot'
    ]


@pytest.mark.parametrize(
    ('state', 'verbs'),
    [('READY', []), ('PREEMPTED', ['delete', 'create', 'scp', 'ssh'])],
)
def test_resume_makes_a_slice_that_was_taken_away_anew(cloud, state, verbs):
    ran = run(cloud, 'resume', '--config=a.py', STATE=state, FLAGS='--spot', CODES='0 0')
    assert ran.returncode == 0, ran.stderr
    found = [line.split()[0] for line in asked_of_gcloud(cloud)]
    assert found == ['describe', *verbs, 'describe', 'ssh']
    assert rounds(cloud) == [1, 1]


def test_without_a_verb_the_script_explains_itself(cloud):
    ran = run(cloud)
    assert ran.returncode == 2
    assert 'create [FLAGS]' in ran.stderr
    assert '#' not in ran.stderr.splitlines()[0]
