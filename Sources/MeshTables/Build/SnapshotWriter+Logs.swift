package import CMeshABI
package import MeshModel

/// Access logs: formats become operations, so that nobody in the data plane reads a template.
extension SnapshotWriter {
    mutating func writeLogs() {
        let plans = Set(node.listeners.compactMap(\.log))
        let ordered = plans.map { (key: key(of: $0), plan: $0) }.sorted { $0.key < $1.key }
        for (index, entry) in ordered.enumerated() {
            if index > 0, ordered[index - 1].key == entry.key {
                refuse("the access logs \(entry.plan.path) have one key: change a format")
            }
            logIndexes[entry.plan] = UInt32(index)
            write(entry.plan, key: entry.key)
        }
    }

    /// What a log is: records that wait name it by this number, across generations.
    private func key(of plan: AccessLogPlan) -> UInt64 {
        var hash = StableHash()
        hash.combine(plan.path)
        hash.combine(UInt64(sample(of: plan)))
        hash.combine(node.node)
        for piece in plan.format.pieces {
            switch piece {
            case .literal(let text):
                hash.combine("literal")
                hash.combine(text)
            case .value(let value, let json):
                hash.combine("\(value) \(json)")
            }
        }
        return hash.finish() | 1  // 0 is no log
    }

    private func sample(of plan: AccessLogPlan) -> UInt32 {
        UInt32((min(max(plan.sample, 0), 1) * Double(ABI_LOG_SAMPLE_ALL)).rounded())
    }

    private mutating func write(_ plan: AccessLogPlan, key: UInt64) {
        let what = "the access log \(plan.path)"
        var record = abi_log()
        record.key = key
        switch plan.path {
        case "stdout": record.sink = UInt32(ABI_LOG_STDOUT.rawValue)
        case "stderr": record.sink = UInt32(ABI_LOG_STDERR.rawValue)
        default:
            record.sink = UInt32(ABI_LOG_FILE.rawValue)
            record.path = place(plan.path, what)
        }
        record.sample = sample(of: plan)
        let headers = plan.format.headers
        record.headers = abi_ref(at: UInt32(out.logHeaders.count), count: UInt32(headers.count))
        for header in headers { write(header, what) }
        let ops = operations(of: plan.format, headers, what)
        record.ops = abi_ref(at: UInt32(out.logOps.count), count: UInt32(ops.count))
        for operation in ops where operation.variable != UInt8(ABI_LOG_LITERAL.rawValue) {
            record.variables |= 1 << UInt64(operation.variable)
        }
        out.logOps += ops
        out.logs.append(record)
    }

    private mutating func write(_ header: AccessLogFormat.Value, _ what: String) {
        var record = abi_log_header()
        switch header {
        case .requestHeader(let name): record.name = place(name, what)
        case .responseHeader(let name):
            record.name = place(name, what)
            record.response = 1
        case .variable: return
        }
        out.logHeaders.append(record)
    }

    private mutating func operations(
        of format: AccessLogFormat, _ headers: [AccessLogFormat.Value], _ what: String
    ) -> [abi_log_op] {
        var literal = ""
        var result: [abi_log_op] = []
        func flush(_ writer: inout SnapshotWriter) {
            if literal.isEmpty { return }
            var operation = abi_log_op()
            operation.variable = UInt8(ABI_LOG_LITERAL.rawValue)
            operation.literal = writer.place(literal, what)
            result.append(operation)
            literal = ""
        }
        for piece in format.pieces {
            switch piece {
            case .literal(let text): literal += text
            case .value(.variable(.node), let json):
                literal += json ? "\"\(node.node)\"" : node.node
            case .value(let value, let json):
                flush(&self)
                var operation = abi_log_op()
                operation.variable = UInt8(Self.number(of: value, headers))
                operation.style = UInt8(json ? ABI_LOG_JSON.rawValue : ABI_LOG_PLAIN.rawValue)
                result.append(operation)
            }
        }
        flush(&self)
        return result
    }

    private static func number(
        of value: AccessLogFormat.Value, _ headers: [AccessLogFormat.Value]
    ) -> UInt32 {
        switch value {
        case .variable(let variable): variable.abiNumber.rawValue
        case .requestHeader, .responseHeader:
            ABI_LOG_HEADER_0.rawValue + UInt32(headers.firstIndex(of: value) ?? 0)
        }
    }
}

extension AccessLogVariable {
    /// Its number in records and operations. The node's name has none: it is text of the format.
    package var abiNumber: abi_log_variable {
        switch self {
        case .node: ABI_LOG_LITERAL
        case .time: ABI_LOG_TIME
        case .worker: ABI_LOG_WORKER
        case .listener: ABI_LOG_LISTENER
        case .listenerAddress: ABI_LOG_LISTENER_ADDRESS
        case .clientIP: ABI_LOG_CLIENT_IP
        case .clientPort: ABI_LOG_CLIENT_PORT
        case .clientIdentity: ABI_LOG_CLIENT_IDENTITY
        case .method: ABI_LOG_METHOD
        case .scheme: ABI_LOG_SCHEME
        case .host: ABI_LOG_HOST
        case .path: ABI_LOG_PATH
        case .query: ABI_LOG_QUERY
        case .protocolName: ABI_LOG_PROTOCOL
        case .status: ABI_LOG_STATUS
        case .flag: ABI_LOG_FLAG
        case .route: ABI_LOG_ROUTE
        case .routeOrigin: ABI_LOG_ROUTE_ORIGIN
        case .service: ABI_LOG_SERVICE
        case .target: ABI_LOG_TARGET
        case .instance: ABI_LOG_INSTANCE
        case .upstreamAddress: ABI_LOG_UPSTREAM_ADDRESS
        case .upstreamReused: ABI_LOG_UPSTREAM_REUSED
        case .attempts: ABI_LOG_ATTEMPTS
        case .intention: ABI_LOG_INTENTION
        case .intentionOrigin: ABI_LOG_INTENTION_ORIGIN
        case .bytesIn: ABI_LOG_BYTES_IN
        case .bytesOut: ABI_LOG_BYTES_OUT
        case .duration: ABI_LOG_DURATION
        case .connect: ABI_LOG_CONNECT
        case .wait: ABI_LOG_WAIT
        case .tlsHandshake: ABI_LOG_TLS_HANDSHAKE
        case .tlsVersion: ABI_LOG_TLS_VERSION
        case .tlsCipher: ABI_LOG_TLS_CIPHER
        case .tlsResumed: ABI_LOG_TLS_RESUMED
        case .tlsSNI: ABI_LOG_TLS_SNI
        case .traceID: ABI_LOG_TRACE_ID
        case .userAgent: ABI_LOG_USER_AGENT
        case .referer: ABI_LOG_REFERER
        }
    }
}
