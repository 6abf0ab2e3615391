"""What a fault costs: each row names the tests that commit the fault and look at what is left."""

from __future__ import annotations

from typing import NamedTuple

COMPONENTS = (
    "worker",
    "collector",
    "control",
    "parent",
    "database",
    "trace store",
    "Redis",
    "disk",
    "clock",
    "network",
    "machine",
)

KILLED = "tests/faults/test_killed.py"
DAMAGE = "tests/faults/test_damage.py"
DISK = "tests/faults/test_full_disk.py"
DELIVERY = "tests/faults/test_delivery.py"
DOWN = "tests/faults/test_database_down.py"
MANY = "tests/faults/test_many_workers.py"
POWER = "tests/faults/test_power_loss.py"
SPOOL = "tests/traces/test_spool.py"
JOURNEY = "tests/journeys/test_faults.py"
PROCESSES = "tests/journeys/test_processes.py"
REDIS = "tests/quota/redis/test_limiter.py"

NOTHING = "nothing"


class Row(NamedTuple):
    """One fault. ``lost`` and ``refused`` say nothing where there is nothing."""

    component: str  # one of COMPONENTS
    fault: str
    lost: str  # of what was acknowledged: traces, ledger rows
    refused: str  # of what is asked meanwhile
    then: str  # what happens meanwhile and after it
    tests: tuple[str, ...]  # file::function


