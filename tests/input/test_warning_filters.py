import concurrent.futures
import threading
import warnings

import pytest

from gair_jax.input.warning_filters import filtered


def test_warnings_are_raised_passed_over_or_left():
    with filtered(error=FutureWarning, ignore=UserWarning):
        warnings.warn('passed over', UserWarning, stacklevel=1)
        with pytest.raises(FutureWarning):
            warnings.warn('raised', FutureWarning, stacklevel=1)
    with pytest.warns(UserWarning):
        warnings.warn('as before', UserWarning, stacklevel=1)


def test_threads_leave_the_filters_as_they_were():
    """One thread stays inside while another would leave after it: the order that mixes them up."""
    before, entered = list(warnings.filters), threading.Event()

    def first():
        with filtered(error=None, ignore=UserWarning):
            entered.set()
            threading.Event().wait(0.05)

    def second():
        entered.wait()
        with filtered(error=FutureWarning, ignore=DeprecationWarning):
            threading.Event().wait(0.1)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(first), pool.submit(second)]:
            job.result()
    assert list(warnings.filters) == before
