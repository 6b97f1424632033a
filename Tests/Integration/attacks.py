"""Attacks and faults that proxies met in the last years, and the tests that hold each.

`ROWS[number]` has the places of its tests, `file::name` from the top of the repository (a case of a
JSON file may have `*`), or says why none applies yet. test_attacks.py checks that they exist.
"""

import fnmatch
import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path

import h2check
from http2 import SPOKEN

ROOT = Path(__file__).resolve().parents[2]
VECTORS = "Tests/Vectors/http-cases.json::"
HERE = "Tests/Integration/test_attacks.py::"
FAULTS = "Tests/Integration/test_faults.py::"
RULES = "Tests/CUnit/proxy_l7_rules_test.c::"
BULK = "Tests/CUnit/proxy_bulk_test.c::"
DIFFERENTIAL = "Tests/Integration/test_differential.py::test_upstream_sees_what_the_grammar_reads"
ANSWERS = "Tests/Integration/test_differential_answers.py::test_clients_hear_what_the_grammar_reads"
HOPS = "Tests/Peers/test_second_hop.py::test_hostile_streams_arrive_as_we_read_them"
CHECKS = "Tests/Integration/h2check.py"
H2 = "Tests/Integration/test_http2_attacks.py::"
H2_DIFFERENTIAL = "Tests/Integration/test_http2_differential.py::"


@dataclass(frozen=True)
class Row:
    """One attack or fault."""

    title: str
    tests: tuple = ()
    later: str = ""


def held(title, *tests):
    return Row(title, tests)


def later(title, why):
    return Row(title, later=why)


def over_http2(title, *tests):
    """Held by tests that run when the data plane speaks HTTP/2."""
    return held(title, *tests) if "clients" in SPOKEN else later(title, "HTTP/2 is not spoken yet")


