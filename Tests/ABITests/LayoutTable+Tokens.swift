// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let tokens: [Offset] = [
        // abi_token
        ("abi_token.checks", MemoryLayout<abi_token>.offset(of: \.checks)),
        ("abi_token.also", MemoryLayout<abi_token>.offset(of: \.also)),
        ("abi_token._pad0", MemoryLayout<abi_token>.offset(of: \._pad0)),
        // abi_token_check
        ("abi_token_check.key", MemoryLayout<abi_token_check>.offset(of: \.key)),
        ("abi_token_check.places", MemoryLayout<abi_token_check>.offset(of: \.places)),
        ("abi_token_check.forward", MemoryLayout<abi_token_check>.offset(of: \.forward)),
        ("abi_token_check.pad_payload", MemoryLayout<abi_token_check>.offset(of: \.pad_payload)),
        ("abi_token_check._pad0", MemoryLayout<abi_token_check>.offset(of: \._pad0)),
        // abi_token_place
        ("abi_token_place.name", MemoryLayout<abi_token_place>.offset(of: \.name)),
        ("abi_token_place.prefix", MemoryLayout<abi_token_place>.offset(of: \.prefix)),
        ("abi_token_place.where", MemoryLayout<abi_token_place>.offset(of: \.`where`)),
        ("abi_token_place.drop", MemoryLayout<abi_token_place>.offset(of: \.drop)),
        ("abi_token_place._pad0", MemoryLayout<abi_token_place>.offset(of: \._pad0)),
        // abi_token_question
        ("abi_token_question.magic", MemoryLayout<abi_token_question>.offset(of: \.magic)),
        ("abi_token_question.length", MemoryLayout<abi_token_question>.offset(of: \.length)),
        ("abi_token_question.id", MemoryLayout<abi_token_question>.offset(of: \.id)),
        ("abi_token_question.check", MemoryLayout<abi_token_question>.offset(of: \.check)),
        // abi_token_verdict
        ("abi_token_verdict.magic", MemoryLayout<abi_token_verdict>.offset(of: \.magic)),
        ("abi_token_verdict.held", MemoryLayout<abi_token_verdict>.offset(of: \.held)),
        ("abi_token_verdict.id", MemoryLayout<abi_token_verdict>.offset(of: \.id)),
        ("abi_token_verdict.check", MemoryLayout<abi_token_verdict>.offset(of: \.check)),
        ("abi_token_verdict.life_ms", MemoryLayout<abi_token_verdict>.offset(of: \.life_ms)),
        ("abi_token_verdict._pad0", MemoryLayout<abi_token_verdict>.offset(of: \._pad0)),
    ]
}
