import Testing

@testable import controlplane

@Suite struct UpgradeTests {
    @Test func aProgramIntroducesItself() throws {
        let told = try #require(DataPlaneUpgrader.Introduction("dataplane 1.2.3 (abi 4)\n"))
        #expect(told.text == "dataplane 1.2.3")
        #expect(told.abi == 4)
    }

    @Test(arguments: [
        "", "dataplane", "dataplane 1.2.3", "dataplane 1.2.3 (abi x)", "nginx 1.2.3 (abi 4)",
        "dataplane 1.2.3 (abi 4) and more", "dataplane 1.2.3 (abi 9999999999)",
    ])
    func orIsNone(line: String) {
        #expect(DataPlaneUpgrader.Introduction(line) == nil)
    }
}
