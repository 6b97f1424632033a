import MeshModel
import Testing

@testable import MeshTables

@Suite struct AddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("1.20.255.0", "1.20.255.0"),
        ("255.255.255.255", "255.255.255.255"), ("::", "::"),
        ("::1", "::1"), ("1::", "1::"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:DB8::FF", "2001:db8::ff"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"), ("::ffff:1.2.3.4", "::ffff:102:304"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("fe80::1:2", "fe80::1:2"),
    ])
    func addressesAreReadAndWritten(_ text: String, _ normal: String) throws {
        let address = try #require(IPAddress(text))
        #expect("\(address)" == normal)
        #expect(IPAddress(normal) == address)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.256", "01.2.3.4", ":", "1:2", "1::2::3", "g::", "::1%lo", "1.2.3.4.",
        ".1.2.3.4", "1..2.3", "1.2.3.4.5", "1.2.3.00", "1.2.3.1000", "4294967296.0.0.1", "1.2.3. 4",
        "1.2.3.4\u{0}", "１.2.3.4", "...",
    ])
    func othersAreNot(_ text: String) {
        #expect(IPAddress(text) == nil)
        #expect(throws: MeshError.self) { try AddressPlan(ip: text, port: 80) }
    }
}
