/// What a line of an access log can say. The raw value is the variable's name in templates and,
/// with `_` for `.`, its key in JSON.
package enum AccessLogVariable: String, Sendable, Hashable, Codable, CaseIterable {
    case time
    case node
    case worker
    case listener
    case listenerAddress = "listener.address"
    case clientIP = "client.ip"
    case clientPort = "client.port"
    case clientIdentity = "client.identity"
    case method
    case scheme
    case host
    case path
    case query
    case protocolName = "protocol"
    case status
    case flag
    case route
    case routeOrigin = "route.origin"
    case service
    case target
    case instance
    case upstreamAddress = "upstream.address"
    case upstreamReused = "upstream.reused"
    case attempts
    case intention
    case intentionOrigin = "intention.origin"
    case bytesIn = "bytes_in"
    case bytesOut = "bytes_out"
    case duration = "duration_us"
    case connect = "connect_us"
    case wait = "wait_us"
    case tlsHandshake = "tls.handshake_us"
    case tlsVersion = "tls.version"
    case tlsCipher = "tls.cipher"
    case tlsResumed = "tls.resumed"
    case tlsSNI = "tls.sni"
    case traceID = "trace.id"
    case userAgent = "user_agent"
    case referer

    /// The most bytes that are recorded of a text; longer ones are cut. 0: no text.
    package var textLimit: Int {
        switch self {
        case .path, .query: 1024
        case .method, .traceID: 32
        case .clientIP, .tlsCipher: 64
        case .listener, .clientIdentity, .host, .route, .routeOrigin, .service, .target, .instance,
            .intention, .intentionOrigin, .tlsSNI, .userAgent, .referer:
            256
        case .time, .node, .worker, .listenerAddress, .clientPort, .scheme, .protocolName, .status,
            .flag, .upstreamAddress, .upstreamReused, .attempts, .bytesIn, .bytesOut, .duration,
            .connect, .wait, .tlsHandshake, .tlsVersion, .tlsResumed:
            0
        }
    }

    /// Its key in the lines of `format: json`.
    package var jsonKey: String { String(rawValue.map { $0 == "." ? "_" : $0 }) }
}
