"""A leaderboard that every process shares: a Map ordered by score and a Set of tags for each player.

runner scripts/leaderboard.py
"""

from __future__ import annotations

import multiprocessing
import os

from kv_storage import Storage

PLAYERS = 1000
WORKERS = 4


def play(worker: int) -> None:
    """Records the results of every WORKERS-th player, beside the other workers."""
    kv = Storage()
    scores = kv.map("leaderboard:scores", key=int)
    veterans, winners = kv.set("leaderboard:veterans"), kv.set("leaderboard:winners")
    for player in range(worker, PLAYERS, WORKERS):
        # The score is in the upper digits, so that two players with the same score are two keys.
        scores[(player * 7919 % 10_007) * PLAYERS + player] = f"player-{player}"
        if player % 3 == 0:
            veterans.add(player)
        if player % 5 == 0:
            winners.add(player)


def main() -> None:
    """Plays, then prints the board."""
    kv = Storage()
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        pool.map(play, range(WORKERS))

    scores = kv.map("leaderboard:scores")
    print(f"{len(scores)} players, written by {WORKERS} processes")
    for place, (key, name) in enumerate(scores.range()[::-1][:3].items(), start=1):
        print(f"{place}. {name} with {key // PLAYERS}")

    key = next(key for key, name in scores.items() if name == "player-42")
    print(f"player-42 is number {len(scores) - scores.rank(key)}")
    print(f"the median score is {scores.select(len(scores) // 2) // PLAYERS}")
    print(f"{len(scores.range(5000 * PLAYERS, 6000 * PLAYERS))} players have 5000 to 5999")

    veterans, winners = kv.set("leaderboard:veterans"), kv.set("leaderboard:winners")
    print(f"{veterans.intersection_count(winners)} veterans are winners")
    if os.environ.get("KEEP") is None:
        for name in ("scores", "veterans", "winners"):
            kv.drop(f"leaderboard:{name}")


if __name__ == "__main__":
    main()
