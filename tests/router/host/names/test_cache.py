from dataclasses import replace

from router.host.names.cache import Cache
from router.host.names.limits import CACHE_BYTES, CACHE_ENTRIES
from tests.router.host.names.messages import answer, question


def test_an_answer_is_kept_for_as_long_as_it_is_true() -> None:
    cache, kept = Cache(), answer()
    cache.put(question(), kept, 10.0)
    assert cache.get(question(), 309.9) == (kept, 10.0)
    assert cache.get(question("www.example.test AAAA"), 11.0) is None
    assert cache.get(question(), 310.0) is None
    assert len(cache) == 0


def test_what_is_true_only_now_or_is_large_is_not_kept() -> None:
    cache = Cache()
    cache.put(question(), replace(answer(), ttl_s=0.0), 0.0)
    cache.put(question(), replace(answer(), size=CACHE_BYTES + 1), 0.0)
    assert len(cache) == 0


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    cache = Cache()
    for number in range(CACHE_ENTRIES):
        cache.put(question(f"h{number}.test A"), answer(), 0.0)
    assert cache.get(question("h0.test A"), 1.0)
    cache.put(question("one-more.test A"), answer(), 1.0)
    assert len(cache) == CACHE_ENTRIES
    assert cache.get(question("h0.test A"), 1.0)
    assert cache.get(question("h1.test A"), 1.0) is None
