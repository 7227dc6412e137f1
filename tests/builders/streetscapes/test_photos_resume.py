"""A worker process that is killed or asked to stop, and what the same command makes of it then."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.builders.streetscapes import photo_plans
from tests.standins import photo_api

ROOT = pathlib.Path(__file__).resolve().parents[3]
COUNT, NEED, CONNECTIONS = 100, 20, 8


@pytest.fixture
def api():
    api = photo_api.PhotoApi(token=photo_plans.TOKEN, delay=0.02)
    with photo_api.serve(api):
        yield api


def start(api, out, worker=0, workers=1):
    """A worker in a process of its own."""
    options = json.dumps({'connections': CONNECTIONS, 'tries': 6})
    arguments = [out, api.url, COUNT, NEED, worker, workers, options]
    return subprocess.Popen(
        [sys.executable, '-m', 'tests.builders.streetscapes.photo_plans', *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, 'MAPILLARY_TOKEN': photo_plans.TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_after(api, process, requests, number):
    """Sends a signal once so many requests have come in."""
    while len(api.log) < requests:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    return out, err


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


def lost(key):
    return photo_api.by_hash(key.partition(':')[2]) == 'gone'


def meets(name, *faults):
    return photo_api.by_hash(name) in faults


@pytest.mark.slow
def test_kill_9_at_three_times_and_rerun_gives_the_same_files(tmp_path, api):
    finish(start(api, tmp_path / 'unbroken'))
    api.log.clear()
    api.met.clear()
    deaths = 0
    for requests in (20, 75, 130):
        end_after(api, start(api, tmp_path / 'killed'), requests, signal.SIGKILL)
        deaths += 1
    finish(start(api, tmp_path / 'killed'))
    expected = photo_plans.expected(photo_plans.plan(COUNT, need=NEED), lost)
    assert photo_plans.kept(tmp_path / 'killed') == expected
    assert photo_plans.agree(tmp_path / 'killed')
    assert photo_plans.files(tmp_path / 'killed') == photo_plans.files(tmp_path / 'unbroken')
    # Asked for again: only what was in flight when the process died.
    pictures = api.asked('picture')
    again = [n for n in pictures if pictures[n] > 1 + meets(n, 'expired once', 'cut once')]
    assert len(again) <= deaths * CONNECTIONS


@pytest.mark.slow
def test_sigterm_finishes_what_is_in_flight(tmp_path, api):
    out, err = end_after(api, start(api, tmp_path), 60, signal.SIGTERM)
    report = json.loads(out)
    assert report['stopped'] == 'SIGTERM' and 0 < report['counts']['kept'] < 80, err
    assert photo_plans.agree(tmp_path)
    before = set(photo_plans.kept(tmp_path))
    # Every picture that was asked for is kept: none was in flight in vain.
    assert {f'mapillary:{name}' for name in api.asked('picture')} == before
    report = finish(start(api, tmp_path))
    assert report['stopped'] == ''
    expected = photo_plans.expected(photo_plans.plan(COUNT, need=NEED), lost)
    assert photo_plans.kept(tmp_path) == expected and photo_plans.agree(tmp_path)
    assert all(
        count == 1 + meets(name, 'expired once', 'cut once')
        for name, count in api.asked('picture').items()
    )


@pytest.mark.slow
def test_workers_side_by_side_share_the_bucket_and_keep_the_same_set(tmp_path):
    api = photo_api.PhotoApi(token=photo_plans.TOKEN, limit=60.0)
    with photo_api.serve(api):
        workers = [start(api, tmp_path, worker, 4) for worker in range(4)]
        reports = [finish(worker) for worker in workers]
    assert sum(report['counts']['kept'] for report in reports) == 4 * NEED
    expected = photo_plans.expected(photo_plans.plan(COUNT, need=NEED), lost)
    assert photo_plans.kept(tmp_path) == expected and photo_plans.agree(tmp_path)
    assert sum(report['counts']['failed'] for report in reports) == 0
    assert len(list((tmp_path / 'limits').iterdir())) == 1


@pytest.mark.slow
def test_a_worker_that_is_started_twice_is_refused(tmp_path, api):
    first = start(api, tmp_path)
    while len(api.log) < 5:
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # It is at work until the second one has come.
    second = start(api, tmp_path)
    _, err = second.communicate(timeout=300)
    first.send_signal(signal.SIGCONT)
    finish(first)
    assert second.returncode and 'may have been started twice' in err
