"""Lines survive a killed run exactly as far as its checkpoint."""

import json

from gair_jax.train.metrics_writer import MetricsWriter


def lines(folder):
    return [json.loads(x) for x in (folder / 'metrics.jsonl').read_text().splitlines()]


def test_lines_past_the_checkpoint_are_written_again(tmp_path):
    writer = MetricsWriter(tmp_path, after_step=-1, tensorboard=False)
    for step in range(1, 6):
        writer.write(step, {'loss': float(step)})
    writer.close()
    again = MetricsWriter(tmp_path, after_step=3, tensorboard=False)
    again.write(4, {'loss': 40.0})
    again.close()
    assert [(x['step'], x['loss']) for x in lines(tmp_path)] == [
        (1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0),
    ]  # fmt: skip


def test_a_half_written_last_line_is_dropped(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    MetricsWriter(tmp_path, after_step=5, tensorboard=False).close()
    assert lines(tmp_path) == [{'step': 1, 'loss': 2.0}]


def test_seconds_go_on_from_those_of_the_killed_run(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text('{"step": 1, "seconds": 100.0}\n')
    writer = MetricsWriter(tmp_path, after_step=1, tensorboard=False)
    writer.write(2, {})
    writer.close()
    assert 100 <= lines(tmp_path)[1]['seconds'] < 110


def test_tensorboard_gets_an_event_file(tmp_path):
    writer = MetricsWriter(tmp_path, after_step=-1, tensorboard=True)
    writer.write(1, {'loss': 1.0})
    writer.close()
    events = list((tmp_path / 'tensorboard').iterdir())
    assert len(events) == 1 and b'loss' in events[0].read_bytes()
