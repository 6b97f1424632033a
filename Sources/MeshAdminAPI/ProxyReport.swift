package import Foundation

/// A proxy of the node.
package struct ProxyReport: Codable, Sendable, Equatable {
    /// The process of a managed proxy with a command.
    package struct Process: Codable, Sendable, Equatable {
        /// nil: it does not run.
        package var pid: Int?
        /// Since the control plane was started.
        package var starts: Int
        /// nil: a control plane before this one has started it, or nobody yet.
        package var since: Date?
        /// Whether it was started by a control plane before this one.
        package var adopted: Bool
        /// How it ended last.
        package var end: String?

        package init(pid: Int?, starts: Int, since: Date?, adopted: Bool, end: String?) {
            self.pid = pid
            self.starts = starts
            self.since = since
            self.adopted = adopted
            self.end = end
        }
    }

    package var id: String
    /// The service that it stands for.
    package var service: String
    /// `sidecar`, `managed`, `command` or `external`.
    package var kind: String
    package var address: String
    package var upstreams: [String]
    /// `serving`, `running`, `stopped`, `external`, or why it does not serve.
    package var state: String
    package var process: Process?
    package var origin: String

    package init(
        id: String, service: String, kind: String, address: String, upstreams: [String],
        state: String, process: Process?, origin: String
    ) {
        self.id = id
        self.service = service
        self.kind = kind
        self.address = address
        self.upstreams = upstreams
        self.state = state
        self.process = process
        self.origin = origin
    }
}

/// A piece of what a managed proxy has written.
package struct ProxyLogReport: Codable, Sendable, Equatable {
    package var text: String
    /// Where the next piece begins.
    package var next: UInt64

    package init(text: String, next: UInt64) {
        self.text = text
        self.next = next
    }
}
