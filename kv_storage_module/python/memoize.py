"""The wrappers made by Cache.memoize().

This text is compiled into the module and run when memoize() is first called: importing kv_storage imports nothing.
"""

import asyncio
import functools
import inspect
import weakref

_FOUND, _MINE = 0, 1
_SLICE_MS = 50  # how long a thread of the executor waits for another process before it looks again


def memoize(cache, function, ttl, reentry_error):
    """The wrapper of a function whose results `cache` keeps for `ttl` seconds."""
    name = f"{function.__module__}.{function.__qualname__}"
    if inspect.iscoroutinefunction(function):
        wrapper = _memoize_async(cache, function, name, ttl, reentry_error)
    else:
        call = cache._call

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return call(function, name, ttl, args, kwargs)

    wrapper.cache = cache
    wrapper.cache_clear = functools.partial(cache._forget, name)
    return wrapper


def _memoize_async(cache, function, name, ttl, reentry_error):
    # Of each event loop: key -> (the task that computes, a future that is done when it is).
    running_by_loop = weakref.WeakKeyDictionary()

    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        key = cache._memo_key(name, args, kwargs)
        running = running_by_loop.setdefault(asyncio.get_running_loop(), {})
        while key in running:
            task, done = running[key]
            if task is asyncio.current_task():
                raise reentry_error(f"{name}() awaits itself with the same arguments")
            await asyncio.shield(done)
            if done.result() is not None:
                return done.result()[0]
        done = asyncio.get_running_loop().create_future()
        running[key] = (asyncio.current_task(), done)
        outcome = None
        try:
            outcome = (await _claim_or_compute(cache, function, key, ttl, args, kwargs),)
        finally:
            del running[key]
            done.set_result(outcome)  # None: it failed, whoever waits tries for itself
        return outcome[0]

    return wrapper


async def _claim_or_compute(cache, function, key, ttl, args, kwargs):
    while True:
        state, found = cache._try_claim(key)
        if state == _FOUND:
            return found
        if state == _MINE:
            break
        await asyncio.get_running_loop().run_in_executor(None, cache._wait, key, _SLICE_MS)
    try:
        value = await function(*args, **kwargs)
    except BaseException:
        cache._abandon(found)
        raise
    cache._fill(key, found, value, ttl)
    return value