ROWS: tuple[Row, ...] = (
    Row(
        "worker",
        "killed at any moment, in the middle of a write too",
        "nothing that was settled; what providers bill for the requests under way is in no ledger",
        "the requests under way, by a broken connection; others until it is up again where it was the "
        "only one",
        "The parent starts it again. What it spooled is collected; a record that was half written was "
        "never acknowledged.",
        (
            f"{KILLED}::test_a_worker_killed_at_any_write_loses_nothing_it_acknowledged",
            f"{PROCESSES}::test_a_worker_killed_comes_back_and_loses_no_trace",
        ),
    ),
    Row(
        "worker",
        "killed while it holds budget or a place",
        NOTHING,
        "what its holds take, for a minute at most",
        "Holds that nobody renews expire.",
        (f"{REDIS}::test_the_hold_of_a_killed_worker_is_given_back",),
    ),
    Row(
        "worker",
        "replaced while its successor works already, under the same name",
        NOTHING,
        NOTHING,
        "Each has segments of its own.",
        (
            f"{MANY}::test_workers_that_spool_while_they_are_collected_and_killed_are_whole_at_every_look",
            f"{MANY}::test_a_successor_that_starts_while_a_segment_is_made_costs_nothing",
            "tests/journeys/test_workers.py::"
            "test_no_request_is_lost_while_all_processes_are_replaced_under_load",
        ),
    ),
    Row(
        "worker",
        "started in smaller number than before",
        NOTHING,
        NOTHING,
        "What those that are gone spooled is collected all the same.",
        (f"{MANY}::test_segments_of_workers_that_are_gone_are_collected_and_count_for_nobody",),
    ),
    Row(
        "worker",
        "interrupted by signals in its system calls",
        NOTHING,
        NOTHING,
        "The calls are made again.",
        (f"{MANY}::test_signals_that_interrupt_system_calls_cost_nothing",),
    ),
    Row(
        "collector",
        "killed at any moment, and SQLite and DuckDB with it, in the middle of a write too",
        NOTHING,
        NOTHING,
        "It goes on from its checkpoint; every record is stored, billed and noted in the audit log once.",
        (
            f"{KILLED}::test_a_collector_killed_at_any_write_stores_and_bills_every_record_once",
            f"{PROCESSES}::test_the_collector_killed_comes_back_and_stores_everything_once",
        ),
    ),
    Row(
        "collector",
        "cancelled while it stores",
        NOTHING,
        NOTHING,
        "The write ends in its thread and is counted.",
        (f"{DELIVERY}::test_a_pass_that_is_cancelled_while_it_stores_counts_every_record_once",),
    ),
    Row(
        "collector",
        "given the same record twice: by two workers, in two segments, from a backup of the spool",
        NOTHING,
        NOTHING,
        "Further ones are counted as duplicates.",
        (
            f"{DELIVERY}::test_a_record_in_two_segments_and_from_two_workers_is_stored_and_billed_once",
            f"{DELIVERY}::test_a_restored_spool_brings_nothing_twice",
        ),
    ),
    Row(
        "collector",
        "given a record that the ledger cannot take",
        "the ledger's row of that record, until `santral ledger verify` has named it",
        NOTHING,
        "Its trace is stored, `santral_collector_unbilled_total` counts it, and the others go on. A "
        "ledger that takes none is down, and nothing is passed over.",
        (
            f"{DELIVERY}::test_a_record_that_the_ledger_cannot_take_is_stored_and_named_and_keeps_no_other_out",
            f"{DELIVERY}::test_a_sink_that_refuses_everything_is_down_and_nothing_is_passed_over",
        ),
    ),
    Row(
        "control",
        "dead or restarting",
        NOTHING,
        "the admin API and the console",
        "Workers answer with the keys and limits they have; records wait in the spool.",
        (f"{PROCESSES}::test_the_collector_killed_comes_back_and_stores_everything_once",),
    ),
    Row(
        "parent",
        "killed",
        NOTHING,
        "everything, once its processes have noticed and ended, until it is started again",
        "Its processes end by themselves; what starts it, such as systemd, starts it again, and what "
        "was spooled is collected then.",
        (f"{JOURNEY}::test_a_killed_parent_takes_nothing_with_it_and_its_successor_goes_on",),
    ),
    Row(
        "database",
        "PostgreSQL killed, before or after any statement or commit",
        NOTHING,
        "the admin API and every administrative change",
        "Workers answer with the keys and limits they have. Records wait in the spool and are billed "
        "once when it is back.",
        (
            f"{DOWN}::test_postgresql_killed_before_and_after_every_statement_and_commit_bills_once",
            f"{JOURNEY}::"
            "test_requests_are_answered_while_the_database_is_dead_and_billed_when_it_is_back",
        ),
    ),
    Row(
        "database",
        "PostgreSQL hangs: connections stay, nothing answers",
        NOTHING,
        "the admin API",
        "The collector gives a batch up after a minute and tries again.",
        (
            f"{DOWN}::test_postgresql_that_hangs_is_given_up_and_caught_up_with",
            f"{DOWN}::test_a_sink_that_hangs_is_given_up_and_asked_again",
        ),
    ),
    Row(
        "database",
        "down for an hour",
        NOTHING,
        "the admin API",
        "It is asked at most every 15 s. The spool grows to its bound; what comes beyond it is dropped "
        "and counted.",
        (f"{DOWN}::test_down_for_an_hour_is_asked_seldom_and_caught_up_with",),
    ),
    Row(
        "database",
        "SQLite locked by another program, or its disk full",
        NOTHING,
        "administrative changes",
        "Records wait in the spool; the log names the remedy.",
        (
            f"{DOWN}::test_a_control_database_locked_for_long_delays_and_loses_nothing",
            f"{DISK}::test_a_ledger_on_a_full_disk_holds_the_checkpoint_back",
        ),
    ),
    Row(
        "trace store",
        "down for an hour, held by another process, or its disk full",
        NOTHING,
        "questions about traces",
        "Records wait in the spool and are stored once.",
        (
            f"{DOWN}::test_down_for_an_hour_is_asked_seldom_and_caught_up_with",
            f"{DOWN}::test_a_store_that_another_process_holds_is_named_and_waited_for",
            f"{DISK}::test_a_store_on_a_full_disk_stores_everything_once_there_is_room",
        ),
    ),
    Row(
        "trace store",
        "killed while it is made, at any write of the first start",
        NOTHING,
        NOTHING,
        "It gets its name when it is whole; the next start makes it anew.",
        (f"{KILLED}::test_a_first_start_killed_at_any_write_is_no_obstacle_to_the_next",),
    ),
    Row(
        "trace store",
        "damaged",
        "the traces in it that no backup has; nothing of the ledger",
        "questions about traces",
        "The log says what to move away. Santral starts and answers; what is new waits in the spool "
        "and begins a new store.",
        (
            f"{DOWN}::test_a_damaged_store_is_named_with_its_remedy_and_the_spool_keeps",
            f"{JOURNEY}::test_a_damaged_trace_store_stops_neither_the_start_nor_the_answers",
        ),
    ),
    Row(
        "Redis",
        "slow",
        NOTHING,
        "what a rule's mode refuses without Redis: by default limits in money",
        "One request waits for the timeout; then a breaker leaves Redis out until it answers in time, "
        "and `santral_limits_uncoordinated` is 1.",
        (f"{REDIS}::test_a_slow_redis_costs_one_timeout_and_then_nothing",),
    ),
    Row(
        "Redis",
        "dead",
        NOTHING,
        "what a rule's mode refuses without Redis, by default limits in money; else what is beyond the "
        "worker's share of what was left",
        "What was used meanwhile is told to Redis when it is back. Coming and going gives nobody a "
        "second share.",
        (
            f"{REDIS}::test_while_redis_is_dead_money_is_refused_and_the_rest_is_shared_out",
            f"{REDIS}::test_what_was_used_while_redis_was_dead_is_told_when_it_is_back",
            f"{REDIS}::test_a_redis_that_comes_and_goes_gives_nobody_a_second_share",
        ),
    ),
    Row(
        "Redis",
        "restarted without persistence",
        NOTHING,
        "everything with a limit, for the seconds in which workers tell it what they hold",
        "No interleaving passes a limit.",
        (
            f"{REDIS}::test_a_restart_in_the_middle_lets_nobody_past_a_limit",
            "tests/quota/redis/test_race.py::"
            "test_no_restart_of_redis_lets_processes_spend_more_than_the_budget",
        ),
    ),
    Row(
        "Redis",
        "flushed",
        NOTHING,
        "as after a restart",
        "It begins with the ledger's sums and what workers settled since.",
        (
            f"{REDIS}::test_what_was_settled_and_not_billed_yet_survives_a_flush",
            f"{REDIS}::test_the_ledger_is_where_an_empty_redis_begins",
        ),
    ),
    Row(
        "Redis",
        "its clock or a worker's is wrong",
        NOTHING,
        NOTHING,
        "Windows go by the clock of Redis alone.",
        (f"{REDIS}::test_windows_go_by_the_clock_of_redis",),
    ),
    Row(
        "disk",
        "full, in the middle of a frame or of a header",
        "the records of requests while it is full: their traces and ledger rows; counted in "
        "`santral_spool_dropped_total`",
        NOTHING,
        "Requests are answered and their limits hold. When there is room again the spool goes on by "
        "itself; the log says when it began and how many were dropped.",
        (
            f"{DISK}::test_a_full_disk_costs_the_records_it_refused_and_no_other",
            f"{SPOOL}::test_a_disk_that_is_full_costs_only_the_record_it_refused",
            f"{JOURNEY}::"
            "test_requests_are_answered_while_the_disk_is_full_and_recorded_when_it_has_room",
        ),
    ),
    Row(
        "disk",
        "the spool has reached `telemetry.spool_max_bytes`",
        "the records beyond it, counted likewise",
        NOTHING,
        "The bound holds for all workers of a machine together, in equal shares. A share is free again "
        "as soon as one of its segments is collected.",
        (
            f"{SPOOL}::test_a_full_spool_drops_and_counts_until_something_was_collected",
            f"{MANY}::test_workers_of_a_machine_share_one_bound",
        ),
    ),
    Row(
        "disk",
        "without inodes",
        "as with a full one, once the segment that is open has reached the bound",
        NOTHING,
        "The open segment goes on beyond its usual size.",
        (f"{DISK}::test_a_disk_without_inodes_takes_records_as_long_as_the_segment_lasts",),
    ),
    Row(
        "disk",
        "changed bytes in a segment",
        "the records whose bytes changed, counted as rejected",
        NOTHING,
        "What follows is found again. A damaged header costs nothing. A last record whose length was "
        "changed looks like a half-written one and is not counted.",
        (
            f"{DAMAGE}::test_a_changed_byte_costs_at_most_the_record_it_is_in_wherever_it_is",
            f"{DAMAGE}::test_the_collector_counts_damage_and_finds_what_follows_it",
            f"{DAMAGE}::"
            "test_whatever_became_of_the_bytes_counts_never_go_back_and_no_record_is_made_up",
        ),
    ),
    Row(
        "disk",
        "a segment cut short, or zeros where bytes were",
        "the records that were there; a stretch of zeros counts as one",
        NOTHING,
        "The rest is collected.",
        (
            f"{DAMAGE}::test_a_truncated_segment_holds_what_is_before_the_cut",
            f"{DAMAGE}::test_zeros_that_a_power_cut_left_are_counted_and_passed_over",
        ),
    ),
    Row(
        "disk",
        "a file of another kind or version, a folder, a link or a pipe with a segment's name",
        NOTHING,
        NOTHING,
        "It is renamed to `.damaged` and counted in `santral_collector_set_aside`; rename a segment of "
        "another version back under the Santral that reads it.",
        (
            f"{DAMAGE}::test_what_is_no_segment_is_put_aside_and_keeps_nothing_waiting",
            f"{DAMAGE}::test_a_segment_of_another_version_is_put_aside_whole",
        ),
    ),
    Row(
        "disk",
        "a segment may not be read, or its disk fails",
        NOTHING,
        NOTHING,
        "It waits and is counted in `santral_collector_unreadable`; the others do not wait.",
        (f"{DAMAGE}::test_a_segment_that_may_not_be_read_waits_and_the_others_do_not",),
    ),
    Row(
        "disk",
        "the spool's folder goes away and comes back",
        NOTHING,
        NOTHING,
        "The collector says so and keeps its checkpoints.",
        (f"{DOWN}::test_a_spool_folder_that_is_gone_keeps_its_checkpoints",),
    ),
    Row(
        "clock",
        "goes backwards, or forward by years",
        NOTHING,
        NOTHING,
        "A request is billed on the day that the clock showed. A moment without a date, beyond the year "
        "9999, is rejected and counted.",
        (
            f"{DELIVERY}::test_a_clock_that_jumps_loses_nothing_and_bills_on_the_day_it_shows",
            f"{DELIVERY}::test_a_moment_that_has_no_date_is_rejected_and_keeps_nothing_waiting",
            f"{DELIVERY}::test_the_spool_does_not_ask_the_clock_on_the_wall",
        ),
    ),
    Row(
        "network",
        "the data folder is on a network disk without locks",
        NOTHING,
        "the start",
        "A sentence says why: without locks nobody knows which segments are written to.",
        (f"{POWER}::test_a_disk_that_knows_no_locks_stops_the_start_with_a_sentence",),
    ),
    Row(
        "network",
        "a network disk tells of a write's failure when the file is closed",
        "what that disk did not keep; with `spool_fsync` it is asked for each record",
        NOTHING,
        "The segment is left to the collector, and its descriptor is never used again.",
        (f"{POWER}::test_a_descriptor_that_fails_to_close_is_never_used_again",),
    ),
    Row(
        "network",
        "a provider cannot be reached or breaks off",
        NOTHING,
        "what no other deployment can answer",
        "See the page about faults of providers.",
        ("tests/gateway/test_failures_table.py::test_a_fault_does_what_the_table_says",),
    ),
    Row(
        "network",
        "a client leaves",
        NOTHING,
        NOTHING,
        "The provider is closed within a second, and what was produced is billed.",
        (
            "tests/gateway/test_attendance.py::"
            "test_a_client_that_leaves_ends_its_request_within_one_look",
        ),
    ),
    Row(
        "machine",
        "loses power, `telemetry.spool_fsync = false`",
        "what the kernel had not written: records of the last seconds, commonly 30",
        "everything until it is back",
        "What was collected is in the ledger and in the store: both ask the disk at each commit.",
        (
            f"{POWER}::test_without_fsync_a_power_cut_may_take_what_the_kernel_had_not_written",
            "tests/db/test_engine.py::test_sqlite_runs_in_wal_with_foreign_keys_and_patience",
        ),
    ),
    Row(
        "machine",
        "loses power, `telemetry.spool_fsync = true`",
        "nothing, as far as the disk keeps what it said it has",
        "everything until it is back",
        "Each record is on the disk before it counts as kept. A disk that says no is told in the log and "
        "in `santral_spool_unsynced_total`.",
        (
            f"{POWER}::test_with_fsync_every_acknowledged_record_is_on_the_disk_at_every_moment",
            f"{POWER}::"
            "test_a_disk_that_cannot_sync_is_told_and_the_record_is_kept_for_the_collector",
        ),
    ),
    Row(
        "machine",
        "lost, with its disk",
        "the records that its collector had not moved yet, commonly those of the last second, and with "
        "SQLite the control database and the ledger",
        "everything on that machine",
        "With PostgreSQL the ledger is elsewhere. Others of the same Redis and PostgreSQL go on.",
        (),
    ),
)
