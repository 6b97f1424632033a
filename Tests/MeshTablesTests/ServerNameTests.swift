import CMeshABI
import CMeshBase
import CMeshTable
import MeshModel
import Testing

@testable import MeshTables

/// Certificates by server name, written here and looked up by the data plane's own function.
@Suite struct ServerNameTests {
    private func node(_ names: [ServerNamePlan], other: [ServerNamePlan] = []) -> CompiledNode {
        var node = CompiledNode(node: "node-1", datacenter: "dc1", trustDomain: "test.mesh")
        for (owner, names) in [("a", names), ("b", other)] {
            _ = node.intern(
                TLSPlan(server: true, owner: owner, certificates: [7], names: names))
        }
        return node
    }

    private func name(_ text: String, ec: UInt64? = nil, rsa: UInt64? = nil) -> ServerNamePlan {
        var plan = ServerNamePlan(name: text)
        if let ec { plan.add(ec, isRSA: false) }
        if let rsa { plan.add(rsa, isRSA: true) }
        return plan
    }

    /// Ids of the certificates that the data plane finds, by kind of key.
    private func find(_ name: String, in reader: SnapshotReader, tls: Int = 0) -> [UInt64?]? {
        reader.certificates(of: name, tls: tls)
    }

    @Test func exactThenOneLabelThenNothing() throws {
        let reader = try Plans.reader(
            node([
                name("a.test", ec: 100, rsa: 50), name("*.a.test", rsa: 50),
                name("x.a.test", ec: 200),
            ]))
        #expect(find("a.test", in: reader) == [100, 50])
        #expect(find("x.a.test", in: reader) == [200, nil])
        #expect(find("y.a.test", in: reader) == [nil, 50])
        for unknown in ["", "test", "z.y.a.test", ".a.test", "xa.test", "*.test"] {
            #expect(find(unknown, in: reader) == nil, "\(unknown)")
        }
        #expect(find("a.test", in: reader, tls: 1) == nil)
    }

    @Test func tablesOfTwoListenersAreApart() throws {
        let reader = try Plans.reader(
            node([name("a.test", ec: 1)], other: [name("a.test", ec: 2), name("b.test", ec: 1)]))
        #expect(find("a.test", in: reader) == [1, nil])
        #expect(find("a.test", in: reader, tls: 1) == [2, nil])
        #expect(find("b.test", in: reader, tls: 1) == [1, nil])
    }

    @Test func tenThousandNames() throws {
        let reader = try Plans.reader(
            node((0..<10_000).map { name("host-\($0).example.com", ec: UInt64($0) + 10) }))
        for index in stride(from: 0, to: 10_000, by: 97) {
            #expect(find("host-\(index).example.com", in: reader) == [UInt64(index) + 10, nil])
        }
    }

    @Test func theFirstOfAKindServes() {
        var plan = name("a.test", ec: 1)
        plan.add(2, isRSA: false)
        plan.add(3, isRSA: true)
        #expect(plan.ec == 1 && plan.rsa == 3)
    }

    @Test func namesThatNobodyCanAskForAreNoNames() {
        for name in ["a.test", "*.a.test", "a", "x_y.test", "xn--bcher-kva.test"] {
            #expect(ServerNamePlan.isName(name), "\(name)")
        }
        let long = String(repeating: "a", count: 254)
        for name in [
            "", "*", "*.", "A.test", ".a", "a.", "a b", "*.*.a", "a*.test", "ä.test", long,
        ] {
            #expect(!ServerNamePlan.isName(name), "\(name)")
        }
    }

    @Test func aServersKeyDoesNotDependOnItsNamesOrVersions() throws {
        func key(_ change: (inout TLSPlan) -> Void) throws -> UInt64 {
            var node = CompiledNode(node: "n", datacenter: "dc1", trustDomain: "test.mesh")
            var plan = TLSPlan(server: true, owner: "a", certificates: [7])
            change(&plan)
            _ = node.intern(plan)
            return try Plans.reader(node).tls[0].key
        }
        let plain = try key { _ in }
        #expect(try key { $0.names = [name("a.test", ec: 3)] } == plain)
        #expect(try key { $0.owner = "b" } != plain)
        #expect(try key { $0.certificates = [8] } != plain)
        #expect(try key { $0.minVersion = .v12 } != plain)
        #expect(try key { ($0.minVersion, $0.maxVersion) = (.v12, .v12) } != plain)
        #expect(try key { ($0.verify, $0.trust) = (.request, [1]) } != plain)
    }
}

extension SnapshotReader {
    fileprivate func certificates(of name: String, tls index: Int) -> [UInt64?]? {
        var name = name
        var record = tls[index]
        return name.withUTF8 { text in
            guard
                let slot = certificate_find(
                    view, &record, bytes_of(text.baseAddress, text.count))
            else { return nil }
            let places = slot.pointee.certificates
            return [places.0, places.1].map { place in
                place == UInt32.max ? nil : view.pointee.secret_list[Int(place)]
            }
        }
    }
}
