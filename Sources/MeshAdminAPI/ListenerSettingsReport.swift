/// What a listener is set to besides its routes.
package struct ListenerSettingsReport: Codable, Sendable, Equatable {
    package struct TLS: Codable, Sendable, Equatable {
        /// `1.2` or `1.3`.
        package var minVersion: String
        package var maxVersion: String
        /// `none`, `request` or `require`.
        package var clientVerify: String
        package var alpn: [String]
        /// Names with certificates of their own.
        package var serverNames: Int

        package init(
            minVersion: String, maxVersion: String, clientVerify: String, alpn: [String],
            serverNames: Int
        ) {
            self.minVersion = minVersion
            self.maxVersion = maxVersion
            self.clientVerify = clientVerify
            self.alpn = alpn
            self.serverNames = serverNames
        }
    }

    package struct ProxyProtocol: Codable, Sendable, Equatable {
        package var versions: [String]
        package var from: [String]
        /// `refuse` or `direct`.
        package var others: String
        package var timeoutMs: Int

        package init(versions: [String], from: [String], others: String, timeoutMs: Int) {
            self.versions = versions
            self.from = from
            self.others = others
            self.timeoutMs = timeoutMs
        }
    }

    package struct Forwarded: Codable, Sendable, Equatable {
        package var trust: [String]
        package var hops: Int
        /// `x-forwarded`, `forwarded`, `both` or `none`.
        package var headers: String

        package init(trust: [String], hops: Int, headers: String) {
            self.trust = trust
            self.hops = hops
            self.headers = headers
        }
    }

    package struct Trace: Codable, Sendable, Equatable {
        package var start: Bool
        package var sample: Double

        package init(start: Bool, sample: Double) {
            self.start = start
            self.sample = sample
        }
    }

    package struct AccessLog: Codable, Sendable, Equatable {
        package var path: String
        package var sample: Double

        package init(path: String, sample: Double) {
            self.path = path
            self.sample = sample
        }
    }

    /// Left out: plaintext, or TLS that goes on as it is.
    package var tls: TLS?
    /// TLS goes on as it is, by the server name that the client asks for.
    package var sni: Bool
    package var proxyProtocol: ProxyProtocol?
    /// Left out for streams, `trace` too.
    package var forwarded: Forwarded?
    package var trace: Trace?
    package var accessLog: AccessLog?
    /// For people: a name and a sentence for each setting that is not what every listener has.
    package var lines: [Line]

    package struct Line: Codable, Sendable, Equatable {
        package var name: String
        package var text: String

        package init(name: String, text: String) {
            self.name = name
            self.text = text
        }
    }

    package init(sni: Bool = false, lines: [Line] = []) {
        self.sni = sni
        self.lines = lines
    }
}
