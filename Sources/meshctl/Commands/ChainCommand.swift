import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshClient
import MeshModel

struct ChainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chain",
        abstract: "What becomes of traffic to a service: routes, splits, resolvers, failover.",
        discussion: """
            The chain that follows from routers, splitters and resolvers, as a tree from the \
            traffic's entry to its targets. Routes are tried from top to bottom; the weights of a \
            splitter are of all its traffic. With --json it is Consul's document, as \
            /v1/discovery-chain/SERVICE answers it.

            Example: meshctl chain web
            """)

    @Argument(
        help: "Name of the service.",
        completion: .shellCommand(
            "meshctl services --json 2>/dev/null | grep '\"name\"' | cut -d'\"' -f4"))
    var service: String
    @Option(
        name: .customLong("dc"),
        help: ArgumentHelp(
            "As a service of this datacenter sees it; the node's, when left out.",
            valueName: "datacenter"))
    var datacenter: String?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let path = URLPath.make(
            "status", "chain", service, query: datacenter.map { [("dc", $0)] } ?? [])
        try await connection.run { connection in
            let document = try await connection.document(path)
            guard !output.json else {
                let text = String(decoding: document, as: UTF8.self)
                return Output.line(text.trimmingCharacters(in: .newlines))
            }
            guard let read = try? ConsulChain(document: Data(document)) else {
                throw MeshError(.invalid, "the answer is no chain: is it a Ringmesh admin address?")
            }
            Output.line(ChainTree(read).lines.map(Printable.text).joined(separator: "\n"))
        }
    }
}
