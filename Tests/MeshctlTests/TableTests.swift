import Foundation
import MeshAdminAPI
import Testing

@testable import meshctl

@Suite struct TableTests {
    @Test func columnsAreAsWideAsTheirWidestCell() {
        var table = Table("name", "count", "note", numbers: [1])
        table.add("a", "1", "x")
        table.add("longer-name", "1000000", "")
        #expect(
            table.rendered(orElse: "nothing") == """
                NAME           COUNT  NOTE
                a                  1  x
                longer-name  1000000
                """)
    }

    @Test func aTableWithoutRowsSaysSo() {
        #expect(Table("name").rendered(orElse: "no names") == "no names")
    }

    @Test func cellsAreMeasuredInCharactersNotBytes() {
        var table = Table("name", "next")
        table.add("żółć", "x")
        table.add("abcdef", "x")
        #expect(table.rendered(orElse: "") == "NAME    NEXT\nżółć    x\nabcdef  x")
    }

    @Test(arguments: [
        ("plain", "plain"), ("żółć 🙂", "żółć 🙂"), ("a\u{1B}[31mb", "a·[31mb"),
        ("line\nbreak\r\ttab", "line·break··tab"), ("\u{7F}\u{0}", "··"),
        ("\u{9B}31m", "·31m"), ("a\u{202E}b\u{2066}c", "a·b·c"), ("\u{2028}", "·"),
    ])
    func whatATerminalWouldActUponIsShown(text: String, shown: String) {
        #expect(Printable.text(text) == shown)
        var table = Table("c")
        table.add(text)
        #expect(table.rendered(orElse: "") == "C\n" + shown)
    }

    @Test(
        arguments: [
            (0, "0 µs"), (999, "999 µs"), (1000, "1.0 ms"), (1234, "1.2 ms"), (999_999, "999.9 ms"),
            (1_000_000, "1.0 s"), (61_500_000, "61.5 s"),
        ] as [(UInt64, String)])
    func latencies(microseconds: UInt64, text: String) {
        #expect(Format.latency(microseconds) == text)
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"), (1 << 40, "1.0 TiB"), (1 << 50, "1024.0 TiB"),
            (.max, "16777215.9 TiB"),
        ] as [(UInt64, String)])
    func sizes(bytes: UInt64, text: String) {
        #expect(Format.bytes(bytes) == text)
    }

    @Test func listsAndDates() {
        #expect(Format.list([]) == "-")
        #expect(Format.list(["a", "b"]) == "a,b")
        #expect(Format.date(Date(timeIntervalSince1970: 1_800_000_000)) == "2027-01-15T08:00:00Z")
    }
}
