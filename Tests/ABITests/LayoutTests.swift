import CMeshABI
import Foundation
import Testing

/// Both sides see the same layout: what the C compiler said when LAYOUT.golden was made, and what
/// the Swift compiler says now.
@Suite struct LayoutTests {
    /// `name at N size N`, `name size N` and `name N`, by name.
    private static func golden() throws -> [String: [String]] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("LAYOUT.golden")
        let text = try String(contentsOf: file, encoding: .utf8)
        var lines: [String: [String]] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ").map(String.init)
            lines[words[0]] = Array(words.dropFirst())
        }
        return lines
    }

    @Test func structsHaveTheSizesOfC() throws {
        let golden = try Self.golden()
        #expect(LayoutTable.sizes.count >= 30)
        for (name, size) in LayoutTable.sizes {
            #expect(golden[name] == ["size", "\(size)"], "\(name)")
        }
        let named = Set(LayoutTable.sizes.map(\.name))
        for (name, words) in golden where words.first == "size" {
            #expect(named.contains(name), "\(name) is not compared")
        }
    }

    @Test func fieldsStandWhereCPutsThem() throws {
        let golden = try Self.golden()
        for (name, offset) in LayoutTable.offsets {
            let place = try #require(offset, "\(name) is not a stored field")
            #expect(golden[name]?.prefix(2) == ["at", "\(place)"], "\(name)")
        }
        let named = Set(LayoutTable.offsets.map(\.name))
        for (name, words) in golden where words.first == "at" {
            #expect(named.contains(name), "\(name) is not compared")
        }
    }

    @Test func recordSizesAreThoseOfTheSections() {
        let sizes: [(abi_section, Int)] = [
            (ABI_SECTION_TEXT, 1), (ABI_SECTION_BLOB, 1),
            (ABI_SECTION_LISTENER, MemoryLayout<abi_listener>.stride),
            (ABI_SECTION_ROUTE_TABLE, MemoryLayout<abi_route_table>.stride),
            (ABI_SECTION_HOST, MemoryLayout<abi_host>.stride), (ABI_SECTION_ROUTE_LIST, 4),
            (ABI_SECTION_ROUTE, MemoryLayout<abi_route>.stride),
            (ABI_SECTION_MATCH, MemoryLayout<abi_match>.stride),
            (ABI_SECTION_HEADER_OP, MemoryLayout<abi_header_op>.stride),
            (ABI_SECTION_DFA, MemoryLayout<abi_dfa>.stride),
            (ABI_SECTION_SPLIT, MemoryLayout<abi_split>.stride),
            (ABI_SECTION_TARGET, MemoryLayout<abi_target>.stride), (ABI_SECTION_TARGET_LIST, 4),
            (ABI_SECTION_ENDPOINT, MemoryLayout<abi_endpoint>.stride),
            (ABI_SECTION_POLICY, MemoryLayout<abi_policy>.stride),
            (ABI_SECTION_INTENTION, MemoryLayout<abi_intention>.stride),
            (ABI_SECTION_PERMISSION, MemoryLayout<abi_permission>.stride),
            (ABI_SECTION_IDENTITY, MemoryLayout<abi_identity>.stride),
            (ABI_SECTION_TLS, MemoryLayout<abi_tls>.stride), (ABI_SECTION_SECRET_LIST, 8),
            (ABI_SECTION_LOG, MemoryLayout<abi_log>.stride),
            (ABI_SECTION_LOG_OP, MemoryLayout<abi_log_op>.stride),
            (ABI_SECTION_LOG_HEADER, MemoryLayout<abi_log_header>.stride),
            (ABI_SECTION_SERVER_NAME, MemoryLayout<abi_server_name>.stride),
            (ABI_SECTION_NETWORK, MemoryLayout<abi_network>.stride),
            (ABI_SECTION_HOPS, MemoryLayout<abi_hops>.stride),
            (ABI_SECTION_COMPRESSION, MemoryLayout<abi_compression>.stride),
            (ABI_SECTION_MEDIA_TYPE, MemoryLayout<abi_text>.stride),
            (ABI_SECTION_TRAFFIC, MemoryLayout<abi_traffic>.stride),
            (ABI_SECTION_GUARD, MemoryLayout<abi_guard>.stride),
            (ABI_SECTION_RATE, MemoryLayout<abi_rate>.stride),
            (ABI_SECTION_BALANCER, MemoryLayout<abi_balancer>.stride),
            (ABI_SECTION_TIER, MemoryLayout<abi_tier>.stride),
            (ABI_SECTION_SLOT, MemoryLayout<UInt32>.stride),
            (ABI_SECTION_HASH, MemoryLayout<abi_hash>.stride),
            (ABI_SECTION_ORIGINAL, MemoryLayout<abi_original>.stride),
            (ABI_SECTION_TOKEN, MemoryLayout<abi_token>.stride),
            (ABI_SECTION_TOKEN_CHECK, MemoryLayout<abi_token_check>.stride),
            (ABI_SECTION_TOKEN_PLACE, MemoryLayout<abi_token_place>.stride),
        ]
        #expect(sizes.count == Int(ABI_SECTION_COUNT.rawValue))
        for (section, size) in sizes {
            #expect(abi_record_size(section.rawValue) == UInt32(size), "\(section.rawValue)")
        }
        #expect(abi_record_size(ABI_SECTION_COUNT.rawValue) == 0)
    }

    /// Enumerations and macros that Swift computes with.
    @Test func numbersAreThoseOfC() throws {
        let golden = try Self.golden()
        let numbers: [(String, UInt64)] = [
            ("ABI_VERSION", UInt64(ABI_VERSION)), ("ABI_NONE", UInt64(ABI_NONE)),
            ("ABI_SPLIT_TOTAL", UInt64(ABI_SPLIT_TOTAL)),
            ("ABI_SNAPSHOT_MAGIC", ABI_SNAPSHOT_MAGIC), ("LIMIT_TEXT", UInt64(LIMIT_TEXT)),
            ("LIMIT_ENDPOINTS", UInt64(LIMIT_ENDPOINTS)),
            ("LIMIT_HOST_PROBES", UInt64(LIMIT_HOST_PROBES)),
            ("abi_section.ABI_SECTION_COUNT", UInt64(ABI_SECTION_COUNT.rawValue)),
            ("abi_path_kind.ABI_PATH_REGEX", UInt64(ABI_PATH_REGEX.rawValue)),
            ("abi_outcome.ABI_OUTCOME_COUNT", UInt64(ABI_OUTCOME_COUNT.rawValue)),
            ("abi_control_type.ABI_CONTROL_RELEASED", UInt64(ABI_CONTROL_RELEASED.rawValue)),
        ]
        for (name, value) in numbers { #expect(golden[name] == ["\(value)"], "\(name)") }
    }
}
