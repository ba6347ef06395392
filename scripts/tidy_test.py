#!/usr/bin/env python3
"""Proves that every rule of tidy.py finds what breaks it and leaves alone what does not."""

import tempfile
import unittest
from pathlib import Path

import tidy


def findings(files):
    """What tidy says about a tree made of `files` (path to text), as (file, line, message)."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, text in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        found, _ = tidy.check_tree(root)
        return [(f.file, f.line, f.message) for f in found]


def header(body=""):
    return "#pragma once\n" + body


class TidyTest(unittest.TestCase):
    def assert_found(self, files, file, line, part):
        found = findings(files)
        hits = [f for f in found if f[0] == file and f[1] == line and part in f[2]]
        self.assertTrue(hits, f"nothing about {part!r} at {file}:{line} in {found}")

    def assert_clean(self, files):
        self.assertEqual(findings(files), [])


class Arrows(TidyTest):
    TREE = {
        "messages/errc.hpp": header(),
        "messages/chat.hpp": header(),
        "runtime/base/clock.hpp": header(),
        "runtime/flow/breaker.hpp": header('#include "runtime/base/clock.hpp"\n'),
        "runtime/net/link.hpp": header('#include "runtime/flow/breaker.hpp"\n'),
        "runtime/actor/guard.hpp": header('#include "runtime/flow/breaker.hpp"\n'),
        "actors/cache/shard.hpp": header('#include "runtime/actor/guard.hpp"\n'),
        "actors/pool/pool.hpp": header('#include "messages/chat.hpp"\n'),
        "tests/unit/x_test.cpp": '#include "actors/cache/shard.hpp"\n',
    }

    def with_line(self, path, include):
        return {**self.TREE, path: header(f'#include "{include}"\n')}

    def test_downward_arrows_are_fine(self):
        self.assert_clean(self.TREE)

    def test_an_upward_arrow_is_found(self):
        self.assert_found(self.with_line("messages/bad.hpp", "runtime/base/clock.hpp"),
                          "messages/bad.hpp", 2, "messages may not include runtime/base")

    def test_net_and_actor_do_not_know_each_other(self):
        self.assert_found(self.with_line("runtime/net/bad.hpp", "runtime/actor/guard.hpp"),
                          "runtime/net/bad.hpp", 2, "may not include runtime/actor")
        self.assert_found(self.with_line("runtime/actor/bad.hpp", "runtime/net/link.hpp"),
                          "runtime/actor/bad.hpp", 2, "may not include runtime/net")

    def test_kinds_of_actors_do_not_know_each_other(self):
        self.assert_found(self.with_line("actors/pool/bad.hpp", "actors/cache/shard.hpp"),
                          "actors/pool/bad.hpp", 2, "may not include actors/cache")

    def test_what_kinds_share_and_what_a_role_wires_is_fine(self):
        self.assert_clean({**self.TREE, "actors/shared.hpp": header(),
                           "actors/pool/json.hpp": header('#include "actors/shared.hpp"\n'),
                           "actors/pool/role.cpp": '#include "actors/cache/shard.hpp"\n'})

    def test_pure_rooms_see_only_the_plain_messages(self):
        self.assert_clean(self.with_line("runtime/flow/fine.hpp", "messages/errc.hpp"))
        self.assert_found(self.with_line("runtime/flow/bad.hpp", "messages/chat.hpp"),
                          "runtime/flow/bad.hpp", 2, "may not include messages")

    def test_only_tests_include_tests(self):
        tree = {"tests/support/x.hpp": header(), **self.with_line("cli/bad.hpp",
                                                                  "tests/support/x.hpp")}
        self.assert_found(tree, "cli/bad.hpp", 2, "may not include tests")

    def test_a_name_that_does_not_start_at_the_root_is_found(self):
        self.assert_found(self.with_line("runtime/flow/bad.hpp", "breaker.hpp"),
                          "runtime/flow/bad.hpp", 2, "below the root")


class HeavyHeaders(TidyTest):
    def test_caf_all_is_never_included(self):
        self.assert_found({"runtime/actor/a.cpp": "#include <caf/all.hpp>\n"},
                          "runtime/actor/a.cpp", 1, "caf/all.hpp")

    def test_a_library_outside_of_its_room_is_found(self):
        self.assert_found({"actors/agent/a.cpp": "#include <boost/asio/post.hpp>\n"},
                          "actors/agent/a.cpp", 1, "Boost belongs to")
        self.assert_found({"runtime/flow/a.hpp": header("#include <caf/actor.hpp>\n")},
                          "runtime/flow/a.hpp", 2, "CAF belongs to")

    def test_a_heavy_header_in_a_header_is_found(self):
        self.assert_found({"runtime/base/log.hpp": header("#include <spdlog/spdlog.h>\n")},
                          "runtime/base/log.hpp", 2, "only in a .cpp")

    def test_a_private_header_of_the_owner_is_fine(self):
        self.assert_clean({"runtime/net/session.hpp": header("#include <boost/asio/post.hpp>\n"),
                           "runtime/net/a.cpp": '#include "runtime/net/session.hpp"\n',
                           "tests/unit/a_test.cpp": '#include "runtime/net/session.hpp"\n'})

    def test_a_library_that_leaks_through_headers_is_found(self):
        self.assert_found({"runtime/net/session.hpp": header("#include <boost/asio/post.hpp>\n"),
                           "runtime/net/server.hpp": header('#include "runtime/net/session.hpp"\n'),
                           "actors/gateway/a.cpp": '\n#include "runtime/net/server.hpp"\n'},
                          "actors/gateway/a.cpp", 2, "pulls in Boost by runtime/net/session.hpp")


class Sizes(TidyTest):
    def body(self, lines):
        return "int f() {\n" + "  g();\n" * (lines - 2) + "}\n"

    def test_a_function_at_the_limit_is_fine(self):
        self.assert_clean({"cli/a.cpp": self.body(70)})

    def test_a_longer_function_is_found(self):
        self.assert_found({"cli/a.cpp": "\n" + self.body(71)}, "cli/a.cpp", 2, "of 71 lines")

    def test_functions_are_found_in_namespaces_and_types(self):
        inner = self.body(71)
        text = f"namespace a {{\nstruct b final : c {{\n  int d{{3}};\n{inner}}};\n}}\n"
        self.assertEqual(list(tidy.functions(text)), [(4, 71)])

    def test_a_constructor_with_braced_members_is_measured(self):
        text = "a::a(int b) : b_{b}, c_{b} {\n" + "  g();\n" * 80 + "}\n"
        self.assertIn((1, 82), tidy.functions(text))

    def test_a_long_type_is_no_function(self):
        for head in ("struct alignas(64) a", "template <class T> requires (b<T>) class a"):
            text = head + " {\n" + "  int c;\n" * 80 + "};\n"
            self.assertEqual(list(tidy.functions(text)), [])

    def test_braces_in_text_and_comments_do_not_count(self):
        text = 'int f() { // {\n  g("}", \'}\', R"({)"); /* } */\n  n = 1\'000;\n}\nint h() {\n}\n'
        self.assertEqual(list(tidy.functions(text)), [(1, 4), (5, 2)])

    def test_a_long_table_is_no_function(self):
        self.assert_clean({"cli/a.cpp": "const row table[] = {\n" + "  {1, 2},\n" * 90 + "};\n"})

    def test_long_files_and_headers_are_found(self):
        self.assert_found({"cli/a.cpp": "int a;\n" * 501}, "cli/a.cpp", 501, "at most 500")
        self.assert_found({"cli/a.hpp": header("int a;\n" * 150)}, "cli/a.hpp", 151, "at most 150")

    def test_a_header_that_must_be_long_says_why(self):
        body = "// tidy: allow size, all templates\n" + "\n" * 300
        self.assert_clean({"runtime/base/long.hpp": header(body)})
        self.assert_found({"runtime/base/long.hpp": header(body + "\n" * 300)},
                          "runtime/base/long.hpp", 602, "602 lines, at most 500")

    def test_a_header_without_pragma_once_is_found(self):
        self.assert_found({"cli/a.hpp": "int a;\n"}, "cli/a.hpp", 1, "#pragma once")

    def test_a_long_line_is_found(self):
        self.assert_clean({"cli/a.cpp": "//" + "x" * 98 + "\n"})
        self.assert_found({"cli/a.cpp": "//" + "x" * 99 + "\n"}, "cli/a.cpp", 1, "101 columns")


class Lines(TidyTest):
    def test_open_ends_are_found(self):
        for word in ("TO" "DO", "FIX" "ME", "X" "XX", "place" "holder"):
            self.assert_found({"docs/a.md": f"one\n{word}: later\n"}, "docs/a.md", 2, "[word]")

    def test_a_pictogram_is_found(self):
        self.assert_found({"README.md": "fast \U0001F680\n"}, "README.md", 1, "[pictogram]")

    def test_a_test_that_sleeps_is_found(self):
        nap = "std::this_thread::sl" "eep_for(10ms);\n"
        self.assert_found({"tests/unit/a_test.cpp": nap}, "tests/unit/a_test.cpp", 1, "[sleep]")
        self.assert_clean({"runtime/base/a.cpp": nap})

    def test_a_fixed_port_in_a_test_is_found(self):
        for text in ('"127.0.0.1:80' '80"', '"http://localhost:90' '00/v1"', "x.listen(30" "00)"):
            self.assert_found({"tests/a.mjs": text + "\n"}, "tests/a.mjs", 1, "[port]")
        self.assert_clean({"tests/system/a.mjs": '"127.0.0.1:0"\nserver.listen(0)\n',
                           "tests/unit/config/a.cpp": '"127.0.0.1:80' '80"\n'})

    def test_a_mutex_in_an_actor_is_found(self):
        self.assert_found({"actors/agent/a.cpp": "std::mutex m;\n"},
                          "actors/agent/a.cpp", 1, "[mutex]")
        self.assert_clean({"runtime/net/a.cpp": "std::mutex m;\n"})

    def test_a_locked_atomic_and_an_endless_wait_are_found(self):
        self.assert_found({"cli/a.cpp": "std::atomic<std::shared_ptr<int>> p;\n"},
                          "cli/a.cpp", 1, "[atomic]")
        self.assert_found({"cli/a.cpp": "request(a, caf::infinite, b);\n"},
                          "cli/a.cpp", 1, "[infinite]")

    def test_an_excuse_needs_its_rule_and_a_reason(self):
        line = '"127.0.0.1:80' '80" // tidy: allow {}\n'
        self.assert_clean({"tests/unit/a.cpp": line.format("port, only parsed")})
        self.assert_found({"tests/unit/a.cpp": line.format("port,")},
                          "tests/unit/a.cpp", 1, "[port]")
        self.assert_found({"tests/unit/a.cpp": line.format("sleep, no")},
                          "tests/unit/a.cpp", 1, "[port]")


@unittest.skipUnless(tidy.clang_format(), "clang-format 14 is not installed")
class Format(TidyTest):
    STYLE = {".clang-format": "BasedOnStyle: LLVM\n"}

    def test_a_file_out_of_shape_is_found(self):
        self.assert_clean({**self.STYLE, "cli/a.cpp": "int a;\n"})
        self.assert_found({**self.STYLE, "cli/a.cpp": "int b;\nint   a;\n"},
                          "cli/a.cpp", 2, "not formatted")


if __name__ == "__main__":
    unittest.main()