ROWS = {
    1: held("CL.TE, TE.CL, TE.TE", VECTORS + "te-*", VECTORS + "cl-*", DIFFERENTIAL, HOPS),
    2: held(
        "0.CL, Expect",
        VECTORS + "ex-*",
        HERE + "test_row_02_an_early_answer_ends_the_connection",
        HERE + "test_row_02_a_body_that_never_comes_is_timed_out",
    ),
    3: held("chunk sizes, extensions, spills", VECTORS + "ck-*", DIFFERENTIAL, HOPS),
    4: held(
        "chunk parser that spins",
        HERE + "test_row_04_no_work_is_left_behind_by_cut_chunks",
        "Tests/CUnit/wire_h1body_test.c::bad_bodies_in_one_piece_and_at_every_split",
    ),
    5: held("upgrade bytes before 101", VECTORS + "up-ws-early-data"),
    6: held(
        "h2c smuggling",
        VECTORS + "up-h2c*",
        "Tests/Integration/test_upgrade.py::test_h2c_upgrade_is_not_forwarded",
    ),
    7: held(
        "fields that Connection nominates",
        VECTORS + "conn-nominate-*",
        HERE + "test_row_07_protected_names_are_not_nominated",
        HERE + "test_row_07_other_names_end_here",
        RULES + "no_rule_holds_by_a_field_that_ends_here",
    ),
    8: held(
        "aliases of field names",
        VECTORS + "conn-xff-alias",
        VECTORS + "*-name-underscore",
        "Tests/CUnit/wire_h1_test.c::aliases_are_marked",
    ),
    9: held("empty field name", VECTORS + "hdr-empty-name*"),
    10: held("numbers that wrap", HERE + "test_row_10_numbers_do_not_wrap"),
    11: held(
        "bytes behind CONNECT",
        VECTORS + "rl-connect*",
        RULES + "what_follows_a_refused_connect_is_no_request",
        "Tests/Integration/test_upgrade.py::test_refused_connect",
    ),
    12: held("absolute form, Host, fragment", VECTORS + "rl-absolute-*", VECTORS + "rl-fragment"),
    13: held(
        "path confusion, rewrites, case",
        VECTORS + "path-*",
        VECTORS + "host-upper",
        RULES + "a_rewrite_makes_no_dot_segment",
        HERE + "test_row_13_hosts_of_any_case_among_a_thousand",
    ),
    14: held("obs-text in rules", HERE + "test_row_14_expressions_work_on_bytes"),
    15: held("several values of a field", HERE + "test_row_15_any_of_several_values_decides"),
    16: over_http2(
        "HTTP/2 to HTTP/1 injection",
        VECTORS + "h2-name-*",
        VECTORS + "h2-ps-*",
        VECTORS + "h2-transfer-encoding",
        H2_DIFFERENTIAL + "test_hostile_fields_never_reach_the_upstream_in_doubt",
        H2_DIFFERENTIAL + "test_every_octet_in_every_place",
    ),
    17: over_http2(
        "HTTP/2 lengths",
        VECTORS + "h2-cl-*",
        VECTORS + "h2-declared-frame-short",
        H2 + "test_row_17_no_more_is_announced_than_came",
    ),
    18: over_http2("rapid reset", VECTORS + "h2-dos-rapid-reset", H2 + "test_row_18_rapid_reset"),
    19: over_http2(
        "resets made by the server",
        VECTORS + "h2-dos-made-you-reset",
        H2 + "test_row_19_resets_made_by_the_server_count",
    ),
    20: over_http2(
        "CONTINUATION flood",
        VECTORS + "h2-dos-continuation-flood",
        H2 + "test_row_20_continuations_without_end",
    ),
    21: over_http2(
        "HPACK bombs",
        VECTORS + "h2-dos-h*-bomb",
        H2 + "test_row_21_one_entry_referred_to_ten_thousand_times",
        H2 + "test_row_21_tiny_fields_by_the_thousand_and_windows_that_stay_shut",
        H2 + "test_row_21_cookie_crumbs_count",
    ),
    22: over_http2(
        "discarded HTTP/2 fields",
        VECTORS + "h2-ps-many-host",
        H2 + "test_row_22_fields_that_are_dropped_count",
    ),
    23: over_http2(
        "HTTP/2 frame floods",
        VECTORS + "h2-dos-window-update-flood",
        H2 + "test_row_23_settings",
        H2 + "test_row_23_pings",
        H2 + "test_row_23_resets_that_nobody_reads",
        H2 + "test_row_23_window_updates",
        H2 + "test_row_23_other_floods",
        H2 + "test_row_23_windows_of_one_octet",
        H2 + "test_row_23_windows_open_but_nothing_is_read",
        "Tests/Integration/test_http2_upstream.py::test_floods_from_an_upstream",
    ),
    24: over_http2(
        "malformed HTTP/2 frames",
        VECTORS + "h2-ping-*",
        H2 + "test_row_24_pings_of_another_size",
        H2 + "test_row_24_frames_without_what_they_must_have",
    ),
    25: held(
        "HPACK without memory",
        "Tests/CUnit/http2_memory_test.c::h2_memory_that_ends_anywhere_ends_one_session",
        "Tests/CUnit/http2_memory_test.c::h2_memory_that_ends_for_one_is_there_for_its_neighbour",
    ),
    26: held(
        "slow on purpose",
        VECTORS + "conn-slow-headers",
        "Tests/Integration/test_hostile_input.py::test_slow_heads_are_timed_out",
        HERE + "test_row_26_a_body_that_stops_is_let_go",
        HERE + "test_row_26_a_body_that_drips_is_let_go",
        HERE + "test_row_26_a_reader_that_stops_is_let_go",
        "Tests/Integration/test_bodies.py::test_slow_client_in_a_splice_is_let_go",
    ),
    27: held(
        "header and target bombs",
        VECTORS + "hdr-one-256k",
        VECTORS + "hdr-empty-name-value-flood",
        "Tests/CUnit/wire_h1_limits_test.c::count_of_fields",
        "Tests/CUnit/wire_h1_limits_test.c::length_of_the_head",
        "Tests/CUnit/wire_h1_limits_test.c::length_of_the_target",
    ),
    28: later("decompression bomb", "nothing is decompressed"),
    29: held(
        "PROXY header spoofed or spilt",
        "Tests/CUnit/wire_pp_test.c::blocks_of_version_2",
        "Tests/CUnit/wire_pp_test.c::nothing_behind_a_block_is_read",
        "Tests/CUnit/proxy_hops_test.c::only_trusted_peers_may_name_a_client",
        "Tests/CUnit/proxy_hops_test.c::without_a_good_header_nothing_goes_on",
        "Tests/Integration/test_proxy_protocol.py::test_cases",
        "Tests/Integration/test_access_log.py::test_a_refused_proxy_header",
    ),
    30: held(
        "resumption across names",
        "Tests/CUnit/tls_resume_test.c::tickets_are_void_elsewhere",
        "Tests/CUnit/tls_resume_test.c::tickets_are_void_for_another_name",
        "Tests/Integration/test_tls_listener.py::test_revoked_clients_are_shut_out",
    ),
    31: held(
        "NUL in names of certificates",
        "Tests/CUnit/tls_peer_test.c::invalid_ids",
        "Tests/CUnit/tls_hello_test.c::invalid_server_names_are_refused",
        "Tests/CUnit/tls_verify_test.c::a_nul_in_a_signed_name_ends_nothing",
    ),
    32: held(
        "plaintext before TLS",
        "Tests/CUnit/tls_hostile_test.c::plaintext_answer_is_told",
        "Tests/CUnit/tls_hostile_test.c::plaintext_on_a_tls_port_is_told",
        "Tests/CUnit/proxy_tls_test.c::plaintext_before_the_upstreams_handshake_is_not_taken",
        "Tests/Integration/test_access_log.py::test_an_upstream_without_tls",
    ),
    33: held(
        "answers that nobody asked for",
        VECTORS + "rs-unsolicited-idle",
        HERE + "test_row_33_an_idle_upstream_that_speaks_is_dropped",
        BULK + "bytes_behind_a_spliced_body_are_no_answer",
        ANSWERS,
    ),
    34: held(
        "upstream body cut",
        VECTORS + "rs-short-*",
        BULK + "a_body_that_ends_early_in_a_splice_is_cut",
        "Tests/Integration/test_http_messages.py::test_cut_answer_is_seen_as_cut",
    ),
    35: held(
        "bad heads of upstreams",
        VECTORS + "rs-hdr-*",
        HERE + "test_row_35_too_many_fields_of_an_answer",
        HERE + "test_row_35_bad_fields_of_an_answer",
        HERE + "test_row_35_interim_answers_without_end",
        ANSWERS,
    ),
    36: held(
        "upstreams that refuse, vanish, are slow",
        "Tests/Integration/test_http_cases.py::test_connect_refused",
        "Tests/Integration/test_http_cases.py::test_connect_blackhole",
        "Tests/Integration/test_endpoints.py::test_next_instance_is_tried",
        "Tests/Integration/test_silent_upstream.py::test_others_are_served_meanwhile",
    ),
    37: held("retry storm", HERE + "test_row_37_a_failing_upstream_is_not_asked_more_often"),
    38: held(
        "replay of what is not idempotent",
        HERE + "test_row_38_a_post_in_flight_is_not_repeated",
        "Tests/Integration/test_endpoints.py::test_post_is_not_sent_twice",
        RULES + "no_second_try_once_an_interim_answer_went_down",
    ),
    39: held(
        "client aborts",
        "Tests/Integration/test_silent_upstream.py::test_upstream_is_let_go_when_the_client_aborts",
        "Tests/Integration/test_hostile_input.py::test_aborts_leave_nothing",
        BULK + "a_client_that_leaves_a_splice_is_gone",
    ),
    40: held(
        "half-close",
        "Tests/Integration/test_silent_upstream.py::test_half_closed_client_gets_its_answer",
        "Tests/Integration/test_bodies.py::"
        "test_half_closed_client_gets_all_of_an_answer_without_length",
        "Tests/Integration/test_l4.py::test_half_close_in_both_directions",
        "Tests/Integration/test_upgrade.py::test_tunnel_half_close",
    ),
    41: held("no descriptors", HERE + "test_row_41_without_descriptors_it_sheds_and_recovers"),
    42: held(
        "memory",
        FAULTS + "test_row_42_attacks_do_not_use_up_the_memory_of_a_group",
        "Tests/Integration/test_hostile_input.py::test_client_that_never_reads",
        "Tests/Integration/test_bodies.py::test_a_long_answer_waits_for_its_reader",
        "Tests/Integration/test_bodies.py::test_a_long_request_waits_for_its_reader",
        "Tests/CUnit/proxy_l7_test.c::a_flood_of_questions_from_a_client_that_reads_nothing",
    ),
    43: held(
        "processor, stuck worker, expression bomb",
        HERE + "test_row_43_a_stopped_worker_stops_nobody_else",
        "Tests/MeshRegexTests/RegexTests.swift::largeAutomataAreRefused",
    ),
    44: held(
        "disk full",
        "Tests/Integration/test_store_trouble.py::test_disk_full",
        "Tests/Integration/test_access_log.py::test_a_full_disk_costs_records_only",
        "Tests/Integration/test_access_log.py::test_a_full_ring_never_blocks",
    ),
    45: held(
        "clock",
        FAULTS + "test_row_45_a_machine_that_stood_still",
        "Tests/CUnit/core_wheel_test.c::wheel_ignores_a_clock_that_goes_back",
    ),
    46: held(
        "control plane dead",
        "Tests/Integration/test_control_plane_killed.py::"
        "test_traffic_survives_and_changes_flow_again",
        "Tests/Integration/test_access_log.py::test_without_a_control_plane_the_log_goes_on",
    ),
    47: held(
        "worker dead", "Tests/Integration/test_worker_killed.py::test_only_its_connections_fail"
    ),
    48: later("Consul in trouble", "no Consul is asked yet"),
    49: held(
        "bad configuration",
        "Tests/Integration/test_snapshot_refused.py::test_refused_with_a_reason",
        "Tests/Integration/test_bad_configuration.py::test_all_problems_at_once",
        HERE + "test_row_49_a_configuration_that_flaps",
    ),
    50: held(
        "changes and upgrades under load",
        HERE + "test_row_50_changes_fail_no_request_and_cut_no_tunnel",
        "Tests/Integration/test_dataplane_upgrade.py::test_no_request_fails_over_twenty_upgrades",
        "Tests/Integration/test_dataplane_upgrade.py::"
        "test_streams_live_to_the_end_of_the_time_to_drain",
        "Tests/Integration/test_dataplane_upgrade.py::test_at_most_two_drain",
    ),
    51: held(
        "drain",
        "Tests/Integration/test_sigterm.py::test_requests_in_flight_finish",
        "Tests/Integration/test_sigterm.py::test_what_is_cut_by_the_end_does_not_look_whole",
        "Tests/Integration/test_sigterm.py::test_an_upload_cut_by_the_end_does_not_look_whole",
        "Tests/Integration/test_http2_messages.py::test_a_drain_lets_streams_finish",
    ),
    52: held(
        "a network that is split or slow",
        FAULTS + "test_row_52_a_split_network_costs_what_the_timeouts_say",
        FAULTS + "test_row_52_delay_is_no_fault",
        "Tests/Integration/test_silent_upstream.py::test_504_in_its_time",
    ),
    53: later("ACME", "no ACME yet"),
    54: later("certificates on demand", "no ACME yet"),
    55: held(
        "log and metrics injection",
        "Tests/CUnit/worker_log_test.c::whatever_bytes_come_the_line_is_json",
        "Tests/CUnit/worker_logline_test.c::hostile_bytes_stay_within_their_field",
        "Tests/Integration/test_admin.py::test_metrics_are_bounded",
    ),
    56: held(
        "admin API exposed",
        "Tests/Integration/test_admin.py::test_browser_cannot_write",
        "Tests/Integration/test_admin.py::test_a_page_that_was_pointed_here_reads_nothing",
        "Tests/Integration/test_admin.py::test_admin_listens_on_loopback_only",
    ),
    57: held(
        "requests forged through checks",
        "Tests/MeshClientTests/ClientTests.swift::redirectsAreAnswersAndAreNotFollowed",
        "Tests/MeshClientTests/ClientTests.swift::aBodyAboveTheLimitIsAnError",
    ),
    58: later("hostile service tags", "no tags are read yet"),
    59: later("forwarded authentication", "no such stage yet"),
    60: held("timing of comparisons", HERE + "test_row_60_secrets_are_compared_in_constant_time"),
    61: later("cache keys", "nothing is cached"),
    62: held(
        "io_uring in trouble",
        "Tests/CUnit/ring_uring_test.c::more_operations_and_events_than_the_queues_hold",
        "Tests/CUnit/ring_buffers_test.c::small_group_exhausted_and_recovered",
        "Tests/CUnit/ring_setup_test.c::hints_name_the_likely_cause",
        "Tests/Integration/test_engines.py::test_auto_takes_epoll_where_io_uring_is_forbidden",
    ),
}


@functools.cache
def text_of(file):
    path = ROOT / file
    return path.read_text(encoding="utf-8") if path.exists() else ""


@functools.cache
def checks():
    """The names of the requirements on HTTP/2."""
    return [check.name for check in h2check.CHECKS]


@functools.cache
def cases():
    known = json.loads(text_of(VECTORS.partition("::")[0]))
    parts = ("http1_requests", "http1_responses", "http2")
    return [c["id"] for part in parts for c in known[part]]


def exists(place):
    """Whether there is such a test."""
    file, _, name = place.partition("::")
    if file == CHECKS:
        return any(fnmatch.fnmatchcase(known, name) for known in checks())
    if file.endswith(".json"):
        return any(fnmatch.fnmatch(case, name) for case in cases())
    shape = {".py": r"^def {}\(", ".c": r"^(?:RING_|PROXY_)?TEST\({}\)", ".swift": r"func {}\("}
    return bool(re.search(shape[Path(file).suffix].format(re.escape(name)), text_of(file), re.M))
